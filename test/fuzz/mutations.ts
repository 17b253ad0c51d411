/** Mutations of byte strings: bits turned, bytes put over, cut off, put in, and the end of another string. */
import type { SeededRandom } from '../sim/seeded-random.ts';

/** One of `seeds` after some of them, at most `most`. `put` puts a value over a byte that is there. */
export function mutation(
  random: SeededRandom,
  seeds: readonly Buffer[],
  most: number,
  put: (bytes: Buffer, at: number) => void,
): Buffer {
  let bytes = Buffer.from(random.pick(seeds));
  for (let hits = random.between(0, most); hits > 0; hits--) {
    const at = random.between(0, Math.max(0, bytes.length - 1));
    switch (random.between(0, 4)) {
      case 0:
        if (bytes.length > 0) bytes[at] = (bytes[at] as number) ^ (1 << random.between(0, 7));
        break;
      case 1:
        if (bytes.length > 0) put(bytes, at);
        break;
      case 2:
        bytes = bytes.subarray(0, at);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.between(1, 9)), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), random.pick(seeds).subarray(at)]);
    }
  }
  return bytes;
}
