import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { monotonicNow } from '../../../src/host/clock.ts';
import { type AlarmOwner, SharedAlarm } from '../../../src/l4mob/io/shared-alarm.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

describe('a shared alarm', () => {
  let alarm: SharedAlarm;
  let called: { readonly name: number; readonly at: number }[];
  let onCall: (name: number) => void;
  beforeEach(() => {
    alarm = new SharedAlarm();
    called = [];
    onCall = () => {};
  });
  afterEach(() => alarm.close());

  function owner(name: number): AlarmOwner {
    return {
      dueAt: 0,
      place: -1,
      handleAlarm: (now) => {
        called.push({ name, at: now });
        onCall(name);
      },
    };
  }

  async function calls(count: number): Promise<void> {
    if (called.length < count)
      await new Promise<void>((resolve) => {
        onCall = () => void (called.length === count && resolve());
      });
  }

  test('calls thousands in the order of their times, each once and none too soon', async () => {
    const random = new SeededRandom(3);
    const now = monotonicNow();
    const owners = Array.from({ length: 3_000 }, (_, name) => owner(name));
    const times = owners.map(() => now + random.between(0, 60));
    for (const [i, one] of owners.entries()) {
      alarm.expect(one, (times[i] as number) + 40);
      alarm.expect(one, times[i]); // sooner than was said before
      alarm.expect(one, (times[i] as number) + 10_000); // later: the earlier call stays
    }
    const left = owners.filter((one, i) => {
      if (i % 3 === 0) alarm.forget(one);
      return i % 3 !== 0;
    });
    await calls(left.length);
    expect(alarm.size).toBe(0);
    expect(new Set(called.map(({ name }) => name)).size).toBe(left.length);
    expect(called.every(({ name }) => name % 3 !== 0)).toBe(true);
    const dues = called.map(({ name }) => times[name] as number);
    expect(dues).toEqual([...dues].sort((a, b) => a - b));
    expect(called.every(({ name, at }) => at >= (times[name] as number))).toBe(true);
  });

  test('can be asked again by whom it calls', async () => {
    const one = owner(1);
    alarm.expect(one, monotonicNow());
    onCall = () => void (called.length < 3 && alarm.expect(one, monotonicNow()));
    await expect.poll(() => called.length).toBe(3);
    expect(alarm.size).toBe(0);
  });

  test('calls nobody after it is closed', async () => {
    const [one, other] = [owner(1), owner(2)];
    alarm.expect(one, monotonicNow());
    alarm.expect(other, monotonicNow() + 1);
    alarm.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(called).toEqual([]);
    expect([one.place, other.place]).toEqual([-1, -1]);
  });
});
