/** L4_INIT and L4_OFFER between an initiator and a responder, and with somebody in between. */
import { describe, expect, it } from 'vitest';
import {
  type HandshakeOutcome,
  InitiatorHandshake,
  type InitiatorHandshakeInit,
} from '../../src/l4mob/initiator-handshake.ts';
import { GROUPS, type Group, groupByName } from '../../src/l4mob/key-agreement.ts';
import {
  DEFAULT_ENDPOINT_LIMITS,
  HANDSHAKES_PER_SECOND_BEFORE_COOKIES,
  MAX_HANDSHAKE_ROUNDS,
  MAX_UNCONFIRMED,
  UNCONFIRMED_MS,
} from '../../src/l4mob/limits.ts';
import { PortPairTable } from '../../src/l4mob/port-pairs.ts';
import { type OfferedService, Responder, type ResponderInit } from '../../src/l4mob/responder.ts';
import type { SessionIdentity } from '../../src/l4mob/session-identity.ts';
import { SUITES, type Suite, suiteByName } from '../../src/l4mob/suite.ts';
import { decodeOpen } from '../../src/l4mob/wire/hello.ts';
import { decodeInit, encodeInit } from '../../src/l4mob/wire/init.ts';
import { decodeOffer, encodeOffer, type Offer } from '../../src/l4mob/wire/offer.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const SERVICE: OfferedService = { sessionPort: 4433, addresses: ['198.51.100.1'] };
const SOURCE = { ip: '192.0.2.1', port: 5000 };

