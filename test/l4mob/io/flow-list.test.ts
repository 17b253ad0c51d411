import { describe, expect, test } from 'vitest';
import type { FlowDriver } from '../../../src/l4mob/io/flow-driver.ts';
import { FlowList } from '../../../src/l4mob/io/flow-list.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

/** What the list uses of a driver. */
function driver(): FlowDriver {
  return { list: undefined, previousInList: undefined, nextInList: undefined } as FlowDriver;
}

describe('a flow list', () => {
  test('has what was added and not deleted, the last one first, whatever the order', () => {
    const random = new SeededRandom(5);
    const list = new FlowList();
    let kept: FlowDriver[] = [];
    for (let step = 0; step < 2_000; step++) {
      const gone = kept.length > random.between(0, 8) ? random.pick(kept) : undefined;
      if (gone === undefined) {
        const added = driver();
        list.add(added);
        kept.unshift(added);
      } else {
        list.delete(gone);
        kept = kept.filter((other) => other !== gone);
        expect(list.has(gone)).toBe(false);
      }
      expect(list.size).toBe(kept.length);
      const all = list.all();
      expect(all.length === kept.length && all.every((each, i) => each === kept[i] && list.has(each))).toBe(true);
    }
  });

  test("leaves another list's flows alone", () => {
    const [list, other] = [new FlowList(), new FlowList()];
    const theirs = driver();
    other.add(theirs);
    list.delete(theirs);
    expect([list.size, other.size, other.has(theirs), list.has(theirs)]).toEqual([0, 1, true, false]);
  });
});
