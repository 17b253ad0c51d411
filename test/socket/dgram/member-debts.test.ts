/** When a member that owes answers is doubted, and how long the next doubt takes. Times in milliseconds. */
import { expect, it } from 'vitest';
import { debtorOf, MemberDebts } from '../../../src/socket/dgram/member-debts.ts';

const ONE = debtorOf('2001:db8::53', '2001:db8:1::1');
const SERVICE = debtorOf('2001:db8::53', '2001:db8:1::1', 53);

/** When it is doubted, asked every 10 ms from `from` to `to`. */
function doubts(debts: MemberDebts, from: number, to: number): number[] {
  const found: number[] = [];
  for (let now = from; now <= to; now += 10) if (debts.ask(now, ONE)) found.push(now);
  return found;
}

it('it is doubted after half a second, and again after twice as long each time, up to 30 s', () => {
  expect(doubts(new MemberDebts(), 0, 100_000)).toEqual([500, 1_500, 3_500, 7_500, 15_500, 31_500, 61_500, 91_500]);
});

it('one that takes its time is given twice that', () => {
  const debts = new MemberDebts();
  debts.ask(0, ONE);
  debts.answered(400, ONE);
  expect(doubts(debts, 1_000, 2_000)).toEqual([1_800]);
});

it('how long it once took is forgotten with quicker answers', () => {
  const debts = new MemberDebts();
  debts.ask(0, ONE);
  debts.answered(2_000, ONE);
  for (const now of [3_000, 3_100, 3_200]) {
    debts.ask(now, ONE);
    debts.answered(now + 10, ONE);
  }
  expect(doubts(debts, 4_000, 5_000)).toEqual([4_500]);
});

it('a socket that was connected long before its first datagram says nothing of how long answers take', () => {
  const debts = new MemberDebts();
  debts.ask(0, ONE, true);
  debts.answered(20_000, ONE);
  expect(doubts(debts, 30_000, 31_000)).toEqual([30_500]);
});

it('one that only may answer is not doubted before it has', () => {
  const debts = new MemberDebts();
  expect([0, 10_000].map((now) => debts.askAgain(now, SERVICE))).toEqual([false, false]);
  debts.answered(20_000, SERVICE);
  expect([20_000, 20_499, 20_500].map((now) => debts.askAgain(now, SERVICE))).toEqual([false, false, true]);
});

it('a refusal is news once, and then after a while', () => {
  const debts = new MemberDebts();
  expect([0, 999, 1_000, 2_999, 3_000].map((now) => debts.refused(now, SERVICE))).toEqual([
    true,
    false,
    true,
    false,
    true,
  ]);
  debts.answered(3_001, SERVICE);
  expect(debts.refused(3_002, SERVICE)).toBe(true);
});
