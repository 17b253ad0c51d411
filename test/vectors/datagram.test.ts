/** Pins the packets of datagram flows, as l4mob.test.ts does the rest of the protocol. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { makeDatagramVectors } from './datagram-vectors.ts';

const FILE = new URL('./datagram.json', import.meta.url);

it('the packets of datagram flows are what the vectors say', () => {
  const vectors = makeDatagramVectors();
  if (process.env.MOBISOCK_WRITE_VECTORS === '1') writeFileSync(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
  expect(vectors).toEqual(JSON.parse(readFileSync(FILE, 'utf8')));
});