function group(name: string): Group {
  const found = groupByName(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function suite(name: string): Suite {
  const found = suiteByName(name);
  if (found === undefined) throw new Error(name);
  return found;
}

function initiator(init: Partial<InitiatorHandshakeInit> & { seed?: number } = {}): InitiatorHandshake {
  return new InitiatorHandshake({
    random: new SeededRandom(init.seed ?? 1),
    now: 0,
    transport: 6,
    responderPort: 80,
    groups: GROUPS,
    suites: SUITES,
    portCandidates: [2000, 3000],
    isPortFree: () => true,
    ...init,
  });
}

function responder(init: Partial<ResponderInit> = {}): Responder {
  return new Responder({
    random: new SeededRandom(2),
    now: 0,
    groups: GROUPS,
    suites: SUITES,
    portPairs: new PortPairTable(),
    ...init,
  });
}

/** A group that writes down who agrees on a secret. */
function watched(who: string, agreements: string[]): Group {
  const x25519 = group('x25519');
  const generate: Group['generate'] = (random) => {
    const pair = x25519.generate(random);
    const agree = (share: Uint8Array): Uint8Array => {
      agreements.push(who);
      return pair.agree(share);
    };
    return { share: pair.share, agree };
  };
  return { ...x25519, generate };
}

function accepted({ outcome }: InitiatorHandshake): Extract<HandshakeOutcome, { type: 'accepted' }> {
  if (outcome?.type !== 'accepted') throw new Error(`${outcome?.type}`);
  return outcome;
}

function openOf({ encodeOpen }: SessionIdentity): Uint8Array {
  if (encodeOpen === undefined) throw new Error('a responder opens nothing');
  return encodeOpen(1, 1000);
}

function take(handshake: InitiatorHandshake): Uint8Array {
  const bytes = handshake.pollTransmit();
  if (bytes === undefined) throw new Error('nothing to send');
  return bytes;
}

/** Carries messages to and fro until neither has anything to say; returns the offers. */
function converse(a: InitiatorHandshake, b: Responder, now = 0, source = SOURCE): Offer[] {
  const offers: Offer[] = [];
  for (let init = a.pollTransmit(); init !== undefined; init = a.pollTransmit()) {
    const offer = b.handleInit(now, init, source, SERVICE);
    if (offer === undefined) break;
    expect(offer.length).toBeLessThanOrEqual(init.length);
    offers.push(decodeOffer(offer));
    a.handleDatagram(now, offer);
  }
  return offers;
}

/** An INIT that nobody waits for an answer to. */
function freshInit(seed: number, cookie: Uint8Array = new Uint8Array(0)): Uint8Array {
  const init = decodeInit(
    take(initiator({ seed, groups: [group('x25519')], portCandidates: [1024 + (seed % 60_000)] })),
  );
  return encodeInit({ ...init, cookie });
}

describe('agreement', () => {
  it.each(GROUPS.flatMap((g) => SUITES.map((s) => [g.name, s.name, g, s] as const)))(
    '%s and %s give both the same keys',
    (_g, _s, g, s) => {
      const a = initiator({ groups: [g], suites: [s] });
      const b = responder();
      expect(converse(a, b).map((offer) => offer.status)).toEqual(['accepted']);
      const { outcome } = a;
      if (outcome?.type !== 'accepted') throw new Error(`${outcome?.type}`);
      const { association, portPair } = outcome;
      expect(portPair).toEqual({ initiator: 2000, responder: 80 });
      expect(association.suite).toBe(s);
      expect(association.peer).toMatchObject({ sessionPort: 4433, addresses: ['198.51.100.1'] });
      const mirror = b.association(association.id);
      const session = association.newSession(new SeededRandom(3), portPair);
      const identity = mirror?.identify(decodeOpen(session.encodeOpen?.(1, 1000) ?? new Uint8Array(0)));
      expect(identity?.keys).toEqual(session.keys);
    },
  );

  it('comes to keys with OPEN and not before, once on each side, whatever has become of the datagrams', () => {
    const agreements: string[] = [];
    const a = initiator({ groups: [watched('initiator', agreements)] });
    const b = responder({ groups: [watched('responder', agreements)] });
    const init = take(a).slice();
    const offer = b.handleInit(0, init, SOURCE, SERVICE)?.slice() ?? new Uint8Array(0);
    a.handleDatagram(0, offer);
    // Their memory is somebody else's by then.
    init.fill(0xa5);
    offer.fill(0xa5);
    const { association, portPair } = accepted(a);
    const mirror = b.association(association.id);
    if (mirror === undefined) throw new Error('no association');
    const session = association.newSession(new SeededRandom(3), portPair);
    expect(agreements).toEqual([]);
    const open = openOf(session);
    expect(agreements).toEqual(['initiator']);
    for (let i = 0; i < 10; i++) {
      const forged = open.slice();
      forged[forged.length - 1] = (open.at(-1) as number) ^ (i + 1);
      expect(mirror.identify(decodeOpen(forged))).toBeUndefined();
    }
    expect(b.isConfirmed(mirror)).toBe(false);
    expect(mirror.identify(decodeOpen(open))?.keys).toEqual(session.keys);
    b.confirm(mirror);
    expect(b.isConfirmed(mirror)).toBe(true);
    expect(agreements).toEqual(['initiator', 'responder']);
  });

  it('takes the responder’s first choice among what is offered', () => {
    const b = responder({ suites: [suite('chacha20-poly1305'), suite('hmac-sha256-128')] });
    const a = initiator({ suites: [suite('hmac-sha256-128'), suite('chacha20-poly1305')] });
    converse(a, b);
    expect(a.outcome).toMatchObject({ type: 'accepted', association: { suite: suite('chacha20-poly1305') } });
  });

  it('asks for another group, and gets its share', () => {
    const a = initiator();
    const offers = converse(a, responder({ groups: [group('modp2048')] }));
    expect(offers.map((o) => o.status)).toEqual(['group', 'accepted']);
    expect(a.outcome?.type).toBe('accepted');
  });

  it('asks for other ports where all candidates are taken, and takes one that is free on both nodes', () => {
    const portPairs = new PortPairTable();
    for (const port of [2000, 3000]) portPairs.take({ initiator: port, responder: 80 });
    const possible: number[] = [];
    const a = initiator({
      isPortFree: (port) => {
        possible.push(port);
        return possible.length > 5;
      },
    });
    expect(converse(a, responder({ portPairs })).map((o) => o.status)).toEqual(['ports', 'accepted']);
    expect(a.outcome).toMatchObject({ portPair: { initiator: possible[5] } });
  });

  it('proposes again where no named port is free here, and gives up after some rounds', () => {
    const portPairs = new PortPairTable();
    for (const port of [2000, 3000]) portPairs.take({ initiator: port, responder: 80 });
    const a = initiator({ isPortFree: () => false });
    expect(converse(a, responder({ portPairs }))).toHaveLength(MAX_HANDSHAKE_ROUNDS);
    expect(a.outcome).toEqual({ type: 'failed', reason: 'no-agreement' });
  });

  it('goes through cookie, group and ports in one attempt', () => {
    const portPairs = new PortPairTable();
    for (const port of [2000, 3000]) portPairs.take({ initiator: port, responder: 80 });
    const b = responder({ portPairs, groups: [group('modp2048'), group('x25519')] });
    for (let i = 0; i < DEFAULT_ENDPOINT_LIMITS.unconfirmedPerSource / 2; i++)
      b.handleInit(0, freshInit(i + 10), SOURCE, SERVICE);
    expect(b.counters.offers).toBe(DEFAULT_ENDPOINT_LIMITS.unconfirmedPerSource / 2);
    const a = initiator();
    expect(converse(a, b).map((o) => o.status)).toEqual(['cookie', 'group', 'ports', 'accepted']);
    expect(a.outcome?.type).toBe('accepted');
  });

  it('answers a repeated L4_INIT with the same L4_OFFER, and keeps one association for it', () => {
    const b = responder();
    const a = initiator();
    const init = take(a);
    const first = b.handleInit(0, init, SOURCE, SERVICE);
    expect(b.handleInit(5, init, { ...SOURCE, port: 5001 }, SERVICE)).toEqual(first);
    expect(b.counters).toMatchObject({ inits: 2, offers: 1 });
  });

  it.each([
    ['no-suite', { suites: [suite('hmac-sha256-128')] }, { suites: [suite('aes-128-gcm')] }],
    ['no-group', { groups: [group('x25519')] }, { groups: [group('modp3072')] }],
  ] as const)('is refused: %s', (reason, own, other) => {
    const a = initiator(own);
    converse(a, responder(other));
    expect(a.outcome).toEqual({ type: 'refused', reason });
  });

  it('is refused where the service says so', () => {
    const a = initiator();
    const b = responder();
    const offer = b.handleInit(0, take(a), SOURCE, { ...SERVICE, refusal: 'policy' });
    a.handleDatagram(0, offer ?? new Uint8Array(0));
    expect(a.outcome).toEqual({ type: 'refused', reason: 'policy' });
    expect(b.counters.refused).toBe(1);
  });

  it('needs a group and a suite to begin with', () => {
    expect(() => initiator({ groups: [] })).toThrow(RangeError);
    expect(() => initiator({ suites: [] })).toThrow(RangeError);
  });
});

describe('time', () => {
  it('sends again on its ladder and then gives up', () => {
    const a = initiator();
    const first = take(a);
    const sentAt: number[] = [];
    for (let at = a.pollTimeout(); at !== undefined; at = a.pollTimeout()) {
      a.handleTimeout(at - 1);
      expect(a.pollTransmit()).toBeUndefined();
      a.handleTimeout(at);
      if (a.pollTransmit() === first) sentAt.push(at);
    }
    expect(sentAt).toEqual([40, 120, 280, 600, 1240]);
    expect(a.outcome).toEqual({ type: 'failed', reason: 'no-answer' });
    a.handleTimeout(1e9);
    a.handleDatagram(1e9, first);
    expect(a.rejected).toBe(0);
  });

  it('late answers to an earlier round change nothing: a path slower than the ladder gets through', () => {
    const portPairs = new PortPairTable();
    for (const port of [2000, 3000]) portPairs.take({ initiator: port, responder: 80 });
    const b = responder({ portPairs, groups: [group('modp2048')] });
    const a = initiator();
    // Every L4_INIT is repeated five times before the first answer comes.
    for (let round = 0; a.outcome === undefined && round < 6; round++) {
      const init = take(a);
      const answers = Array.from({ length: 6 }, () => b.handleInit(0, init, SOURCE, SERVICE));
      for (const answer of answers) a.handleDatagram(0, answer ?? new Uint8Array(0));
    }
    expect(a.outcome?.type).toBe('accepted');
    expect(a.rejected).toBe(10);
  });

  it('forgets associations whose OPEN never came, and frees their port pairs', () => {
    const portPairs = new PortPairTable();
    const b = responder({ portPairs });
    const a = initiator();
    converse(a, b);
    const association = a.outcome?.type === 'accepted' ? a.outcome.association : undefined;
    if (association === undefined) throw new Error('not accepted');
    expect(b.pollTimeout()).toBe(UNCONFIRMED_MS);
    expect(portPairs.isFree(UNCONFIRMED_MS - 1, { initiator: 2000, responder: 80 })).toBe(false);
    b.handleTimeout(UNCONFIRMED_MS - 1);
    expect(b.association(association.id)).toBeDefined();
    b.handleTimeout(UNCONFIRMED_MS);
    expect(b.association(association.id)).toBeUndefined();
    expect(b.pollTimeout()).toBeUndefined();
    expect(portPairs.isFree(UNCONFIRMED_MS, { initiator: 2000, responder: 80 })).toBe(true);
  });

  it('keeps associations whose OPEN came, until they are forgotten', () => {
    const b = responder();
    const a = initiator();
    converse(a, b);
    const id = a.outcome?.type === 'accepted' ? a.outcome.association.id : new Uint8Array(8);
    const association = b.association(id);
    if (association === undefined) throw new Error('no association');
    b.confirm(association);
    b.handleTimeout(1e6);
    expect(b.association(id)).toBe(association);
    b.forget(association);
    expect(b.association(id)).toBeUndefined();
  });
});

describe('somebody in between', () => {
  /** One exchange in which the messages are changed on the way. */
  function tampered(change: { init?: (bytes: Uint8Array) => Uint8Array; offer?: (bytes: Uint8Array) => Uint8Array }): {
    a: InitiatorHandshake;
    b: Responder;
  } {
    const a = initiator();
    const b = responder();
    const init = take(a);
    const offer = b.handleInit(0, change.init?.(init) ?? init, SOURCE, SERVICE);
    if (offer !== undefined) a.handleDatagram(0, change.offer?.(offer) ?? offer);
    return { a, b };
  }

  /** Whether the two get as far as a session: the responder takes the OPEN that the initiator sends. */
  function opens({ a, b }: { a: InitiatorHandshake; b: Responder }): boolean {
    if (a.outcome?.type !== 'accepted') return false;
    const { association, portPair } = a.outcome;
    const session = association.newSession(new SeededRandom(3), portPair);
    return b.association(association.id)?.identify(decodeOpen(openOf(session))) !== undefined;
  }

  it('lets them open where nothing was changed', () => {
    expect(opens(tampered({}))).toBe(true);
  });

  it('cannot make both take another suite by removing the first', () => {
    const suiteIds = [suite('aes-128-gmac').id];
    const exchange = tampered({ init: (bytes) => encodeInit({ ...decodeInit(bytes), suiteIds }) });
    expect(exchange.b.counters.offers).toBe(1);
    expect(opens(exchange)).toBe(false);
  });

  it('cannot make both take another suite by writing it into the L4_OFFER', () => {
    const exchange = tampered({
      offer: (bytes) => {
        const offer = decodeOffer(bytes);
        if (offer.status !== 'accepted') throw new Error(offer.status);
        return encodeOffer({ ...offer, suiteId: suite('aes-128-gmac').id });
      },
    });
    expect(accepted(exchange.a).association.suite.name).toBe('aes-128-gmac');
    expect(opens(exchange)).toBe(false);
  });

  it('cannot make both take a weaker group by removing the others', () => {
    const exchange = tampered({ init: (bytes) => encodeInit({ ...decodeInit(bytes), groupIds: [1] }) });
    expect(exchange.b.counters.offers).toBe(1);
    expect(opens(exchange)).toBe(false);
  });

  it('cannot change any bit of either message unnoticed', () => {
    const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
      const out = bytes.slice();
      out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7));
      return out;
    };
    const init = take(initiator());
    const [initBits, offerBits] = [init, responder().handleInit(0, init, SOURCE, SERVICE)].map(
      (bytes) => 8 * (bytes?.length ?? 0),
    ) as [number, number];
    let reachedOpen = 0;
    for (let bit = 0; bit < initBits; bit += 5) {
      const exchange = tampered({ init: (bytes) => flip(bytes, bit) });
      if (exchange.a.outcome?.type === 'accepted') reachedOpen += 1;
      expect(opens(exchange), `bit ${bit} of L4_INIT`).toBe(false);
    }
    for (let bit = 0; bit < offerBits; bit += 3) {
      const exchange = tampered({ offer: (bytes) => flip(bytes, bit) });
      if (exchange.a.outcome?.type === 'accepted') reachedOpen += 1;
      expect(opens(exchange), `bit ${bit} of L4_OFFER`).toBe(false);
    }
    expect(reachedOpen).toBeGreaterThan(100);
  });

  it('cannot pass for another peer by the id of its association', () => {
    const asked: Uint8Array[] = [];
    const a = initiator({
      isIdFree: (id) => {
        asked.push(id.slice());
        return asked.length > 1;
      },
    });
    const offer = responder().handleInit(0, take(a), SOURCE, SERVICE) ?? new Uint8Array(0);
    a.handleDatagram(0, offer);
    expect([a.outcome, a.rejected]).toEqual([undefined, 1]);
    a.handleDatagram(0, offer);
    expect(a.outcome).toMatchObject({ type: 'accepted', association: { id: asked[0] } });
  });

  it.each([
    ['x25519', new Uint8Array(32)],
    ['modp2048', Uint8Array.from({ length: 256 }, (_, i) => (i === 255 ? 1 : 0))],
  ])('cannot put a share of %s there with which it would know the keys', (name, share) => {
    const a = initiator({ groups: [group(name)] });
    const offer = decodeOffer(responder().handleInit(0, take(a), SOURCE, SERVICE) ?? new Uint8Array(0));
    if (offer.status !== 'accepted') throw new Error(offer.status);
    a.handleDatagram(0, encodeOffer({ ...offer, share }));
    expect([a.outcome, a.rejected]).toEqual([undefined, 1]);
    a.handleDatagram(0, encodeOffer(offer));
    expect(a.outcome?.type).toBe('accepted');
  });

  it('cannot use a foreign, truncated or old L4_OFFER', () => {
    const b = responder();
    const other = initiator({ seed: 9 });
    const foreign = b.handleInit(0, take(other), SOURCE, SERVICE) ?? new Uint8Array(0);
    const a = initiator();
    const genuine = b.handleInit(0, take(a), SOURCE, SERVICE) ?? new Uint8Array(0);
    a.handleDatagram(0, foreign);
    for (let length = 0; length < genuine.length; length++) a.handleDatagram(0, genuine.subarray(0, length));
    expect([a.outcome, a.rejected]).toEqual([undefined, genuine.length + 1]);
    a.handleDatagram(0, genuine);
    expect(a.outcome?.type).toBe('accepted');
  });

  it('does not spoil a handshake by an earlier, altered copy of its L4_INIT', () => {
    const a = initiator();
    const b = responder();
    const init = take(a);
    b.handleInit(0, encodeInit({ ...decodeInit(init), suiteIds: [1] }), SOURCE, SERVICE);
    b.handleInit(0, encodeInit({ ...decodeInit(init), portCandidates: [7777] }), SOURCE, SERVICE);
    a.handleDatagram(0, b.handleInit(0, init, SOURCE, SERVICE) ?? new Uint8Array(0));
    expect(a.outcome?.type).toBe('accepted');
  });

  it('gets silence for a malformed L4_INIT, which is counted', () => {
    const b = responder();
    const init = take(initiator());
    for (let length = 0; length < init.length; length++) {
      expect(b.handleInit(0, init.subarray(0, length), SOURCE, SERVICE)).toBeUndefined();
    }
    const zeroShare = encodeInit({ ...decodeInit(init), share: new Uint8Array(32) });
    expect(b.handleInit(0, zeroShare, SOURCE, SERVICE)).toBeUndefined();
    const shortShare = encodeInit({ ...decodeInit(init), share: new Uint8Array(31).fill(1) });
    expect(b.handleInit(0, shortShare, SOURCE, SERVICE)).toBeUndefined();
    expect(b.counters).toMatchObject({ malformed: init.length + 2, offers: 0 });
    expect(b.pollTimeout()).toBeUndefined();
  });

  it('gets silence rather than an answer larger than the question', () => {
    const init = decodeInit(take(initiator()));
    const whole = encodeInit(init);
    // The same without its padding.
    const used = whole.length - [...whole].reverse().findIndex((b) => b !== 0) + 1;
    const short = whole.slice(0, used);
    new DataView(short.buffer).setUint16(6, short.length - 8);
    expect(decodeInit(short)).toMatchObject({ responderPort: 80 });
    const addresses = Array.from({ length: 8 }, (_, i) => `2001:db8::${i + 1}`);
    expect(responder().handleInit(0, short, SOURCE, { ...SERVICE, addresses })).toBeUndefined();
  });

  it('is told off by an initiator that hears of things it did not offer', () => {
    const a = initiator({ groups: [group('x25519')], suites: [suite('aes-128-gmac')] });
    const { attempt } = decodeInit(take(a));
    a.handleDatagram(0, encodeOffer({ status: 'group', attempt, groupId: 3 }));
    expect([a.rejected, a.outcome, a.pollTransmit()]).toEqual([1, undefined, undefined]);
  });
});

