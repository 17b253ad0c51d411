/**
 * Pins the protocol byte for byte. A failure here means that peers of yesterday no longer understand each other: raise
 * the protocol version, then write the file anew with MOBISOCK_WRITE_VECTORS=1.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeVectors } from './l4mob-vectors.ts';

const FILE = new URL('./l4mob.json', import.meta.url);

it('the protocol is what the vectors say', () => {
  const vectors = makeVectors();
  if (process.env.MOBISOCK_WRITE_VECTORS === '1') writeFileSync(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
  expect(vectors).toEqual(JSON.parse(readFileSync(FILE, 'utf8')));
});
