/** Each number once, in any order, with constant memory. */
import { describe, expect, it } from 'vitest';
import { REPLAY_WINDOW_NUMBERS, ReplayWindow } from '../../src/l4mob/replay-window.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

function take(window: ReplayWindow, number: number): boolean {
  if (!window.isFresh(number)) return false;
  window.mark(number);
  return true;
}

describe('the replay window', () => {
  it('takes each number once, in order and out of order', () => {
    const window = new ReplayWindow();
    const numbers = [1, 2, 3, 7, 5, 6, 4, 40, 39, 8, 100];
    expect(numbers.map((n) => take(window, n))).toEqual(numbers.map(() => true));
    expect(numbers.map((n) => take(window, n))).toEqual(numbers.map(() => false));
    expect(window.highest).toBe(100);
    expect(take(window, 9)).toBe(true);
  });

  it('holds more than 1024 numbers behind the newest, and takes none that is older', () => {
    expect(REPLAY_WINDOW_NUMBERS).toBeGreaterThanOrEqual(1024);
    const window = new ReplayWindow();
    take(window, 10_000);
    expect(window.isFresh(10_000 - REPLAY_WINDOW_NUMBERS)).toBe(false);
    expect(take(window, 10_001 - REPLAY_WINDOW_NUMBERS)).toBe(true);
    expect(take(window, 10_001 - REPLAY_WINDOW_NUMBERS)).toBe(false);
  });

  it('does not forget over a jump of any size', () => {
    for (const jump of [1, 31, 32, 33, 2015, 2016, 2017, 2047, 2048, 2049, 5_000, 2 ** 33, 2 ** 52]) {
      const window = new ReplayWindow();
      for (let n = 1; n <= 70; n++) take(window, n);
      take(window, 72);
      const newest = 72 + jump;
      expect(take(window, newest)).toBe(true);
      expect([newest, 72, 70, 1].map((n) => window.isFresh(n))).toEqual([false, false, false, false]);
      expect(window.isFresh(71)).toBe(newest - 71 < REPLAY_WINDOW_NUMBERS);
    }
  });

  it('agrees with a plain set under random reordering, duplication and loss', () => {
    const random = new SeededRandom(3);
    const wrong: number[] = [];
    for (let round = 0; round < 20; round++) {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = 0;
      let next = 1;
      for (let i = 0; i < 3_000; i++) {
        next += random.chance(0.02) ? random.between(1, 3_000) : random.between(0, 2);
        const number = Math.max(1, next - (random.chance(0.3) ? random.between(0, 2_500) : 0));
        const tooOld = number <= highest - REPLAY_WINDOW_NUMBERS;
        if (take(window, number) === (tooOld || seen.has(number))) wrong.push(number);
        seen.add(number);
        highest = Math.max(highest, number);
      }
    }
    expect(wrong).toEqual([]);
  });
});
