/**
 * HKDF with SHA-256 (RFC 5869), on one-shot hashes: docs/adr/0007-first-contacts-in-no-time.md.
 */
import { hmacDigest, hmacFrame, hmacSha256, MESSAGE_AT, writeBinary } from './short-hmac.ts';

const HASH_BYTES = 32;
const MAX_BLOCKS = 255;

/** Section 2.2: a pseudorandom key of 32 bytes from key material of any length. `salt`: at most 64 bytes. */
export function extract(salt: Uint8Array, keyMaterial: Uint8Array): Uint8Array {
  return hmacSha256(salt, keyMaterial);
}

/** Section 2.3: `length` bytes, at most 8160, in memory of their own. */
export function expand(key: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const blocks = Math.ceil(length / HASH_BYTES);
  if (blocks > MAX_BLOCKS) throw new RangeError(`HKDF: ${length} bytes, at most ${MAX_BLOCKS * HASH_BYTES} allowed`);
  const out = new Uint8Array(blocks * HASH_BYTES);
  for (let block = 1; block <= blocks; block++) {
    const at = (block - 1) * HASH_BYTES;
    const previous = out.subarray(Math.max(0, at - HASH_BYTES), at);
    const frame = hmacFrame(previous.length + info.length + 1);
    frame.set(previous, MESSAGE_AT);
    frame.set(info, MESSAGE_AT + previous.length);
    frame[frame.length - 1] = block;
    writeBinary(hmacDigest(key, frame), out, at, HASH_BYTES);
  }
  return out.subarray(0, length);
}
