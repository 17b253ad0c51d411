/** The resolver core by itself, in virtual time: what it asks, what it gives out, and for how long. */
import { describe, expect, it } from 'vitest';
import { AddressHistory } from '../../src/aarp/address-history.ts';
import { INQUIRY_LIMIT_MS } from '../../src/aarp/inquiry.ts';
import { DEFAULT_RESOLVER_LIMITS, DEFAULT_RESOLVER_TIMES } from '../../src/aarp/limits.ts';
import { UsageError } from '../../src/core/errors.ts';
import { AnycastWorld } from './anycast-world.ts';

const ANY = '2001:db8::53';
const ONE = '2001:db8:1::1';
const TWO = '2001:db8:1::2';
const {
  anycastMs,
  longestAnycastMs,
  unconfirmedMs,
  unicastMs,
  silentMs,
  longestSilentMs,
  unreachableMs,
  shunMs,
  lingerMs,
} = DEFAULT_RESOLVER_TIMES;

function echoOnly(seed = 1): AnycastWorld {
  return new AnycastWorld(seed, { methods: ['echo'] });
}

describe('an anycast address', () => {
  it('is resolved to the source of the echo reply, once that has answered itself', () => {
    const world = echoOnly();
    world.serve(ANY, {}, {});
    const waiter = world.resolve(ANY);
    world.time.pass(19);
    expect(waiter.events).toEqual([]);
    expect(world.probes.map(({ method, to }) => `${method} ${to}`)).toEqual([`echo ${ANY}`, `echo ${ONE}`]);
    expect(world.answerOf(waiter)).toMatchObject({
      type: 'resolved',
      resolution: { address: ANY, unicast: ONE, kind: 'anycast', confirmed: true, ttlMs: anycastMs },
    });
    expect(world.time.now).toBe(20);
  });

  it('is asked about once, however many callers there are', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    const waiters = Array.from({ length: 100 }, () => world.resolve('2001:DB8:0::53'));
    world.time.pass(100);
    expect(waiters.map(({ events }) => events.length)).toEqual(waiters.map(() => 1));
    expect([world.sayings(ANY), world.sayings(ONE)]).toEqual([1, 1]);
  });

  it('is not asked about again within its time, and is after it', () => {
    const world = echoOnly();
    const [near] = world.serve(ANY, { alive: false }, {});
    expect(world.resolution(ANY).unicast).toBe(TWO);
    if (near !== undefined) near.alive = true;
    world.time.pass(anycastMs - 1);
    expect(world.resolution(ANY)).toMatchObject({ unicast: TWO, ttlMs: 1 });
    expect(world.sayings(ANY)).toBe(1);
    world.time.pass(1);
    expect(world.resolver.cached(world.time.now, ANY)).toBeUndefined();
    expect(world.resolution(ANY).unicast).toBe(ONE);
  });

  it('is asked about again and again where probes are lost, and answers to earlier ones count', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    world.conditions.latencyMs = 200;
    const waiter = world.resolve(ANY);
    world.time.pass(390);
    expect(world.sayings(ANY)).toBe(2);
    world.answerOf(waiter);
    expect(world.time.now).toBe(800);
    world.time.pass(3_000);
    expect(world.resolver.counters).toMatchObject({ answers: 4, strays: 0 });
  });

  it('is resolved to the address that works where the reply comes from one that does not', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { addresses: ['fd00::1', ONE], dark: ['fd00::1'], speaksAarp: true });
    expect(world.resolution(ANY)).toMatchObject({ unicast: ONE, confirmed: true });
  });

  it('is resolved to an address that answers no probes where there is no other, for a short time', () => {
    const world = echoOnly();
    world.serve(ANY, { dark: [ONE] });
    expect(world.resolution(ANY)).toMatchObject({ unicast: ONE, confirmed: false, ttlMs: unconfirmedMs });
    expect(world.time.now).toBeLessThanOrEqual(INQUIRY_LIMIT_MS);
  });

  it('is kept for as long as a member asks, also where the echo reply named that member first', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { speaksAarp: true, lifetimeMs: 7_000 });
    expect(world.resolution(ANY).ttlMs).toBe(7_000);
  });

  it('is not resolved to an address for which others answer', () => {
    const world = echoOnly();
    world.serve(ANY, { addresses: [ONE] });
    world.serve(ONE, { addresses: [TWO] });
    expect(world.resolution(ANY)).toMatchObject({ unicast: ONE, confirmed: false });
  });

  it('whose members reply from it is told from a unicast address by AARP', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { fromItself: true, speaksAarp: true, lifetimeMs: 7_000 });
    expect(world.resolution(ANY)).toMatchObject({ kind: 'anycast', unicast: ONE, confirmed: true, ttlMs: 7_000 });
  });

  it('is kept for as long as the member asks for, also where its kernel has answered before', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { silent: true });
    const { resolver, time } = world;
    const waiter = world.resolve(ANY);
    const answer = (to: string, one: Parameters<typeof resolver.handleAnswer>[2]): void => {
      const nonce = world.probes.find((probe) => probe.to === to)?.nonce ?? new Uint8Array(0);
      resolver.handleAnswer(time.now, nonce, one);
      world.drain();
    };
    answer(ANY, { method: 'echo', from: ONE });
    answer(ONE, { method: 'echo', from: ONE });
    expect(waiter.events).toMatchObject([{ resolution: { unicast: ONE, ttlMs: anycastMs } }]);
    time.pass(3);
    answer(ANY, { method: 'aarp', from: ONE, members: [ONE], lifetimeMs: 7_000 });
    expect(resolver.cached(time.now, ANY)).toMatchObject({ unicast: ONE, ttlMs: 6_997 });
    answer(ONE, { method: 'aarp', from: ONE, members: [ONE], lifetimeMs: 9_000 });
    expect(resolver.cached(time.now, ANY)).toMatchObject({ ttlMs: 8_997 });
  });

  it('whose members reply from it is told so even when the AARP reply comes later than the echo reply, and its confirmation much later', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { fromItself: true, silent: true });
    const waiter = world.resolve(ANY);
    const nonce = world.probes[0]?.nonce ?? new Uint8Array(0);
    const { resolver, time } = world;
    time.pass(100);
    resolver.handleAnswer(time.now, nonce, { method: 'echo', from: ANY });
    world.drain();
    time.pass(150);
    resolver.handleAnswer(time.now, nonce, { method: 'aarp', from: ANY, members: [ONE], lifetimeMs: 0 });
    world.drain();
    time.pass(700);
    expect(waiter.events).toEqual([]);
    const [, confirmation] = world.probes.filter(({ to }) => to === ONE);
    resolver.handleAnswer(time.now, confirmation?.nonce ?? nonce, { method: 'echo', from: ONE });
    world.drain();
    expect(waiter.events).toMatchObject([{ resolution: { unicast: ONE, confirmed: true } }]);
  });
});

