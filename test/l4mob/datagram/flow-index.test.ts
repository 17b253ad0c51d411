/** The index by flow id: right whatever is added and deleted, and however ids crowd. */
import { describe, expect, it } from 'vitest';
import { FlowIndex } from '../../../src/l4mob/datagram/flow-index.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

describe('the flow index', () => {
  it('tells ids apart by all of their 64 bits', () => {
    const index = new FlowIndex<string>(new SeededRandom(1));
    expect(index.add({ high: 1, low: 0xffffffff }, 'a')).toBe(true);
    expect(index.add({ high: 0xffffffff, low: 1 }, 'b')).toBe(true);
    expect(index.add({ high: 1, low: 0xffffffff }, 'c')).toBe(false);
    expect([index.get(1, 0xffffffff), index.get(0xffffffff, 1), index.get(1, 1), index.size]).toEqual([
      'a',
      'b',
      undefined,
      2,
    ]);
  });

  it('agrees with a Map under additions and deletions, also where ids share their lower half', () => {
    const random = new SeededRandom(7);
    const index = new FlowIndex<number>(random);
    const map = new Map<string, number>();
    const wrong: string[] = [];
    for (let i = 0; i < 30_000; i++) {
      const id = { high: random.between(0, 40), low: random.between(0, random.pick([5, 50])) };
      const key = `${id.high} ${id.low}`;
      if (random.chance(0.6)) {
        if (index.add(id, i) === map.has(key)) wrong.push(`add ${key}`);
        if (!map.has(key)) map.set(key, i);
      } else {
        index.delete(id);
        map.delete(key);
      }
      const [high, low] = [random.between(0, 40), random.between(0, 50)];
      if (index.get(high, low) !== map.get(`${high} ${low}`)) wrong.push(`get ${high} ${low}`);
    }
    expect(wrong).toEqual([]);
    expect(index.size).toBe(map.size);
    expect([...index.values()].sort()).toEqual([...map.values()].sort());
  });
});
