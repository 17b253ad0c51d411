/** The third host: whom it believes, what it keeps, for how long, and what it never does. */
import { describe, expect, it } from 'vitest';
import type { TransportAddress } from '../../../src/core/address.ts';
import { deriveRendezvousKeys } from '../../../src/l4mob/key-schedule.ts';
import type { RendezvousService } from '../../../src/l4mob/rendezvous/rendezvous-service.ts';
import { Slot } from '../../../src/l4mob/rendezvous/slot.ts';
import { WAIT_MS } from '../../../src/l4mob/rendezvous/waiting-room.ts';
import { encodeRendezvousAsk, type RendezvousAsk } from '../../../src/l4mob/wire/rendezvous.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { run } from '../wire/samples.ts';
import { answers, drain, KEYS, newService, whereabouts } from './pair.ts';

const random = new SeededRandom(8);
const ME: TransportAddress = { ip: '192.0.2.7', port: 40_001 };
const OTHER: TransportAddress = { ip: '198.51.100.7', port: 50_443 };
const mine = new Slot(KEYS, 'initiator', 0);
const theirs = new Slot(KEYS, 'responder', 0);

function put(slot: Slot, version: number, ttlSeconds = 120, wanted: readonly Uint8Array[] = []): RendezvousAsk {
  const entry = slot.entry(random, { version, whereabouts: whereabouts(version, '192.0.2.9') }, ttlSeconds);
  return { id: random.bytes(8), wanted, afterVersion: 0, cookie: new Uint8Array(0), entry };
}

function get(slot: Slot, afterVersion = 0, id: Uint8Array = random.bytes(8)): RendezvousAsk {
  return { id, wanted: [slot.tag], afterVersion, cookie: new Uint8Array(0), entry: undefined };
}

function ask(service: RendezvousService, now: number, question: RendezvousAsk, from: TransportAddress) {
  service.handleDatagram(now, encodeRendezvousAsk(question), from);
  return answers(service);
}

/** The version that the service has under this tag, as a stranger with the tag would learn it. */
function held(service: RendezvousService, now: number, slot: Slot): number | undefined {
  const [answer] = ask(service, now, get(slot), { ip: '192.0.2.250', port: 9 });
  return answer?.status === 'found' ? slot.open(answer.sealed)?.version : undefined;
}

describe('an entry', () => {
  it('is kept, and given to who asks for it with the place that it came from', () => {
    const service = newService();
    expect(ask(service, 0, put(mine, 1), ME)).toMatchObject([{ status: 'none', kept: true, seen: ME }]);
    expect(ask(service, 5, get(mine), OTHER)).toMatchObject([{ status: 'found', seen: OTHER, from: ME, tagIndex: 0 }]);
  });

  it('is replaced by a newer one only', () => {
    const service = newService();
    ask(service, 0, put(mine, 5), ME);
    expect(ask(service, 1, put(mine, 4), ME)).toMatchObject([{ kept: false }]);
    expect(held(service, 2, mine)).toBe(5);
    expect(ask(service, 3, put(mine, 6), ME)).toMatchObject([{ kept: true }]);
    expect(held(service, 4, mine)).toBe(6);
    expect(service.counters.stale).toBe(1);
  });

  it('keeps its place when a copy of it comes from somewhere else', () => {
    const service = newService();
    const original = put(mine, 5);
    ask(service, 0, original, ME);
    ask(service, 1, original, { ip: '203.0.113.66', port: 6 });
    expect(ask(service, 2, get(mine), OTHER)).toMatchObject([{ from: ME }]);
  });

  it('is what it was when it is said again with another signature or time', () => {
    const service = newService();
    const original = put(mine, 5);
    const { entry } = original;
    if (entry === undefined) throw new Error('no entry');
    ask(service, 0, original, ME);
    for (const change of [{ ttlSeconds: 1 }, { signature: random.bytes(64) }, { sealed: random.bytes(192) }]) {
      expect(ask(service, 1, { ...original, entry: { ...entry, ...change } }, ME)).toEqual([]);
    }
    expect(ask(service, 2, original, ME)).toMatchObject([{ kept: true }]);
    expect([held(service, 3, mine), service.counters.forged]).toEqual([5, 3]);
  });

  it('cannot be made by who only knows the tag', () => {
    const service = newService();
    const stranger = new Slot(deriveRendezvousKeys(run(9, 32)), 'initiator', 0);
    const forged = put(stranger, 9);
    const { entry } = forged;
    if (entry === undefined) throw new Error('no entry');
    // Its public key would be needed for the tag, and then the signature doesn't fit.
    expect(ask(service, 0, { ...forged, entry: { ...entry, publicKey: mine.publicKey } }, ME)).toEqual([]);
    expect([service.counters.forged, service.entries]).toEqual([1, 0]);
  });

  it('is forgotten after its time, and after two minutes at most', () => {
    const service = newService();
    ask(service, 0, put(mine, 1, 10), ME);
    ask(service, 0, put(theirs, 1, 60_000), OTHER);
    expect([held(service, 9_999, mine), held(service, 10_000, mine)]).toEqual([1, undefined]);
    expect([held(service, 119_999, theirs), held(service, 120_000, theirs)]).toEqual([1, undefined]);
  });

  it('is kept on by being said again', () => {
    const service = newService();
    const question = put(mine, 1, 10);
    for (const now of [0, 8_000, 16_000]) ask(service, now, question, ME);
    expect([held(service, 25_999, mine), held(service, 26_000, mine)]).toEqual([1, undefined]);
  });

  it('leaves no memory behind when its time is over', () => {
    const service = newService();
    ask(service, 0, put(mine, 1, 10, [theirs.tag]), ME);
    expect([service.entries, service.waiters]).toEqual([1, 1]);
    for (let at = service.pollTimeout(); at !== undefined && at < 1e6; at = service.pollTimeout()) {
      service.handleTimeout(at);
    }
    expect([service.entries, service.waiters, service.pollTimeout()]).toEqual([0, 0, undefined]);
  });
});

