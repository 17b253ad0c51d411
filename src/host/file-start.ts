/**
 * Reads a file that may be anything: a path such as /dev/zero must not fill the memory, and a pipe has no size to ask
 * for, so it isn't `readFileSync`.
 */
import { closeSync, openSync, readSync } from 'node:fs';

/** The first `limitBytes` of a file, or all of it where it is shorter. Throws as node's `fs` does. */
export function readFileStart(path: string, limitBytes: number): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const bytes = new Uint8Array(limitBytes);
    let length = 0;
    while (length < limitBytes) {
      const count = readSync(file, bytes, length, limitBytes - length, null);
      if (count === 0) break;
      length += count;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(file);
  }
}
