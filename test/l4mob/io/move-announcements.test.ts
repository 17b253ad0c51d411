/** Many flows announce a move at the pace of their peers' answers. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_AWAITED, MoveAnnouncements, PATIENCE_MS } from '../../../src/l4mob/io/move-announcements.ts';

const FLOWS = Array.from({ length: 5 * MAX_AWAITED }, (_, i) => i);

describe('announcements of a move', () => {
  const asked: number[] = [];
  const announcements = new MoveAnnouncements<number>((flow) => {
    asked.push(flow);
    return flow >= 0;
  });
  afterEach(() => {
    announcements.close();
    asked.length = 0;
  });

  it('wait for answers when as many have asked as may wait', async () => {
    announcements.begin(FLOWS.values());
    await turn();
    await turn();
    expect(asked).toEqual(FLOWS.slice(0, MAX_AWAITED));
  });

  it('go on with each answer, in order', async () => {
    announcements.begin(FLOWS.values());
    while (asked.length < FLOWS.length) {
      await turn();
      const before = asked.length;
      for (const flow of asked.slice(-3)) announcements.answered(flow);
      await turn();
      expect(asked.length).toBeLessThanOrEqual(before + 3);
    }
    expect(asked).toEqual(FLOWS);
  });

  it('count an answer once, and none that nobody waits for', async () => {
    announcements.begin(FLOWS.values());
    await turn();
    for (let times = 0; times < 5; times++) announcements.answered(0);
    announcements.answered(FLOWS.length - 1);
    await turn();
    expect(asked).toHaveLength(MAX_AWAITED + 1);
  });

  it('are not held up by flows that have nobody to ask', async () => {
    const silent = Array.from({ length: 3 * MAX_AWAITED }, (_, i) => -1 - i);
    announcements.begin([...silent, ...FLOWS].values());
    await turn();
    expect(asked).toEqual([...silent, ...FLOWS.slice(0, MAX_AWAITED)]);
  });

  it('go on without the answers that take too long, but no faster than that', async () => {
    const begun = performance.now();
    announcements.begin(FLOWS.values());
    await expect.poll(() => asked.length, { interval: 5 }).toBe(FLOWS.length);
    expect(performance.now() - begun).toBeGreaterThanOrEqual((FLOWS.length / MAX_AWAITED - 1) * PATIENCE_MS);
  });

  it('begin with the first again when there is more news', async () => {
    announcements.begin(FLOWS.values());
    await turn();
    announcements.begin(FLOWS.values());
    announcements.answered(0);
    await turn();
    expect(asked.slice(MAX_AWAITED)).toEqual([0]);
  });
});
