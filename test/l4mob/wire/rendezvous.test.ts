/** ASK and ANSWER: what goes in comes out, what is malformed is refused, and no ANSWER outgrows its ASK. */
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import {
  decodeRendezvousAnswer,
  decodeRendezvousAsk,
  encodeRendezvousAnswer,
  encodeRendezvousAsk,
  RENDEZVOUS_ASK_BYTES,
  type RendezvousAnswer,
} from '../../../src/l4mob/wire/rendezvous.ts';
import { expectHardy, plain, withByte } from './hardship.ts';
import { RENDEZVOUS_ANSWERS, RENDEZVOUS_ASK, run } from './samples.ts';

describe('an ASK', () => {
  it.each([
    ['everything', RENDEZVOUS_ASK],
    ['a question alone', { ...RENDEZVOUS_ASK, entry: undefined, cookie: run(0, 0) }],
    ['an entry alone', { ...RENDEZVOUS_ASK, wanted: [], afterVersion: 0 }],
    ['the longest cookie', { ...RENDEZVOUS_ASK, cookie: run(0, 32) }],
  ])('with %s comes back as it went out, always at the same length', (_, ask) => {
    const bytes = encodeRendezvousAsk(ask);
    expect(bytes.length).toBe(RENDEZVOUS_ASK_BYTES);
    expect(plain(decodeRendezvousAsk(bytes))).toEqual(plain(ask));
  });

  it('stands truncation, damage and noise', () => {
    expectHardy(decodeRendezvousAsk, encodeRendezvousAsk(RENDEZVOUS_ASK));
  });

  it.each([
    ['an unknown flag', 16, 2],
    ['three wanted tags', 17, 3],
    ['padding that is not zero', RENDEZVOUS_ASK_BYTES - 1, 1],
    ['a cookie of 33 bytes', 58, 33],
  ])('is refused with %s', (_, at, value) => {
    expect(() => decodeRendezvousAsk(withByte(encodeRendezvousAsk(RENDEZVOUS_ASK), at, value))).toThrow(WireError);
  });
});

describe('an ANSWER', () => {
  const bytesOf = (status: RendezvousAnswer['status']): number =>
    Math.max(...RENDEZVOUS_ANSWERS.filter((a) => a.status === status).map((a) => encodeRendezvousAnswer(a).length));

  it.each(RENDEZVOUS_ANSWERS)('comes back as it went out: $status', (answer) => {
    const bytes = encodeRendezvousAnswer(answer);
    expect(plain(decodeRendezvousAnswer(bytes))).toEqual(plain(answer));
    expectHardy(decodeRendezvousAnswer, bytes);
  });

  it('is shorter than the ASK, also where one without an entry is followed by one with it', () => {
    expect(bytesOf('none') + bytesOf('found')).toBeLessThan(RENDEZVOUS_ASK_BYTES);
    expect(bytesOf('cookie')).toBeLessThan(RENDEZVOUS_ASK_BYTES);
  });

  it.each([
    ['an unknown status', 16, 3],
    ['an unknown flag', 17, 2],
    ['a tag that was not asked for', 37, 2],
  ])('is refused with %s', (_, at, value) => {
    const [found] = RENDEZVOUS_ANSWERS.filter(({ status }) => status === 'found');
    const bytes = encodeRendezvousAnswer(found as RendezvousAnswer);
    expect(() => decodeRendezvousAnswer(withByte(bytes, at, value))).toThrow(WireError);
  });
});
