/**
 * Resolvers under seeded weather: members that die and come back, addresses that don't work from here, loss, late and
 * doubled answers, forged ones, and callers at any time. What must hold holds at every step. MOBISOCK_TEST_LONG=1 runs
 * twenty times as many.
 */
import { expect, it } from 'vitest';
import { INQUIRY_LIMIT_MS } from '../../src/aarp/inquiry.ts';
import type { ResolverLimits } from '../../src/aarp/limits.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { AnycastWorld, type Waiter } from './anycast-world.ts';

const SEEDS = process.env.MOBISOCK_TEST_LONG === '1' ? 40_000 : 2_000;
const LIMITS = { entries: 6, inquiries: 4, waiting: 12, histories: 5 } satisfies Partial<ResolverLimits>;
/** Nine questions of inquiries under way, and of as many that have ended. */
const OPEN_QUESTIONS = 2 * 9 * LIMITS.inquiries + 9;
const TIMES = { anycastMs: 3_000, unicastMs: 20_000, silentMs: 500, longestSilentMs: 2_000, shunMs: 1_000 };

function storm(seed: number): AnycastWorld {
  const random = new SeededRandom(seed ^ 0xaa2);
  const methods = random.pick([['echo', 'aarp'], ['echo'], ['aarp']] as const);
  const world = new AnycastWorld(seed, { methods, limits: LIMITS, times: TIMES });
  Object.assign(world.conditions, {
    latencyMs: random.pick([1, 20, 150, 400]),
    jitterMs: random.pick([0, 10, 600]),
    loss: random.pick([0, 0.1, 0.5]),
    duplication: random.pick([0, 0.2]),
  });
  const addresses = Array.from({ length: random.between(1, 9) }, (_, i) => `2001:db8::${i + 1}`);
  for (const [i, address] of addresses.entries()) {
    const members = Array.from({ length: random.between(0, 4) }, (_, m) => {
      const own = Array.from({ length: random.between(1, 3) }, (_, n) => `2001:db8:${i + 1}:${m + 1}::${n + 1}`);
      return {
        addresses: own,
        dark: own.filter(() => random.chance(0.2)),
        fromItself: random.chance(0.2),
        speaksAarp: random.chance(0.5),
        silent: random.chance(0.1),
        lifetimeMs: random.pick([0, 0, 1_500]),
        alive: random.chance(0.8),
      };
    });
    world.serve(address, ...members);
  }
  let at = 0;
  for (let events = random.between(5, 40); events > 0; events--) {
    at += random.pick([0, 1, 30, 400, 3_000]) * random.fraction();
    world.time.at(at, happening(world, random, random.pick(addresses)));
  }
  return world;
}

function happening(world: AnycastWorld, random: SeededRandom, address: string): () => void {
  const callers = random.pick([1, 1, 3, 20]);
  const resolve = (): void => {
    for (let i = 0; i < callers; i++) world.resolve(address);
  };
  return random.pick([
    resolve,
    resolve,
    resolve,
    () => {
      for (const member of world.members.get(address) ?? []) if (random.chance(0.5)) member.alive = !member.alive;
    },
    () => {
      const found = world.resolver.cached(world.time.now, address);
      if (found !== undefined) world.failed(address, found.unicast);
    },
    () => world.resolver.flush(random.chance(0.5) ? address : undefined),
    () => {
      // A true nonce in a forged answer can't be had; everything else can.
      const members = [address, '2001:db8:bad::1'];
      world.resolver.handleAnswer(world.time.now, random.bytes(16), {
        method: 'aarp',
        from: address,
        members,
        lifetimeMs: 0,
      });
    },
    () => {
      world.resolver.handleTimeout(world.time.now);
      world.drain();
    },
  ]);
}