describe('an echo reply from the address itself', () => {
  /** An echo reply to the first probe after 10 ms, and an AARP reply after 20 ms, in whichever order. */
  function told(order: readonly ('echo' | 'aarp')[]): AnycastWorld {
    const world = new AnycastWorld(1);
    world.resolve(ANY);
    const nonce = world.probes[0]?.nonce ?? new Uint8Array(0);
    for (const method of order) {
      world.time.pass(10);
      const members = { members: [ONE], lifetimeMs: 0 };
      world.resolver.handleAnswer(world.time.now, nonce, { from: ANY, method, ...members });
      world.drain();
    }
    return world;
  }

  it.each([[['echo', 'aarp'] as const], [['aarp', 'echo'] as const]])(
    'does not end the wait for members: %j',
    (order) => {
      const world = told(order);
      world.time.pass(400);
      const [waiter] = world.waiters.values();
      expect(waiter?.events).toEqual([]);
      world.time.pass(2_000);
      // Nobody at the member's own address answers, and the address itself does.
      expect(waiter?.events).toMatchObject([{ resolution: { kind: 'unicast', unicast: ANY } }]);
    },
  );

  it('is waited with for two round trips, counted from the first probe', () => {
    const world = new AnycastWorld(1);
    const waiter = world.resolve(ANY);
    world.time.pass(260);
    world.resolver.handleAnswer(260, world.probes[0]?.nonce ?? new Uint8Array(0), { method: 'echo', from: ANY });
    world.drain();
    world.time.pass(499);
    expect(waiter.events).toEqual([]);
    world.time.pass(1);
    expect(waiter.events).toHaveLength(1);
  });
});

