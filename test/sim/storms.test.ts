/**
 * Whatever happens to two hosts, their streams arrive complete, in order and exactly once, and both sides come to an
 * end. Seeds that ever failed stay in the list.
 */
import { describe, expect, it } from 'vitest';
import { storm } from './schedule.ts';

const LONG = process.env.MOBISOCK_TEST_LONG === '1';
const SEEDS = LONG ? 6_000 : 300;
/** Seeds that failed once, with what they showed. */
const KEPT_SEEDS: readonly number[] = [
  1, // the end of a stream was told before its last bytes were read
  7, // both moved at the same instant: only the resolver still knows where they are
  10_304, // news of addresses cut hellos short on a path with a round trip of 800 ms, for ever
  1_993, // the kernel of a host on the move reset the subflow that it had left: taken for a crash
  147, // an initiator lost patience with a slow path and reset it: taken for a crash
  152, // a keep-alive fell due while a dial was under way
  2_449, // the second piece of the first record began as a REFUSE does
];
/** Dial time-out and the ladder, twice, and the longest hello; both hosts may have moved at once when it calms down. */
const BACK_AFTER_MS = 8_000;
/** What is left to transfer then, over the slowest of the simulated paths. */
const COMPLETE_AFTER_MS = 60_000;

function check(seed: number): string | undefined {
  try {
    const { world, calmAt } = storm(seed);
    world.time.run(() => world.ended, calmAt + BACK_AFTER_MS);
    const streams = (): typeof world.client.streams => [...world.client.streams, ...world.server.streams];
    for (const { name, session } of streams()) {
      if (session.state === 'suspended' || session.state === 'opening') return `${name} is ${session.state} in calm`;
    }
    if (!world.time.run(() => world.ended, calmAt + COMPLETE_AFTER_MS)) return 'not at its end';
    const [client, server] = streams();
    if (client === undefined || server === undefined || streams().length !== 2) return `${streams().length} streams`;
    for (const { name, complete, error } of [client, server]) if (!complete) return `${name}: ${error}`;
    if (client.readBytes !== server.written || server.readBytes !== client.written) return 'bytes are missing';
    if (client.written !== client.plan.bytes || server.written !== server.plan.bytes) return 'not all was written';
    // Connections of the session may not outlive it for long either.
    world.time.pass(5_000);
    if (client.openEnds + server.openEnds > 0) return 'subflows left';
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

describe('under any schedule of moves, outages, rebinding, loss and delay', () => {
  it(`both streams arrive complete, in order and exactly once (${SEEDS} seeds)`, { timeout: 600_000 }, () => {
    const failures: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const failure = check(seed);
      if (failure !== undefined) failures.push(`seed ${seed}: ${failure}`);
    }
    expect(failures).toEqual([]);
  });

  it.each(KEPT_SEEDS)('seed %i, which failed once, stays mended', (seed) => {
    expect(check(seed)).toBeUndefined();
  });

  it('the same seed gives the same trace', () => {
    const digest = (seed: number): string => {
      const { world, calmAt } = storm(seed);
      world.time.run(() => world.ended, calmAt + COMPLETE_AFTER_MS);
      return world.time.digest();
    };
    expect(digest(5)).toBe(digest(5));
    expect(digest(5)).not.toBe(digest(6));
  });
});
