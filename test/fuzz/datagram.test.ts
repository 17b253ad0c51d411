/**
 * Packets of datagram flows against mutations of the vectors and against noise: the decoder gives a value that encodes
 * to the same bytes, or a WireError; a running flow delivers none of it and is as before. MOBISOCK_TEST_LONG=1 makes
 * it a hundred times as many.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { WireError } from '../../src/core/errors.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { datagramHeaderBytes, decodeDatagram, writeDatagramHeader } from '../../src/l4mob/wire/datagram.ts';
import { CLIENT, eventsOf, FlowPair, STRANGER } from '../l4mob/datagram/flow-pair.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { mutation } from './mutations.ts';

const ROUNDS = process.env.MOBISOCK_TEST_LONG === '1' ? 1_000_000 : 10_000;

interface Vectors {
  readonly suites: readonly { readonly packets: readonly { readonly bytes: string }[] }[];
}

const VECTORS = JSON.parse(readFileSync(new URL('../vectors/datagram.json', import.meta.url), 'utf8')) as Vectors;
const SEEDS = VECTORS.suites.flatMap(({ packets }) => packets.map(({ bytes }) => Buffer.from(bytes, 'hex')));

function mutate(random: SeededRandom, seeds: readonly Buffer[]): Buffer {
  if (random.chance(0.1)) return Buffer.from(random.bytes(random.between(0, 100)));
  return mutation(random, seeds, 3, (bytes) => {
    bytes[0] = random.between(7, 16);
  });
}

it('the decoder gives a header that encodes to the same bytes, or a WireError', { timeout: 600_000 }, () => {
  const random = new SeededRandom(4712);
  let values = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = mutate(random, SEEDS);
    try {
      const header = decodeDatagram(bytes);
      values += 1;
      const again = Buffer.alloc(datagramHeaderBytes(header.type), 0xa5);
      writeDatagramHeader(again, 0, header);
      expect(again.equals(bytes.subarray(0, again.length))).toBe(true);
    } catch (error) {
      if (!(error instanceof WireError)) throw new Error(`on ${bytes.toString('hex')}`, { cause: error });
    }
  }
  expect(values).toBeGreaterThan(20);
});

it.each(SUITES)('a running flow takes nothing of it, under $name', { timeout: 600_000 }, (suite) => {
  const pair = new FlowPair({ suite }).confirmed();
  const random = new SeededRandom(13);
  const genuine = [pair.send(pair.client, 'first'), pair.send(pair.client, 'second')];
  for (let i = 0; i < ROUNDS / 5; i++) {
    const bytes = mutate(random, [...genuine, ...SEEDS]);
    if (genuine.some((packet) => packet.equals(bytes))) continue;
    expect(pair.server.handleDatagram(pair.now, bytes, STRANGER)).toBeUndefined();
    expect(pair.toServer(bytes, STRANGER)).toBeUndefined();
  }
  expect([eventsOf(pair.server), pair.drain(pair.server), pair.servers.size]).toEqual([[], [], 1]);
  expect(pair.server.remote).toMatchObject(CLIENT);
  expect(genuine.map((bytes) => pair.toServer(bytes))).toEqual(['first', 'second']);
});