describe('who waits', () => {
  it('hears of the entry the moment it comes, once', () => {
    const service = newService();
    const question = get(mine);
    ask(service, 0, question, OTHER);
    expect(ask(service, 3_000, put(mine, 1), ME)).toMatchObject([
      { status: 'found', id: question.id, seen: OTHER, from: ME },
      { status: 'none', seen: ME },
    ]);
    expect(ask(service, 3_001, put(mine, 2), ME)).toMatchObject([{ status: 'none' }]);
  });

  it('hears nothing of what it knows already, and nothing when it has waited too long', () => {
    const service = newService();
    ask(service, 0, get(mine, 7), OTHER);
    expect(ask(service, 1, put(mine, 7), ME)).toHaveLength(1);
    expect(ask(service, WAIT_MS - 1, put(mine, 8), ME)).toHaveLength(2);
    ask(service, 50_000, get(mine, 8), OTHER);
    expect(ask(service, 50_000 + WAIT_MS, put(mine, 9), ME)).toHaveLength(1);
  });

  it('is told at the address from which it asked last', () => {
    const service = newService();
    const id = run(1, 8);
    ask(service, 0, get(mine, 0, id), OTHER);
    ask(service, 1, get(mine, 0, id), OTHER);
    service.handleDatagram(2, encodeRendezvousAsk(put(mine, 1)), ME);
    expect(drain(service).map(({ to }) => to)).toEqual([OTHER, ME]);
  });

  it('is not displaced by many who have seen the tag', () => {
    const service = newService();
    for (let i = 0; i < 100; i++) ask(service, i, get(mine), { ip: `203.0.113.${i}`, port: 5 });
    const id = run(1, 8);
    ask(service, 100, get(mine, 0, id), OTHER);
    const told = ask(service, 101, put(mine, 1), ME);
    expect(told.filter(({ status }) => status === 'found')).toHaveLength(4);
    expect(told.some((answer) => Buffer.compare(answer.id, id) === 0)).toBe(true);
  });
});

