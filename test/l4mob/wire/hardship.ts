/**
 * What every decoder has to stand: truncation, bytes too many, bit flips, and noise.
 */
import { expect } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

type Decode = (bytes: Uint8Array) => unknown;

/** Any bytes give a value or a {@link WireError}; returns which. */
export function valueOrWireError(decode: Decode, bytes: Uint8Array): 'value' | 'error' {
  try {
    decode(bytes);
    return 'value';
  } catch (error) {
    if (error instanceof WireError) return 'error';
    throw error;
  }
}

/** `message` must decode; no part of it, nothing longer, and no damage may give anything but a value or a WireError. */
export function expectHardy(decode: Decode, message: Uint8Array, seed = 1): void {
  expect(valueOrWireError(decode, message)).toBe('value');
  for (let length = 0; length < message.length; length++) {
    expect(() => decode(message.slice(0, length)), `${length} of ${message.length} bytes`).toThrow(WireError);
  }
  expect(() => decode(Uint8Array.of(...message, 0))).toThrow(WireError);
  for (let bit = 0; bit < message.length * 8; bit++) {
    const flipped = message.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    valueOrWireError(decode, flipped);
  }
  const random = new SeededRandom(seed);
  for (let i = 0; i < 300; i++) {
    valueOrWireError(decode, random.bytes(random.between(0, message.length + 10)));
    const mixed = message.slice();
    for (let hits = random.between(1, 5); hits > 0; hits--) mixed[random.between(0, mixed.length - 1)] = random.u32();
    valueOrWireError(decode, mixed);
  }
}

/** Plain arrays, so that views and copies compare. */
export function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, v) => (v instanceof Uint8Array ? [...v] : v)));
}

export function withByte(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const out = bytes.slice();
  out[at] = value;
  return out;
}