it(`holds what it promises, ${SEEDS} seeds`, { timeout: 600_000 }, () => {
  let resolved = 0;
  let unresolved = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const world = storm(seed);
    const { resolver } = world;
    world.check = () => {
      if (resolver.entries > LIMITS.entries) throw new Error(`seed ${seed}: ${resolver.entries} entries`);
      if (resolver.inquiries > LIMITS.inquiries) throw new Error(`seed ${seed}: ${resolver.inquiries} inquiries`);
      if (resolver.waiting > LIMITS.waiting) throw new Error(`seed ${seed}: ${resolver.waiting} wait`);
      if (resolver.openQuestions > OPEN_QUESTIONS) throw new Error(`seed ${seed}: ${resolver.openQuestions} questions`);
    };
    world.time.pass(200_000);
    const wrong = [...world.waiters.values()].filter(
      ({ events, answeredAt = Number.POSITIVE_INFINITY, askedAt }) =>
        events.length !== 1 || answeredAt - askedAt > INQUIRY_LIMIT_MS,
    );
    expect(wrong, `seed ${seed}`).toEqual([]);
    for (const { events, address } of world.waiters.values()) {
      const [event] = events;
      if (event?.type !== 'resolved') unresolved += 1;
      else {
        resolved += 1;
        const { unicast, kind } = event.resolution;
        const own = (world.members.get(address) ?? []).flatMap(({ addresses }) => addresses);
        expect(kind === 'unicast' ? [address] : own, `seed ${seed}`).toContain(unicast);
      }
    }
    expect([resolver.waiting, resolver.inquiries, resolver.openQuestions, resolver.pollTimeout()]).toEqual([
      0,
      0,
      0,
      undefined,
    ]);
  }
  expect(Math.min(resolved, unresolved)).toBeGreaterThan(SEEDS);
});

it(`asks a cold address once, whatever callers do, ${SEEDS} seeds`, { timeout: 600_000 }, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed);
    const world = new AnycastWorld(seed, { methods: ['echo'] });
    world.conditions.latencyMs = random.between(0, 120);
    const address = '2001:db8::53';
    world.serve(address, {}, {});
    const waiters: Waiter[] = [];
    for (let i = random.between(1, 100); i > 0; i--) {
      world.time.at(random.between(0, 2_000), () => void waiters.push(world.resolve(address)));
    }
    world.time.pass(5_000);
    expect([world.sayings(address), world.sayings('2001:db8:1::1')], `seed ${seed}`).toEqual([1, 1]);
    expect(waiters.every(({ events }) => events[0]?.type === 'resolved')).toBe(true);
  }
});

it(`leaves a dead member within one failed connection, ${SEEDS} seeds`, { timeout: 600_000 }, () => {
  let left = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new SeededRandom(seed);
    const world = new AnycastWorld(seed, { methods: random.pick([['echo'], ['echo', 'aarp']] as const) });
    world.conditions.latencyMs = random.pick([1, 40, 200]);
    world.conditions.jitterMs = random.pick([0, 100]);
    world.conditions.loss = random.pick([0, 0, 0.2]);
    const address = '2001:db8::53';
    const members = world.serve(address, {}, {}, {});
    for (const member of members) Object.assign(member, { speaksAarp: random.chance(0.5) });
    for (let round = 0; round < 6; round++) {
      const event = world.answerOf(world.resolve(address));
      if (event.type !== 'resolved') continue;
      const { unicast } = event.resolution;
      const serving = members.find(({ addresses }) => addresses.includes(unicast));
      for (const member of members) member.alive = member !== serving && random.chance(0.7);
      if (!members.some(({ alive }) => alive)) continue;
      world.failed(address, unicast);
      const again = world.answerOf(world.resolve(address));
      expect(again.type === 'resolved' && again.resolution.unicast, `seed ${seed}, round ${round}`).not.toBe(unicast);
      left += Number(again.type === 'resolved');
      world.time.pass(random.between(0, 40_000));
    }
  }
  expect(left).toBeGreaterThan(SEEDS);
});
