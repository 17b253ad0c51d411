import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { osRandom } from '../../src/host/random.ts';

describe("the operating system's randomness", () => {
  it('gives exactly the length asked for', () => {
    for (const length of [0, 1, 16, 255, 256, 257, 5000]) expect(osRandom.bytes(length)).toHaveLength(length);
  });

  it('never hands out the same bytes twice, across many fillings of the pool', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 5000; i++) seen.add(toHex(osRandom.bytes(8 + (i % 90))));
    expect(seen.size).toBe(5000);
  });

  it('gives memory that nobody else can see', () => {
    const bytes = osRandom.bytes(16);
    expect(bytes.buffer.byteLength).toBe(16);
    const before = toHex(bytes);
    for (let i = 0; i < 1000; i++) osRandom.bytes(16).fill(0);
    expect(toHex(bytes)).toBe(before);
  });

  it('never gives the zeros that a used part of the pool holds', () => {
    for (let i = 0; i < 2000; i++) expect(osRandom.bytes(16).every((byte) => byte === 0)).toBe(false);
  });
});