describe('floods', () => {
  const source = (i: number): { ip: string; port: number } => ({
    ip: `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`,
    port: 1000,
  });

  it('from spoofed sources: cookies are demanded, nothing is kept, and answers are smaller than questions', () => {
    const b = responder();
    let kept = 0;
    for (let i = 0; i < 1_500; i++) {
      const init = freshInit(i + 100);
      const offer = b.handleInit(0, init, source(i), SERVICE);
      if (offer === undefined) continue;
      expect(offer.length).toBeLessThan(init.length);
      if (decodeOffer(offer).status === 'accepted') kept += 1;
    }
    expect(kept).toBeLessThanOrEqual(Math.min(HANDSHAKES_PER_SECOND_BEFORE_COOKIES, MAX_UNCONFIRMED / 2));
    expect(b.counters.cookiesDemanded).toBe(1_500 - kept);
    const a = initiator();
    expect(converse(a, b).map((o) => o.status)).toEqual(['cookie', 'accepted']);
  });

  it('from one address with cookies: so many and no more', () => {
    const b = responder();
    const statuses: string[] = [];
    for (let i = 0; i < 40; i++)
      statuses.push(converse(initiator({ seed: i + 50, portCandidates: [5000 + i] }), b).at(-1)?.status ?? '');
    expect(statuses.filter((s) => s === 'accepted')).toHaveLength(DEFAULT_ENDPOINT_LIMITS.unconfirmedPerSource);
    expect(statuses.at(-1)).toBe('refused');
  });

  it('from one IPv6 /64 count as from one address', () => {
    const b = responder();
    const statuses: string[] = [];
    for (let i = 0; i < 40; i++) {
      const from = { ip: `2001:db8::${(i + 1).toString(16)}`, port: 1000 };
      statuses.push(converse(initiator({ seed: i + 50, portCandidates: [5000 + i] }), b, 0, from).at(-1)?.status ?? '');
    }
    expect(statuses.filter((s) => s === 'accepted')).toHaveLength(DEFAULT_ENDPOINT_LIMITS.unconfirmedPerSource);
    const elsewhere = { ip: '2001:db8:0:1::1', port: 1000 };
    expect(converse(initiator({ seed: 999 }), b, 0, elsewhere).at(-1)?.status).toBe('accepted');
  });

  it('push out the association that has opened nothing for longest', () => {
    const limits = { ...DEFAULT_ENDPOINT_LIMITS, associations: 100 };
    const b = responder({ groups: [group('x25519')], limits });
    const ids: Uint8Array[] = [];
    for (let i = 0; i <= limits.associations; i++) {
      const offer = b.handleInit(i * 10, freshInit(i + 1), source(i), SERVICE);
      if (offer === undefined) throw new Error(`no answer to ${i}`);
      const decoded = decodeOffer(offer);
      if (decoded.status !== 'accepted') throw new Error(decoded.status);
      const association = b.association(decoded.associationId);
      if (association === undefined) throw new Error('not kept');
      b.confirm(association);
      ids.push(association.id);
      // The first one is used again and again.
      const first = b.association(ids[0] as Uint8Array);
      if (first !== undefined) b.confirm(first);
    }
    expect(b.association(ids[0] as Uint8Array)).toBeDefined();
    expect(b.association(ids[1] as Uint8Array)).toBeUndefined();
    expect(b.association(ids[2] as Uint8Array)).toBeDefined();
  });
});
