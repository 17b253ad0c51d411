/**
 * Whatever happens to the two ends of a datagram flow, and whoever interferes: what arrives intact is delivered once,
 * strangers move nothing and get no more than three times what they sent, and a path that works for 3 s carries data
 * again. Seeds that ever failed stay in the list.
 */
import { describe, expect, it } from 'vitest';
import type { DatagramEnd } from './datagram-end.ts';
import { datagramStorm } from './datagram-world.ts';

const LONG = process.env.MOBISOCK_TEST_LONG === '1';
const SEEDS = LONG ? 10_000 : 300;
/** Seeds that failed once, with what they showed. */
const KEPT_SEEDS: readonly number[] = [
  32, // the packet that answered a challenge was copied, and the copy raced: the place that it proved was forgotten
  60, // the same in the opening
  1_217, // a NAT forgot, and what the server was allowed to send went in challenges that were lost
  1_253, // both moved at once, and neither had any allowance left for the other
  1_554, // the client's only answer was lost, and it moved unawares: the server never knew that it was there
  3_008, // a client with two addresses: the flow went to and fro between them
];
const BACK_AFTER_MS = 3_000;
const WATCHED_MS = 1_500;
/** For what is still on its way at the end: the longest way, and then some. */
const ARRIVE_MS = 500;

interface Verdict {
  readonly failure: string | undefined;
  readonly opened: boolean;
}

function check(seed: number): Verdict {
  const { world, calmAt, attacked } = datagramStorm(seed);
  const from = calmAt + BACK_AFTER_MS;
  world.time.run(() => false, from + WATCHED_MS + ARRIVE_MS);
  const opened = world.client.events.some(({ type }) => type === 'confirmed');
  const failure =
    world.ends.flatMap(({ violations }) => violations)[0] ??
    (opened ? (silence(world.client, from, attacked) ?? silence(world.server, from, attacked)) : undefined);
  return { failure, opened };
}

/** What is missing of what this end sent in the time that is watched. */
function silence(end: DatagramEnd, from: number, attacked: boolean): string | undefined {
  const { flow, peer, pace, sentAt } = end;
  const name = end.host.name;
  if (flow?.phase !== 'confirmed') return `${name} is ${flow?.phase}`;
  if (pace.everyMs === 0) return undefined;
  const watched = [...sentAt.keys()].filter((n) => (sentAt[n] ?? 0) >= from && (sentAt[n] ?? 0) < from + WATCHED_MS);
  const missing = watched.filter((n) => peer?.deliveredAt[n] === undefined);
  if (watched.length === 0) return `${name} sent nothing`;
  // Somebody who copies packets and is faster can send us astray for a round trip, again and again. A peer that uses
  // two addresses by turns costs what is beyond the allowance of the one that is not validated yet.
  const allowed = attacked ? watched.length - 1 : Math.ceil(watched.length / 10);
  return missing.length > allowed ? `${name}: ${missing.length} of ${watched.length} did not arrive` : undefined;
}

describe('under any schedule of moves, rebinding, outages, weather and attacks', () => {
  it(`a datagram flow keeps its promises (${SEEDS} seeds)`, { timeout: 1_800_000 }, () => {
    const failures: string[] = [];
    let opened = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const verdict = check(seed);
      if (verdict.failure !== undefined) failures.push(`seed ${seed}: ${verdict.failure}`);
      if (verdict.opened) opened += 1;
    }
    expect(failures).toEqual([]);
    // A storm may prevent the opening, but seldom: what never opened proves nothing.
    expect(opened).toBeGreaterThan(0.9 * SEEDS);
  });

  it.each(KEPT_SEEDS)('seed %i, which failed once, stays mended', (seed) => {
    expect(check(seed).failure).toBeUndefined();
  });

  it('the same seed gives the same trace', () => {
    const digest = (seed: number): string => {
      const { world } = datagramStorm(seed);
      world.time.run(() => false, 5_000);
      return world.time.digest();
    };
    expect(digest(5)).toBe(digest(5));
    expect(digest(5)).not.toBe(digest(6));
  });
});