describe('a unicast address', () => {
  it('is known by answering for itself, and for long', () => {
    const world = echoOnly();
    world.serve('2001:db8:2::1', { addresses: [ONE] });
    expect(world.resolution(ONE)).toEqual({
      address: ONE,
      kind: 'unicast',
      unicast: ONE,
      confirmed: true,
      ttlMs: unicastMs,
    });
    expect(world.time.now).toBe(10);
  });

  it('is at once where the host says so by AARP, and soon where it says nothing', () => {
    const world = new AnycastWorld(1);
    world.serve('2001:db8:2::1', { addresses: [ONE], speaksAarp: true }, { addresses: [TWO] });
    expect(world.resolution(ONE).kind).toBe('unicast');
    expect(world.time.now).toBe(10);
    expect(world.resolution(TWO).kind).toBe('unicast');
    expect(world.time.now).toBe(50);
  });

  it('of IPv4 is known by AARP alone: echo replies come from the asked address in either case', () => {
    const world = new AnycastWorld(1);
    world.serve('192.0.2.53', { addresses: ['198.51.100.7'], fromItself: true, speaksAarp: true });
    expect(world.resolution('192.0.2.53').unicast).toBe('198.51.100.7');
    expect(world.sayings('192.0.2.53', 'echo')).toBe(0);
    const plain = echoOnly();
    plain.serve('192.0.2.53', {});
    expect(plain.answerOf(plain.resolve('192.0.2.53'))).toMatchObject({ type: 'unresolved', reason: 'unreachable' });
  });
});

describe('silence', () => {
  it('is told, kept for a while, and for longer each time', () => {
    const world = echoOnly();
    expect(world.answerOf(world.resolve(ANY))).toMatchObject({ type: 'unresolved', reason: 'silent', address: ANY });
    expect(world.time.now).toBe(1_750);
    expect(world.answerOf(world.resolve(ANY))).toMatchObject({ type: 'unresolved', reason: 'silent' });
    expect(world.sayings(ANY)).toBe(3);
    world.time.pass(silentMs);
    world.answerOf(world.resolve(ANY));
    world.time.pass(silentMs);
    world.answerOf(world.resolve(ANY));
    expect(world.sayings(ANY)).toBe(6);
    world.time.pass(silentMs);
    world.answerOf(world.resolve(ANY));
    expect(world.sayings(ANY)).toBe(9);
  });

  it('is over with the first answer', () => {
    const world = echoOnly();
    for (let i = 0; i < 3; i++) {
      world.answerOf(world.resolve(ANY));
      world.time.pass(longestSilentMs);
    }
    const [member] = world.serve(ANY, {});
    world.resolution(ANY);
    if (member !== undefined) member.alive = false;
    world.time.pass(anycastMs);
    world.answerOf(world.resolve(ANY));
    const before = world.sayings(ANY);
    world.time.pass(silentMs);
    world.answerOf(world.resolve(ANY));
    expect(world.sayings(ANY)).toBe(before + 3);
  });

  it('is told at once where nothing can be sent', () => {
    const world = echoOnly();
    const waiter = world.resolve(ANY);
    world.resolver.handleUnsendable(world.time.now, world.probes[0] ?? { nonce: new Uint8Array(0), method: 'echo' });
    world.drain();
    expect(waiter.events).toMatchObject([{ reason: 'unreachable' }]);
    // However often: the route may be back the next moment.
    for (let i = 1; i <= 5; i++) {
      world.time.pass(unreachableMs);
      world.resolve(ANY);
      expect(world.sayings(ANY)).toBe(1 + i);
      const [last] = world.probes.slice(-1);
      world.resolver.handleUnsendable(world.time.now, last ?? { nonce: new Uint8Array(0), method: 'echo' });
      world.drain();
    }
  });
});

