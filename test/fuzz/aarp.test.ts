/**
 * AARP datagrams against mutations of the vectors and against noise: the decoder gives a value that encodes to the same
 * bytes, or a WireError; a member answers nothing that is no probe, and a resolver that hears all of it in answer to
 * its own nonce gives out no more than what was named. MOBISOCK_TEST_LONG=1 makes it a hundred times as many.
 */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { AarpMember } from '../../src/aarp/member.ts';
import { AnycastResolver } from '../../src/aarp/resolver.ts';
import { decodeAarpProbe, decodeAarpReply, encodeAarpProbe, encodeAarpReply } from '../../src/aarp/wire/aarp.ts';
import { WireError } from '../../src/core/errors.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { mutation } from './mutations.ts';

const ROUNDS = process.env.MOBISOCK_TEST_LONG === '1' ? 1_000_000 : 10_000;

interface Message {
  readonly withoutKey: string;
}

const VECTORS = JSON.parse(readFileSync(new URL('../vectors/aarp.json', import.meta.url), 'utf8')) as {
  readonly probes: readonly Message[];
  readonly replies: readonly Message[];
};
const SEEDS = [...VECTORS.probes, ...VECTORS.replies].map(({ withoutKey }) => Buffer.from(withoutKey, 'hex'));

function mutate(random: SeededRandom): Buffer {
  if (random.chance(0.1)) return Buffer.from(random.bytes(random.between(0, 220)));
  const bytes = mutation(random, SEEDS, 3, (some, at) => {
    some[at] = random.pick([0, 1, 4, 16, 0xff]);
  });
  // Most lengths and MACs would be wrong after that; let some through.
  if (bytes.length >= 24 && random.chance(0.7)) {
    bytes.writeUInt16BE((bytes.length - 8) & 0xffff, 6);
    bytes.fill(0, bytes.length - 16);
  }
  return bytes;
}

it.each([
  ['probe', (bytes: Uint8Array) => encodeAarpProbe(decodeAarpProbe(bytes))],
  ['reply', (bytes: Uint8Array) => encodeAarpReply(decodeAarpReply(bytes))],
])('a %s decodes to a value that encodes to the same bytes, or to a WireError', { timeout: 600_000 }, (_, again) => {
  const random = new SeededRandom(4713);
  let values = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = mutate(random);
    try {
      const encoded = again(bytes);
      values += 1;
      // An IPv4-mapped address comes back as the IPv4 address that it stands for.
      if (!bytes.includes('00000000000000000000ffff', 0, 'hex')) expect(bytes.equals(encoded)).toBe(true);
    } catch (error) {
      if (!(error instanceof WireError)) throw new Error(`on ${bytes.toString('hex')}`, { cause: error });
    }
  }
  expect(values).toBeGreaterThan(20);
});

it('a member answers probes about its own addresses and nothing else', { timeout: 600_000 }, () => {
  const random = new SeededRandom(9);
  const member = new AarpMember({ serves: ['2001:db8::53'] });
  member.setAddresses(['2001:db8:1::1']);
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = mutate(random);
    const reply = member.handleDatagram(i * 10, bytes);
    if (reply === undefined) continue;
    expect(reply.length).toBeLessThan(bytes.length);
    expect(['2001:db8::53', '2001:db8:1::1']).toContain(decodeAarpProbe(bytes).asked);
    expect(decodeAarpReply(reply).members).toEqual(['2001:db8:1::1']);
  }
  const { replies, malformed, foreign } = member.counters;
  expect(replies + malformed + foreign).toBe(ROUNDS);
  expect(Math.min(replies, malformed, foreign)).toBeGreaterThan(5);
});

it('a resolver takes any reply without an error', { timeout: 600_000 }, () => {
  const random = new SeededRandom(10);
  const resolver = new AnycastResolver({ random, methods: ['aarp'] });
  let replies = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = mutate(random);
    const now = i * 10_000;
    resolver.resolve(now, '2001:db8::53');
    try {
      const { members, lifetimeSeconds } = decodeAarpReply(bytes);
      replies += 1;
      for (let probe = resolver.pollProbe(); probe !== undefined; probe = resolver.pollProbe()) {
        const answer = { method: 'aarp', from: probe.to, members, lifetimeMs: lifetimeSeconds * 1_000 } as const;
        resolver.handleAnswer(now, probe.nonce, answer);
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
    resolver.handleTimeout(now + 9_000);
    while (resolver.pollProbe() !== undefined);
    expect(resolver.inquiries).toBeLessThan(2);
    for (let event = resolver.pollEvent(); event !== undefined; event = resolver.pollEvent()) {
      if (event.type === 'resolved' && event.resolution.kind === 'anycast')
        expect(event.resolution.ttlMs).toBeLessThanOrEqual(3_600_000);
    }
  }
  expect(replies).toBeGreaterThan(20);
});
