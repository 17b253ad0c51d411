/**
 * Every decoder against mutations of the vectors and against noise: a value or a WireError, and nothing else; what
 * decodes encodes to the same bytes again. MOBISOCK_TEST_LONG=1 makes it a hundred times as many.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ProtocolError, WireError } from '../../src/core/errors.ts';
import { RecordReader } from '../../src/l4mob/record-stream.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import {
  decodeOpen,
  decodeRefuse,
  decodeResume,
  encodeOpen,
  encodeRefuse,
  encodeResume,
  helloLength,
} from '../../src/l4mob/wire/hello.ts';
import { decodeInit } from '../../src/l4mob/wire/init.ts';
import { decodeOffer, encodeOffer } from '../../src/l4mob/wire/offer.ts';
import {
  decodeRendezvousAnswer,
  decodeRendezvousAsk,
  encodeRendezvousAnswer,
  encodeRendezvousAsk,
} from '../../src/l4mob/wire/rendezvous.ts';
import { signalLength, signalTypeOf } from '../../src/l4mob/wire/signal-header.ts';
import { decodeUpdate, decodeWhereabouts, encodeUpdate, encodeWhereabouts } from '../../src/l4mob/wire/update.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { mutation } from './mutations.ts';

const ROUNDS = process.env.MOBISOCK_TEST_LONG === '1' ? 1_000_000 : 10_000;

/** All byte strings in the vectors. */
function corpus(value: unknown, into: Buffer[] = []): Buffer[] {
  if (typeof value === 'string' && value.length >= 14 && /^(?:[0-9a-f]{2})+$/.test(value))
    into.push(Buffer.from(value, 'hex'));
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) corpus(part, into);
  return into;
}

const SEEDS = corpus(JSON.parse(readFileSync(new URL('../vectors/l4mob.json', import.meta.url), 'utf8')));

function mutate(random: SeededRandom): Buffer {
  if (random.chance(0.1)) return Buffer.from(random.bytes(random.between(0, 400)));
  const bytes = mutation(random, SEEDS, 4, (some, at) => {
    some[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]);
  });
  // Most lengths would be wrong after that; let some through.
  if (bytes.length >= 8 && random.chance(0.7) && signalTypeOf(bytes) !== undefined)
    bytes.writeUInt16BE((bytes.length - 8) & 0xffff, 6);
  return bytes;
}

/** Decodes, and where that works, gives the bytes that its value encodes to. */
type Target = (bytes: Buffer) => Uint8Array | undefined;

const TARGETS: readonly (readonly [string, Target])[] = [
  [
    'signalling header',
    (bytes) => {
      signalTypeOf(bytes);
      signalLength(bytes);
      return undefined;
    },
  ],
  [
    'L4_INIT', // padding may be of any length, so bytes may differ
    (bytes) => {
      decodeInit(bytes);
      return undefined;
    },
  ],
  [
    'L4_OFFER',
    (bytes) => {
      const offer = decodeOffer(bytes);
      // An IPv4-mapped address comes back as IPv4.
      if (offer.status === 'accepted' && offer.addresses.some((ip) => !ip.includes(':'))) return undefined;
      return encodeOffer(offer);
    },
  ],
  [
    'L4_UPDATE',
    (bytes) => {
      const { update, mac } = decodeUpdate(bytes);
      if (update.addresses.some((ip) => !ip.includes(':'))) return undefined;
      return encodeUpdate(update, () => mac);
    },
  ],
  [
    'whereabouts',
    (bytes) => {
      const whereabouts = decodeWhereabouts(bytes);
      if (whereabouts.addresses.some((ip) => !ip.includes(':'))) return undefined;
      return encodeWhereabouts(whereabouts);
    },
  ],
  ['rendezvous ASK', (bytes) => encodeRendezvousAsk(decodeRendezvousAsk(bytes))],
  [
    'rendezvous ANSWER',
    (bytes) => {
      const answer = decodeRendezvousAnswer(bytes);
      const places = [answer.seen, ...(answer.status === 'found' ? [answer.from] : [])];
      if (places.some(({ ip }) => !ip.includes(':'))) return undefined;
      return encodeRendezvousAnswer(answer);
    },
  ],
  ['hello length', (bytes) => void helloLength(bytes)],
  [
    'OPEN',
    (bytes) => {
      const { message, mac } = decodeOpen(bytes);
      return encodeOpen(message, () => mac);
    },
  ],
  [
    'RESUME',
    (bytes) => {
      const { message, mac } = decodeResume(bytes);
      return encodeResume(message, () => mac);
    },
  ],
  [
    'REFUSE',
    (bytes) => {
      const { message, mac } = decodeRefuse(bytes);
      return encodeRefuse(message, () => mac);
    },
  ],
];

describe.each(TARGETS)('%s', (_, target) => {
  it('gives a value that encodes to the same bytes, or a WireError', { timeout: 600_000 }, () => {
    const random = new SeededRandom(4711);
    let values = 0;
    for (let i = 0; i < ROUNDS; i++) {
      const bytes = mutate(random);
      try {
        const again = target(bytes);
        values += 1;
        if (again !== undefined) expect(Buffer.from(again).equals(bytes)).toBe(true);
      } catch (error) {
        if (!(error instanceof WireError)) throw new Error(`on ${bytes.toString('hex')}`, { cause: error });
      }
    }
    expect(values).toBeGreaterThan(20);
  });
});

it('record readers hand over nothing but what was sealed', { timeout: 600_000 }, () => {
  const random = new SeededRandom(12);
  const wholes = SEEDS.map((bytes) => bytes.toString('hex'));
  for (let i = 0; i < ROUNDS / 5; i++) {
    const suite = random.pick(SUITES);
    const key = Uint8Array.from({ length: suite.keyBytes }, (_, n) => 0x50 + n);
    const reader = new RecordReader(suite.opener(key), 3, { initiator: 40_000, responder: 443 });
    const bytes = mutate(random);
    let handed = 0;
    try {
      reader.push(bytes, () => {
        handed += 1;
      });
    } catch (error) {
      if (!(error instanceof WireError || error instanceof ProtocolError)) throw error;
    }
    // Only the first record of a suite can be right here: the others have higher record numbers.
    if (handed > 0) expect(wholes.some((whole) => bytes.toString('hex').startsWith(whole))).toBe(true);
  }
});
