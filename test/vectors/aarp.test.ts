/** Pins AARP datagrams byte for byte, as l4mob.test.ts does the rest of the protocol. */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { encodeAarpProbe, encodeAarpReply } from '../../src/aarp/wire/aarp.ts';
import { toHex } from '../../src/core/bytes.ts';
import { IPV4_PROBE, KEY, LONGEST_REPLY, PROBE, REPLY } from '../aarp/wire/samples.ts';

const FILE = new URL('./aarp.json', import.meta.url);

function makeVectors(): unknown {
  const both = (encode: (key?: Uint8Array) => Uint8Array): object => ({
    withoutKey: toHex(encode()),
    underKey: toHex(encode(KEY)),
  });
  return {
    protocolVersion: 1,
    key: toHex(KEY),
    probes: [PROBE, IPV4_PROBE].map((probe) => ({
      ...probe,
      nonce: toHex(probe.nonce),
      ...both((key) => encodeAarpProbe(probe, key)),
    })),
    replies: [REPLY, LONGEST_REPLY].map((reply) => ({
      ...reply,
      nonce: toHex(reply.nonce),
      ...both((key) => encodeAarpReply(reply, key)),
    })),
  };
}

it('AARP datagrams are what the vectors say', () => {
  const vectors = makeVectors();
  if (process.env.MOBISOCK_WRITE_VECTORS === '1') writeFileSync(FILE, `${JSON.stringify(vectors, null, 2)}\n`);
  expect(vectors).toEqual(JSON.parse(readFileSync(FILE, 'utf8')));
});