describe('a member that fails', () => {
  it('is left within one failed connection, for the one that the network names next', () => {
    const world = echoOnly();
    const [near] = world.serve(ANY, {}, {});
    expect(world.resolution(ANY).unicast).toBe(ONE);
    if (near !== undefined) near.alive = false;
    world.failed(ANY, ONE);
    expect(world.resolver.cached(world.time.now, ANY)).toBeUndefined();
    expect(world.resolution(ANY).unicast).toBe(TWO);
    expect(world.sayings(ANY)).toBe(2);
  });

  it('is left for an alternate that answered as well, though the network still leads to it', () => {
    const world = echoOnly();
    world.serve(ANY, {}, {});
    const waiter = world.resolve(ANY);
    const [first] = world.probes;
    world.answerOf(waiter);
    // A second member answers the same probe, later than the first.
    world.resolver.handleAnswer(world.time.now, first?.nonce ?? new Uint8Array(0), { method: 'echo', from: TWO });
    world.drain();
    world.failed(ANY, ONE);
    expect(world.resolution(ANY)).toMatchObject({ unicast: TWO, confirmed: true });
  });

  it('is left for another host, not for another address of its own', () => {
    const world = new AnycastWorld(1);
    const other = '2001:db8:2::1';
    const failing = { addresses: [ONE, TWO], speaksAarp: true };
    world.serve(ANY, failing);
    const waiter = world.resolve(ANY);
    const nonce = world.probes[0]?.nonce ?? new Uint8Array(0);
    world.answerOf(waiter);
    world.time.pass(100);
    world.resolver.handleAnswer(world.time.now, nonce, { method: 'echo', from: other });
    // Routing has left it; both its addresses still answer for themselves.
    world.serve('2001:db8::54', failing);
    world.serve(ANY, { addresses: [other] });
    world.failed(ANY, ONE);
    expect(world.resolution(ANY).unicast).toBe(other);
  });

  it('is left also where it fails while the address is being asked about', () => {
    const world = echoOnly();
    const waiter = world.resolve(ANY);
    const nonce = world.probes[0]?.nonce ?? new Uint8Array(0);
    for (const from of [ONE, TWO]) world.resolver.handleAnswer(0, nonce, { method: 'echo', from });
    world.failed(ANY, ONE);
    for (const ip of [ONE, TWO]) {
      const confirmation = world.probes.find(({ to }) => to === ip);
      world.resolver.handleAnswer(1, confirmation?.nonce ?? nonce, { method: 'echo', from: ip });
      world.drain();
    }
    expect(waiter.events).toMatchObject([{ resolution: { unicast: TWO, confirmed: true } }]);
  });

  it('is given out again where it is the only one that answers', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    world.resolution(ANY);
    world.failed(ANY, ONE);
    expect(world.resolution(ANY).unicast).toBe(ONE);
    expect(world.time.now).toBe(40);
  });

  it('is so without waiting for its other addresses, which are the same host', () => {
    const world = new AnycastWorld(1);
    world.serve(ANY, { addresses: [ONE, TWO], dark: [TWO], speaksAarp: true });
    world.resolution(ANY);
    world.failed(ANY, ONE);
    expect(world.resolution(ANY).unicast).toBe(ONE);
    expect(world.time.now).toBe(40);
  });

  it('is waited out for others that were known, as long as any of them may answer', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    const waiter = world.resolve(ANY);
    const nonce = world.probes[0]?.nonce ?? new Uint8Array(0);
    world.answerOf(waiter);
    world.resolver.handleAnswer(world.time.now, nonce, { method: 'echo', from: TWO });
    world.failed(ANY, ONE);
    expect(world.resolution(ANY).unicast).toBe(ONE);
    expect(world.time.now).toBe(540);
  });

  it('is no longer kept away from after its time', () => {
    const world = echoOnly();
    const [near] = world.serve(ANY, {}, {});
    world.resolution(ANY);
    if (near !== undefined) near.alive = false;
    world.failed(ANY, ONE);
    expect(world.resolution(ANY).unicast).toBe(TWO);
    if (near !== undefined) near.alive = true;
    world.time.pass(Math.max(anycastMs, shunMs));
    expect(world.resolution(ANY).unicast).toBe(ONE);
  });

  it('brings one inquiry, however many connections to it fail', () => {
    const world = echoOnly();
    world.serve(ANY, {}, {})[0];
    world.resolution(ANY);
    for (let i = 0; i < 50; i++) world.failed(ANY, ONE);
    world.time.pass(1_000);
    expect(world.resolver.counters.inquiries).toBe(2);
    for (let i = 0; i < 50; i++) world.failed(ANY, TWO);
    expect(world.resolver.counters.inquiries).toBe(2);
  });

  it('that fails all the time does not have the address asked all the time', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    for (let i = 0; i < 20; i++) {
      world.failed(ANY, world.resolution(ANY).unicast);
    }
    expect(world.time.now).toBeGreaterThan(15_000);
    expect(world.sayings(ANY)).toBeLessThanOrEqual(21);
  });
});

