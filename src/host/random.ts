/**
 * The operating system's randomness behind the cores' {@link Random}. Small requests are cut from a pool, because a
 * call into OpenSSL costs more than the few bytes that a packet or an identifier needs.
 */
import { randomFillSync } from 'node:crypto';
import type { Random } from '../core/random.ts';

/** A few hundred identifiers; one filling takes some microseconds. */
const POOL_BYTES = 4096;
/** Larger requests go to the system directly: they would waste the rest of the pool. */
const LARGEST_POOLED_BYTES = 256;

const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/** Unpredictable bytes. Each call gets memory of its own, and no byte is handed out twice. */
export const osRandom: Random = {
  bytes(length: number): Uint8Array {
    if (length > LARGEST_POOLED_BYTES) return randomFillSync(new Uint8Array(length));
    if (used + length > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const end = used + length;
    const bytes = pool.slice(used, end);
    // Keys come from here: what was handed out must not stay behind in the pool.
    pool.fill(0, used, end);
    used = end;
    return bytes;
  },
};
