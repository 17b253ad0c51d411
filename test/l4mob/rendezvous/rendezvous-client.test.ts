/** One side of a lost association: what it asks, when, of whom, and what it believes. */
import { describe, expect, it } from 'vitest';
import {
  MAX_SERVICES,
  RendezvousClient,
  type RendezvousVersions,
} from '../../../src/l4mob/rendezvous/rendezvous-client.ts';
import { EPOCH_MS, Slot } from '../../../src/l4mob/rendezvous/slot.ts';
import { encodeRendezvousAnswer, type RendezvousAnswer } from '../../../src/l4mob/wire/rendezvous.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { run } from '../wire/samples.ts';
import { asks, drain, found, KEYS, newClient, Pair, SERVICE, whereabouts } from './pair.ts';

const HERE = whereabouts(3, '192.0.2.7');
const THERE = whereabouts(5, '198.51.100.7');
const SEEN = { ip: '192.0.2.7', port: 40_001 };

/** Plain arrays, so that views and copies compare. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array || v?.type === 'Buffer' ? toList(v) : v)));
}

function toList(bytes: Uint8Array | { readonly data: number[] }): number[] {
  return bytes instanceof Uint8Array ? [...bytes] : bytes.data;
}

describe('a client', () => {
  it('says nothing until it is started, and nothing once it is stopped', () => {
    const client = newClient('initiator');
    client.handleTimeout(1e6, 0);
    expect([client.running, client.pollTransmit(), client.pollTimeout()]).toEqual([false, undefined, undefined]);
    client.start(0, 0, HERE, [SERVICE]);
    client.stop();
    client.handleTimeout(1e6, 0);
    expect([client.running, client.pollTransmit(), client.pollTimeout()]).toEqual([false, undefined, undefined]);
  });

  it('asks every service at once, and no more of them than the limit', () => {
    const client = newClient('initiator');
    const services = Array.from({ length: MAX_SERVICES + 3 }, (_, i) => ({ ip: `203.0.113.${i}`, port: 4474 }));
    client.start(0, 0, HERE, services);
    expect(drain(client).map(({ to }) => to)).toEqual(services.slice(0, MAX_SERVICES));
  });

  it('asks in haste until it is answered, then patiently', () => {
    const client = newClient('initiator');
    const times: number[] = [];
    client.start(0, 0, HERE, [SERVICE]);
    for (let at = client.pollTimeout() ?? 0; at < 10_000; at = client.pollTimeout() ?? Number.NaN) {
      client.handleTimeout(at - 1, 0);
      times.push(...drain(client).map(() => at));
      client.handleTimeout(at, 0);
    }
    expect(times).toEqual([100, 300, 700, 1500, 3100, 5600, 8100]);
    const answered = newClient('initiator');
    answered.start(0, 0, HERE, [SERVICE]);
    const none = encodeRendezvousAnswer({ id: answered.id, status: 'none', seen: SEEN, kept: true });
    expect(answered.handleDatagram(10, none, SERVICE)).toBe(true);
    expect(answered.pollTimeout()).toBe(2_510);
    expect(answered.seenAs).toEqual(SEEN);
  });

  it('asks every ten seconds in the end', () => {
    const client = newClient('initiator');
    client.start(0, 0, HERE, [SERVICE]);
    for (let i = 0; i < 50; i++) client.handleTimeout(client.pollTimeout() ?? 0, 0);
    const at = client.pollTimeout() ?? 0;
    client.handleTimeout(at, 0);
    expect((client.pollTimeout() ?? 0) - at).toBe(10_000);
  });

  it('leaves one version of its word until its whereabouts or its place change', () => {
    const client = newClient('initiator');
    const versions = (): (number | undefined)[] => asks(client).map(({ entry }) => entry?.version);
    const answer = (at: number, seen: typeof SEEN): boolean =>
      client.handleDatagram(at, encodeRendezvousAnswer({ id: client.id, status: 'none', seen, kept: true }), SERVICE);
    client.start(0, 0, HERE, [SERVICE]);
    client.handleTimeout(100, 0);
    expect(versions()).toEqual([1, 1]);
    answer(110, SEEN);
    client.handleTimeout(5_000, 0);
    expect(versions()).toEqual([1]);
    answer(5_010, { ...SEEN, port: 40_002 }); // the NAT has another mapping now
    client.handleTimeout(10_000, 0);
    expect(versions()).toEqual([2]);
    client.start(10_000, 0, whereabouts(4, '192.0.2.8'), [SERVICE]);
    expect(versions()).toEqual([3]);
    client.stop();
    client.start(20_000, 0, whereabouts(4, '192.0.2.8'), [SERVICE]);
    expect(versions()).toEqual([4]);
  });

  it('uses no version twice, and hears none twice, over all searches under one association', () => {
    const versions: RendezvousVersions = { own: 0, heard: 0 };
    const random = new SeededRandom(4);
    const slot = new Slot(KEYS, 'responder', 0);
    const word = (id: Uint8Array, version: number): Uint8Array => {
      const { sealed } = slot.entry(random, { version, whereabouts: THERE }, 120);
      return encodeRendezvousAnswer({ id, status: 'found', seen: SEEN, kept: true, tagIndex: 0, from: SEEN, sealed });
    };
    const first = new RendezvousClient({ role: 'initiator', keys: KEYS, random, versions });
    first.start(0, 0, HERE, [SERVICE]);
    first.handleDatagram(10, word(first.id, 7), SERVICE);
    expect(found(first)).toHaveLength(1);
    first.stop();
    const second = new RendezvousClient({ role: 'initiator', keys: KEYS, random, versions });
    second.start(0, 0, HERE, [SERVICE]);
    expect(asks(second).map(({ entry, afterVersion }) => [entry?.version, afterVersion])).toEqual([[2, 7]]);
    expect(second.handleDatagram(10, word(second.id, 7), SERVICE)).toBe(false);
    expect(second.handleDatagram(10, word(second.id, 8), SERVICE)).toBe(true);
    expect(found(second)).toHaveLength(1);
  });

  it('asks for two epochs where one ends, and leaves its word in the one that it is in', () => {
    const client = newClient('initiator');
    const tags = (epoch: number): Uint8Array[] => [new Slot(KEYS, 'responder', epoch).tag];
    client.start(0, EPOCH_MS / 2, HERE, [SERVICE]);
    const [within] = asks(client);
    expect(plain(within?.wanted)).toEqual(plain(tags(0)));
    client.handleTimeout(100, EPOCH_MS + 1);
    const [between] = asks(client);
    expect(plain(between?.wanted)).toEqual(plain([...tags(0), ...tags(1)]));
    expect(plain(between?.entry?.publicKey)).toEqual(plain(new Slot(KEYS, 'initiator', 1).publicKey));
  });

  it('gives a cookie back at once, but meets one demand a second', () => {
    const client = newClient('initiator');
    client.start(0, 0, HERE, [SERVICE]);
    drain(client);
    const demand = (cookie: Uint8Array): Uint8Array =>
      encodeRendezvousAnswer({ id: client.id, status: 'cookie', seen: SEEN, kept: false, cookie });
    for (let i = 0; i < 20; i++) {
      client.handleDatagram(10 + i, demand(run(i, 16)), SERVICE);
      client.handleTimeout(10 + i, 0);
    }
    expect(asks(client).map(({ cookie }) => cookie)).toEqual([run(0, 16)]);
    client.handleDatagram(1_500, demand(run(0x50, 16)), SERVICE);
    client.handleTimeout(1_500, 0);
    expect(asks(client).map(({ cookie }) => cookie)).toEqual([run(0x50, 16)]);
  });

  describe('believes nothing', () => {
    const slot = new Slot(KEYS, 'responder', 0);
    const random = new SeededRandom(3);
    const sealed = (version: number): Uint8Array => slot.entry(random, { version, whereabouts: THERE }, 120).sealed;
    const place = { ip: '198.51.100.7', port: 50_443 };

    function told(
      change: (answer: RendezvousAnswer & { status: 'found' }) => RendezvousAnswer,
      from = SERVICE,
    ): unknown[] {
      const client = newClient('initiator');
      client.start(0, 0, HERE, [SERVICE]);
      const { id } = client;
      const answer = change({
        id,
        status: 'found',
        seen: SEEN,
        kept: true,
        tagIndex: 0,
        from: place,
        sealed: sealed(1),
      });
      const before = client.pollTimeout();
      const taken = client.handleDatagram(10, encodeRendezvousAnswer(answer), from);
      if (!taken) expect([client.pollTimeout(), client.rejected]).toEqual([before, 1]);
      return found(client);
    }

    it('but what the peer has sealed', () => {
      expect(told((answer) => answer)).toEqual([{ whereabouts: THERE, seenFrom: place }]);
    });

    it.each<[string, Parameters<typeof told>[0], typeof SERVICE?]>([
      ['from another search', (answer) => ({ ...answer, id: run(0, 8) })],
      ['from somebody who is no service', (answer) => answer, { ip: '203.0.113.99', port: 4474 }],
      ['sealed by nobody', (answer) => ({ ...answer, sealed: random.bytes(192) })],
      ['under a tag that was not asked for', (answer) => ({ ...answer, tagIndex: 1 })],
      [
        'that we have sealed ourselves',
        (answer) => {
          const { sealed: own } = new Slot(KEYS, 'initiator', 0).entry(random, { version: 9, whereabouts: HERE }, 120);
          return { ...answer, sealed: own };
        },
      ],
    ])('%s', (_, change, from) => {
      expect(told(change, from)).toEqual([]);
    });

    it('twice, nor anything older than what it knows, also in a later search', () => {
      const client = newClient('initiator');
      const tell = (version: number): number => {
        const { id } = client;
        const answer = { id, status: 'found', seen: SEEN, kept: true, tagIndex: 0, from: place } as const;
        client.handleDatagram(10, encodeRendezvousAnswer({ ...answer, sealed: sealed(version) }), SERVICE);
        return found(client).length;
      };
      client.start(0, 0, HERE, [SERVICE]);
      expect([tell(4), tell(4), tell(3), tell(5)]).toEqual([1, 0, 0, 1]);
      client.stop();
      client.start(0, 0, HERE, [SERVICE]);
      expect(asks(client).at(-1)?.afterVersion).toBe(5);
      expect([tell(4), tell(5), tell(6)]).toEqual([0, 0, 1]);
    });
  });
});

describe('two clients and a service', () => {
  it('find each other in one round trip, whoever comes first, and then are quiet', () => {
    const pair = new Pair();
    pair.start('initiator', HERE);
    expect(found(pair.initiator)).toEqual([]);
    pair.now = 3_000;
    pair.start('responder', THERE);
    expect(found(pair.initiator)).toEqual([{ whereabouts: THERE, seenFrom: pair.places.responder }]);
    expect(found(pair.responder)).toEqual([{ whereabouts: HERE, seenFrom: pair.places.initiator }]);
    expect(pair.service.counters).toMatchObject({ found: 2, pushed: 1, forged: 0, stale: 0 });
    const sent = pair.wire.length;
    pair.tick(2_000);
    expect(pair.wire.length).toBe(sent);
  });

  it('go on to tell each other of every further move while they have not met', () => {
    const pair = new Pair();
    pair.start('initiator', HERE);
    pair.start('responder', THERE);
    found(pair.initiator);
    for (let move = 6; move < 12; move++) {
      pair.now += 50;
      pair.start('responder', whereabouts(move, `198.51.100.${move}`));
      expect(found(pair.initiator).map(({ whereabouts: { stateSequence } }) => stateSequence)).toEqual([move]);
    }
  });

  it('find each other though their clocks are a minute apart and an epoch ends between them', () => {
    for (const [initiatorAt, responderAt] of [
      [EPOCH_MS - 30_000, EPOCH_MS + 29_000],
      [EPOCH_MS + 29_000, EPOCH_MS - 30_000],
    ] as const) {
      const pair = new Pair();
      pair.start('initiator', HERE, initiatorAt);
      pair.start('responder', THERE, responderAt);
      expect([found(pair.initiator).length, found(pair.responder).length]).toEqual([1, 1]);
    }
  });

  it('find each other though they are told to bring cookies', () => {
    const pair = new Pair({ rateBeforeCookies: 0 });
    pair.start('initiator', HERE);
    pair.start('responder', THERE);
    expect([found(pair.initiator).length, found(pair.responder).length]).toEqual([1, 1]);
    expect(pair.service.counters.cookiesDemanded).toBe(2);
  });

  it('show nothing on the wire of who they are: no tag, key or text comes back in another epoch', () => {
    const pair = new Pair();
    const pieces = (): Set<string> => {
      const seen = new Set<string>();
      for (const { bytes } of pair.wire) {
        const hex = Buffer.from(bytes).toString('hex');
        for (let at = 18 * 2; at + 40 <= hex.length; at += 2) seen.add(hex.slice(at, at + 40));
      }
      return seen;
    };
    pair.start('initiator', HERE, EPOCH_MS / 2);
    pair.start('responder', THERE, EPOCH_MS / 2);
    const first = pieces();
    pair.initiator.stop();
    pair.responder.stop();
    pair.wire.length = 0;
    pair.start('initiator', HERE, 2.5 * EPOCH_MS);
    pair.start('responder', THERE, 2.5 * EPOCH_MS);
    const common = [...pieces()].filter((piece) => first.has(piece) && !/^0+$/.test(piece));
    // Places (addresses and ports of the moment) stand in the answers; they are shorter than these pieces.
    expect(common).toEqual([]);
  });
});