describe('what nobody asked for', () => {
  it.each([
    ['a group', 'ff02::1'],
    ['loopback', '::1'],
    ['no address', '::'],
    ['a link', 'fe80::1%eth0'],
    ['the other family', '192.0.2.1'],
  ])('%s is no member', (_, from) => {
    const world = echoOnly();
    const waiter = world.resolve(ANY);
    world.resolver.handleAnswer(1, world.probes[0]?.nonce ?? new Uint8Array(0), { method: 'echo', from });
    world.drain();
    expect(world.answerOf(waiter)).toMatchObject({ type: 'unresolved', reason: 'silent' });
    expect(world.probes.every(({ to }) => to === ANY)).toBe(true);
  });

  it('an answer with another nonce changes nothing and is counted', () => {
    const world = echoOnly();
    world.resolve(ANY);
    const before = world.resolver.pollTimeout();
    world.resolver.handleAnswer(1, new Uint8Array(16), { method: 'echo', from: ONE });
    expect(world.resolver.counters).toMatchObject({ answers: 0, strays: 1 });
    expect([world.resolver.pollTimeout(), world.resolver.pollProbe()]).toEqual([before, undefined]);
  });

  it('a long list of members has eight of them asked', () => {
    const world = new AnycastWorld(1);
    const addresses = Array.from({ length: 200 }, (_, i) => `2001:db8:9::${(i + 1).toString(16)}`);
    world.serve(ANY, { addresses, dark: addresses, speaksAarp: true });
    world.answerOf(world.resolve(ANY));
    expect(new Set(world.probes.map(({ to }) => to)).size).toBe(9);
  });
});