describe('under load and attack', () => {
  function floodOf(
    service: RendezvousService,
    count: number,
    sourceOf: (i: number) => TransportAddress,
    now = 0,
  ): void {
    for (let i = 0; i < count; i++) {
      const keys = deriveRendezvousKeys(random.bytes(32));
      ask(
        service,
        now + Math.floor(i / 150) * 1_000,
        put(new Slot(keys, 'initiator', 0), 1, 120, [random.bytes(16)]),
        sourceOf(i),
      );
    }
  }

  it('holds no more than its limits, and the oldest goes first', () => {
    const service = newService({ entries: 40, perSource: 1_000, rateBeforeCookies: 1e9, ratePerSource: 1e9 });
    floodOf(service, 30, (i) => ({ ip: `203.0.113.${i % 250}`, port: 1 + i }));
    // From here on cookies are demanded, which strangers with borrowed addresses never see.
    expect(service.entries + service.waiters).toBe(40);
    expect(service.counters.cookiesDemanded).toBeGreaterThan(0);
    const before = service.entries;
    floodOf(service, 200, (i) => ({ ip: `198.51.100.${i % 250}`, port: 1 + i }));
    expect(service.entries).toBe(before);
    expect(service.waiters).toBeLessThanOrEqual(40);
  });

  it.each([
    ['of many sources, in all', 40, 20],
    ['of one source, for that one', 1, 10],
  ])('holds no more than its limits for those with cookies either, %s', (_, sources, most) => {
    const service = newService({ entries: 20, perSource: 10, rateBeforeCookies: 0, ratePerSource: 1e9 });
    for (let i = 0; i < 120; i++) {
      const from = { ip: `203.0.113.${i % sources}`, port: 1 + i };
      const slot = new Slot(deriveRendezvousKeys(random.bytes(32)), 'initiator', 0);
      const question = put(slot, 1, 120, [random.bytes(16)]);
      const [demand] = ask(service, i, question, from);
      if (demand?.status !== 'cookie') throw new Error('no cookie demanded');
      ask(service, i, { ...question, cookie: demand.cookie }, from);
    }
    expect([service.entries, service.waiters]).toEqual([most, most]);
    expect(service.counters.refused).toBe(sources === 1 ? 120 - most : 0);
  });

  it('takes a cookie from the source that it was baked for only', () => {
    const service = newService({ rateBeforeCookies: 0 });
    const question = put(mine, 1);
    const [demand] = ask(service, 0, question, ME);
    if (demand?.status !== 'cookie') throw new Error('no cookie demanded');
    const withCookie = { ...question, cookie: demand.cookie };
    expect(ask(service, 1, withCookie, OTHER)).toMatchObject([{ status: 'cookie' }]);
    expect(ask(service, 1, { ...withCookie, id: run(0, 8) }, ME)).toMatchObject([{ status: 'cookie' }]);
    expect(ask(service, 1, withCookie, ME)).toMatchObject([{ status: 'none', kept: true }]);
    expect(ask(service, 31_000, withCookie, ME)).toMatchObject([{ status: 'cookie' }]);
  });

  it('drops what a source asks beyond its rate, also with a cookie, and hears it again a second later', () => {
    const service = newService({ ratePerSource: 5, rateBeforeCookies: 0 });
    const question = get(theirs);
    const [demand] = ask(service, 0, question, ME);
    if (demand?.status !== 'cookie') throw new Error('no cookie demanded');
    const withCookie = { ...question, cookie: demand.cookie };
    const heard = Array.from({ length: 9 }, () => ask(service, 1, withCookie, ME).length);
    expect(heard).toEqual([1, 1, 1, 1, 1, 0, 0, 0, 0]);
    expect(ask(service, 1_001, withCookie, ME)).toHaveLength(1);
    expect(service.counters.limited).toBe(4);
  });

  it('does not let one who borrows an address use up its rate', () => {
    const service = newService({ ratePerSource: 5 });
    for (let i = 0; i < 50; i++) ask(service, 0, get(theirs), { ...ME, port: 1 + i });
    const question = put(mine, 1);
    const [demand] = ask(service, 1, question, ME);
    if (demand?.status !== 'cookie') throw new Error('no cookie demanded');
    expect(ask(service, 2, { ...question, cookie: demand.cookie }, ME)).toMatchObject([{ kept: true }]);
  });

  it('never sends more to anybody than came from there, in any order of questions', () => {
    const service = newService({ perSource: 8, entries: 64 });
    const balance = new Map<string, number>();
    const places = [ME, OTHER, { ip: '2001:db8::7', port: 7 }];
    const slots = [mine, theirs, new Slot(KEYS, 'initiator', 1)];
    const add = ({ ip, port }: TransportAddress, bytes: number): number => {
      const sum = (balance.get(`${ip} ${port}`) ?? 0) + bytes;
      balance.set(`${ip} ${port}`, sum);
      return sum;
    };
    for (let i = 0; i < 600; i++) {
      const from = random.pick(places);
      const wanted = random.chance(0.8) ? [random.pick(slots).tag] : [];
      const version = random.between(i / 20, 5 + i / 10);
      const question = { ...put(random.pick(slots), version, 120, wanted), afterVersion: random.between(0, i / 10) };
      const bytes = encodeRendezvousAsk(random.chance(0.3) ? { ...question, entry: undefined } : question);
      add(from, bytes.length);
      service.handleDatagram(i * 10, bytes, from);
      for (const sent of drain(service)) expect(add(sent.to, -sent.bytes.length)).toBeGreaterThanOrEqual(0);
    }
    expect(service.counters.pushed).toBeGreaterThan(10);
  });

  it('keeps silent about anything that is no question', () => {
    const service = newService();
    const good = encodeRendezvousAsk(put(mine, 1));
    for (const bytes of [good.subarray(0, 100), Buffer.alloc(392), random.bytes(392), Buffer.concat([good, good])]) {
      service.handleDatagram(0, bytes, ME);
    }
    expect([drain(service).length, service.counters.malformed, service.entries]).toEqual([0, 4, 0]);
  });
});
