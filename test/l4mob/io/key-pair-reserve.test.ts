/** Key pairs that are made beforehand: when, how many, and for one handshake each. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { KeyPairReserve } from '../../../src/l4mob/io/key-pair-reserve.ts';
import { type Group, groupByName } from '../../../src/l4mob/key-agreement.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

/** A group whose key pairs are counted as they are made. */
function counted(name: string): { readonly group: Group; readonly made: () => number } {
  const found = groupByName(name);
  if (found === undefined) throw new Error(name);
  let made = 0;
  const generate: Group['generate'] = (random) => {
    made += 1;
    return found.generate(random);
  };
  return { group: { ...found, generate }, made: () => made };
}

const random = new SeededRandom(1);

it('makes the next key pair when it is told to, behind the turn, and none twice', async () => {
  const { group, made } = counted('x25519');
  const reserve = new KeyPairReserve([group]);
  const [reserved] = reserve.groups;
  const first = reserved?.generate(random);
  expect(made()).toBe(1);
  await nextTurn();
  expect(made()).toBe(1);
  reserve.refillSoon();
  reserve.refillSoon();
  expect(made()).toBe(1);
  await nextTurn();
  expect(made()).toBe(2);
  const second = reserved?.generate(random);
  expect(made()).toBe(2);
  const third = reserved?.generate(random);
  expect(made()).toBe(3);
  expect(new Set([first, second, third].map((pair) => Buffer.from(pair?.share ?? []).toString('hex'))).size).toBe(3);
});

it('makes none for groups of which none was taken', async () => {
  const [used, unused] = [counted('x25519'), counted('modp2048')];
  const reserve = new KeyPairReserve([used.group, unused.group]);
  reserve.refillSoon();
  await nextTurn();
  expect([used.made(), unused.made()]).toEqual([0, 0]);
  reserve.groups[0]?.generate(random);
  reserve.refillSoon();
  await nextTurn();
  expect([used.made(), unused.made()]).toEqual([2, 0]);
});
