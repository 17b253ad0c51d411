// A file of any size that is never stored: the key stream of AES-128-CTR, which is the same for the same seed.
import { createCipheriv, createHash } from 'node:crypto';

const CHUNK = Buffer.alloc(256 * 1024);

export function* content(seed, size) {
  const key = createHash('sha256').update(String(seed)).digest().subarray(0, 16);
  const stream = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  for (let left = size; left > 0; left -= CHUNK.length) {
    yield stream.update(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
  }
}

export function digest(seed, size) {
  const hash = createHash('sha256');
  for (const chunk of content(seed, size)) hash.update(chunk);
  return hash.digest('base64');
}