describe('limits', () => {
  it('entries: the oldest goes', () => {
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { entries: 3 } });
    for (let i = 1; i <= 5; i++) {
      world.serve(`2001:db8::${i}`, {});
      world.resolution(`2001:db8::${i}`);
    }
    expect(world.resolver.list(world.time.now).map(({ address }) => address)).toEqual([
      '2001:db8::3',
      '2001:db8::4',
      '2001:db8::5',
    ]);
  });

  it('entries: what was learnt anew is young again', () => {
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { entries: 2 }, times: { unconfirmedMs: 50 } });
    world.serve('2001:db8::1', { dark: [ONE] });
    world.resolution('2001:db8::1');
    world.serve('2001:db8::2', {});
    world.resolution('2001:db8::2');
    world.time.pass(50);
    world.resolution('2001:db8::1');
    world.serve('2001:db8::3', {});
    world.resolution('2001:db8::3');
    expect(world.resolver.list(world.time.now).map(({ address }) => address)).toEqual(['2001:db8::1', '2001:db8::3']);
  });

  it('questions that are over: those of as many inquiries as there may be are still listened to', () => {
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { inquiries: 2 } });
    for (let i = 1; i <= 9; i++) {
      world.serve(`2001:db8::${i}`, {});
      world.resolution(`2001:db8::${i}`);
    }
    // The address and its member, for each of the last two.
    expect(world.resolver.openQuestions).toBe(4);
    world.time.pass(lingerMs);
    expect(world.resolver.openQuestions).toBe(0);
  });

  it('time: nobody waits longer, though probes have to; and what was not asked is not taken for silence', () => {
    const rate = { burst: 1, intervalMs: 60_000 };
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { probeRate: rate } });
    world.serve(ANY, {});
    world.resolve(ONE);
    const waiter = world.resolve(ANY);
    expect(world.answerOf(waiter)).toMatchObject({ type: 'unresolved', reason: 'busy' });
    expect(world.time.now).toBe(INQUIRY_LIMIT_MS);
    expect(world.resolver.entries).toBe(1);
    world.time.pass(60_000);
    expect(world.answerOf(world.resolve(ANY))).toMatchObject({ type: 'resolved' });
  });

  it('histories: the address that was touched longest ago is forgotten, and of one address the oldest failure', () => {
    const history = new AddressHistory({ ...DEFAULT_RESOLVER_LIMITS, histories: 2, shunnedPerAddress: 2 });
    const [one, two, three] = [`${ANY}1`, `${ANY}2`, `${ANY}3`] as const;
    for (const [ip, member] of [
      [one, 'a'],
      [two, 'b'],
      [one, 'c'],
      [one, 'd'],
      [three, 'e'],
    ] as const) {
      history.shun(0, ip, member, 1_000);
    }
    expect([one, two, three].map((ip) => [...history.shunned(999, ip)])).toEqual([['c', 'd'], [], ['e']]);
    expect([...history.shunned(1_000, one)]).toEqual([]);
  });

  it('inquiries and callers: the others are told that it is busy, and nothing is kept of that', () => {
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { inquiries: 2, waiting: 3 } });
    const waiters = ['1', '2', '3', '2', '2'].map((end) => world.resolve(`2001:db8::${end}`));
    expect(waiters.map(({ events }) => events.map((event) => event.type === 'unresolved' && event.reason))).toEqual([
      [],
      [],
      ['busy'],
      [],
      ['busy'],
    ]);
    world.time.pass(10_000);
    expect(world.resolver.entries).toBe(2);
  });

  it('all probes together keep to their rate', () => {
    const world = new AnycastWorld(1, { methods: ['echo'], limits: { probeRate: { burst: 10, intervalMs: 20 } } });
    for (let i = 1; i <= 100; i++) world.resolve(`2001:db8::${i.toString(16)}`);
    expect(world.probes.length).toBe(10);
    world.time.pass(1_000);
    expect(world.probes.length).toBe(60);
  });
});

describe('what is known beforehand', () => {
  const known = { address: ANY, kind: 'anycast', unicast: TWO, confirmed: true, ttlMs: 1e12 } as const;

  it('is given out, for no longer than what is learnt', () => {
    const world = echoOnly();
    world.resolver.remember(0, known);
    world.resolver.remember(0, { ...known, address: ONE, kind: 'unicast', unicast: ONE });
    expect(world.resolver.cached(0, ANY)).toEqual({ ...known, ttlMs: longestAnycastMs });
    expect(world.resolver.cached(0, ONE)?.ttlMs).toBe(unicastMs);
    expect(world.probes).toEqual([]);
  });

  it('does not replace what was learnt', () => {
    const world = echoOnly();
    world.serve(ANY, {});
    world.resolution(ANY);
    world.resolver.remember(world.time.now, known);
    expect(world.resolver.cached(world.time.now, ANY)?.unicast).toBe(ONE);
  });
});

describe('the end', () => {
  it('tells everyone who waits', () => {
    const world = echoOnly();
    const waiters = [world.resolve(ANY), world.resolve(ANY), world.resolve(ONE)];
    world.resolver.close();
    world.drain();
    expect(waiters.map(({ events }) => events)).toMatchObject(waiters.map(() => [{ reason: 'closed' }]));
    expect([world.resolver.waiting, world.resolver.openQuestions, world.resolver.pollTimeout()]).toEqual([
      0,
      0,
      undefined,
    ]);
  });

  it.each(['example.org', '', 'ff02::1', '::', '255.255.255.255'])('%j is refused', (address) => {
    expect(() => echoOnly().resolve(address)).toThrow(UsageError);
  });
});
