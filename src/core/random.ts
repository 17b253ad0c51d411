/**
 * Randomness as the protocol cores see it: a source handed in. On a real host it is the operating system's; in the
 * simulator it is seeded, so that the same seed gives the same trace.
 */
export interface Random {
  /** `length` fresh unpredictable bytes. */
  bytes(length: number): Uint8Array;
}

/** A uniform integer in `[0, below)`, `below` at most 2^32. Rejection sampling: no modulo bias. */
export function randomInteger(random: Random, below: number): number {
  const limit = Math.floor(2 ** 32 / below) * below;
  for (;;) {
    const b = random.bytes(4);
    const value = new DataView(b.buffer, b.byteOffset, 4).getUint32(0);
    if (value < limit) return value % below;
  }
}
