/** AARP datagrams: what goes in comes out, what is malformed or under another key is refused, no REPLY outgrows its PROBE. */
import { describe, expect, it } from 'vitest';
import {
  AARP_PROBE_BYTES,
  decodeAarpProbe,
  decodeAarpReply,
  encodeAarpProbe,
  encodeAarpReply,
} from '../../../src/aarp/wire/aarp.ts';
import { WireError } from '../../../src/core/errors.ts';
import { expectHardy, plain, withByte } from '../../l4mob/wire/hardship.ts';
import { run } from '../../l4mob/wire/samples.ts';
import { IPV4_PROBE, KEY, LONGEST_REPLY, PROBE, REPLY } from './samples.ts';

const KEYS = [
  ['without a key', undefined],
  ['under a key', KEY],
] as const;

describe.each(KEYS)('%s', (_, key) => {
  it.each([PROBE, IPV4_PROBE])('a PROBE about $asked comes back as it went out, always at the same length', (probe) => {
    const bytes = encodeAarpProbe(probe, key);
    expect(bytes.length).toBe(AARP_PROBE_BYTES);
    expect(plain(decodeAarpProbe(bytes, key))).toEqual(plain(probe));
    expectHardy((message) => decodeAarpProbe(message, key), bytes);
  });

  it.each([
    ['some members', REPLY],
    ['the most there may be', LONGEST_REPLY],
  ])('a REPLY with %s comes back as it went out, and is shorter than its PROBE', (_name, reply) => {
    const bytes = encodeAarpReply(reply, key);
    expect(plain(decodeAarpReply(bytes, key))).toEqual(plain(reply));
    expect(bytes.length).toBeLessThan(AARP_PROBE_BYTES);
    expectHardy((message) => decodeAarpReply(message, key), bytes);
  });

  it('the other kind of message is refused', () => {
    expect(() => decodeAarpReply(encodeAarpProbe(PROBE, key), key)).toThrow(WireError);
    expect(() => decodeAarpProbe(encodeAarpReply(REPLY, key), key)).toThrow(WireError);
  });
});

describe('a key', () => {
  it('makes every changed bit a wrong MAC', () => {
    const bytes = encodeAarpReply(REPLY, KEY);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const at = bit >> 3;
      expect(() => decodeAarpReply(withByte(bytes, at, (bytes[at] as number) ^ (1 << (bit & 7))), KEY)).toThrow(
        WireError,
      );
    }
  });

  it.each([
    ['another', run(0x31, 32)],
    ['none', undefined],
  ])('has to be the same: %s is refused', (_, other) => {
    expect(() => decodeAarpReply(encodeAarpReply(REPLY, KEY), other)).toThrow('aarp: wrong MAC');
    expect(() => decodeAarpReply(encodeAarpReply(REPLY, other), KEY)).toThrow('aarp: wrong MAC');
  });
});

it.each([
  ['no members', 26, 0],
  ['nine members', 26, 9],
  ['another version', 4, 2],
  ['another magic', 0, 0x4c],
])('a REPLY with %s is refused', (_, at, value) => {
  expect(() => decodeAarpReply(withByte(encodeAarpReply(REPLY), at, value))).toThrow(WireError);
});

it('a PROBE with padding that is not zero is refused', () => {
  expect(() => decodeAarpProbe(withByte(encodeAarpProbe(PROBE), 150, 1))).toThrow('probe padding: not zero');
});
