// An endless stream of bytes that is the same for the same seed: the key stream of AES-128-CTR.
import { createCipheriv, createHash } from 'node:crypto';

const CHUNK = Buffer.alloc(64 * 1024);

export class SeededStream {
  #stream;
  offset = 0;

  constructor(seed) {
    const key = createHash('sha256').update(seed).digest().subarray(0, 16);
    this.#stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  }

  next(length) {
    const parts = [];
    for (let left = length; left > 0; left -= CHUNK.length) {
      parts.push(this.#stream.update(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK));
    }
    this.offset += length;
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  /** Whether `bytes` are what comes next; they count as taken either way. */
  continuesWith(bytes) {
    return this.next(bytes.length).equals(bytes);
  }
}
