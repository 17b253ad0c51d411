/**
 * The line protocol and the cache file of aarpd against mutations and noise: a line is a request that is written as it
 * was meant, or gets one error reply; a file is verdicts, or a WireError. MOBISOCK_TEST_LONG=1 makes it a hundred times
 * as many.
 */
import { expect, it } from 'vitest';
import {
  formatReply,
  formatRequest,
  MAX_LINE_BYTES,
  parseReply,
  parseRequest,
} from '../../src/aarp/daemon/daemon-protocol.ts';
import { LineReader } from '../../src/aarp/daemon/line-reader.ts';
import { decodeVerdictFile, encodeVerdictFile } from '../../src/aarp/daemon/verdict-file.ts';
import { WireError } from '../../src/core/errors.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { mutation } from './mutations.ts';

const ROUNDS = process.env.MOBISOCK_TEST_LONG === '1' ? 1_000_000 : 10_000;
const NOW = 1_790_000_000_000;

const REQUESTS = [
  '1 hello 1\n',
  '22 resolve fd00::53\n',
  '3 resolve fe80::1%eth0\r\n',
  'a failed fd00::53 2001:db8::1\n',
  '4 flush\n4 flush 192.0.2.1\n',
  '5 list\n6 stats\n7 watch\n',
  '8 verdict get mobility [2001:db8::1]:443\n',
  '9 verdict put mobility 192.0.2.1:80 mobile 600000\n',
  '9 verdict put cast fd00::53 anycast 1\n',
].map((text) => Buffer.from(text));
const REPLIES = [
  '1 ok anycast 2001:db8::1 confirmed 59000',
  '2 error silent no',
  '- error too-long x',
  '3 event routes',
  'x item a 1',
].map((text) => Buffer.from(text));
const FILES = [
  encodeVerdictFile({
    destinations: [{ destination: '[2001:db8::1]:443', verdict: 'plain', until: NOW + 1 }],
    resolutions: [{ address: 'fd00::53', kind: 'anycast', unicast: '2001:db8::7', until: NOW + 1 }],
  }),
  encodeVerdictFile({
    destinations: [],
    resolutions: [{ address: 'fe80::1%eth0', kind: 'unicast', unicast: 'fe80::1%eth0', until: NOW + 1 }],
  }),
].map((text) => Buffer.from(text));

function mutate(random: SeededRandom, seeds: readonly Buffer[]): Buffer {
  if (random.chance(0.05)) return Buffer.from(random.bytes(random.between(0, 2 * MAX_LINE_BYTES)));
  return mutation(random, seeds, 3, (bytes, at) => {
    bytes[at] = random.pick([...Buffer.from(' \n\r%:.-[]019af')]);
  });
}

it('each line of a stream is a request or gets an error, and nothing else', { timeout: 600_000 }, () => {
  const random = new SeededRandom(7);
  const reader = new LineReader(MAX_LINE_BYTES);
  const seen = { requests: 0, refused: 0, tooLong: 0 };
  for (let i = 0; i < ROUNDS; i++) {
    reader.push(mutate(random, REQUESTS));
    for (let line = reader.next(); line !== undefined; line = reader.next()) {
      const parsed = line.text === undefined ? undefined : parseRequest(line.text);
      if (parsed === undefined) seen.tooLong += 1;
      else if (parsed.ok) {
        seen.requests += 1;
        expect(parseRequest(formatRequest(parsed.request).slice(0, -1))).toEqual(parsed);
      } else {
        seen.refused += 1;
        expect(formatReply(parsed.reply)).toMatch(
          /^(?:-|[A-Za-z0-9]{1,16}) error (?:malformed|unknown-verb) [ -~]+\n$/,
        );
      }
    }
    expect(reader.pendingBytes).toBeLessThan(MAX_LINE_BYTES);
  }
  expect(Math.min(seen.requests, seen.refused, seen.tooLong)).toBeGreaterThan(ROUNDS / 1000);
});

it('a line is a reply that is written the same, or a WireError', { timeout: 600_000 }, () => {
  const random = new SeededRandom(8);
  let replies = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const line = mutate(random, REPLIES)
      .toString('latin1')
      .slice(0, MAX_LINE_BYTES - 1);
    try {
      expect(formatReply(parseReply(line))).toBe(`${line}\n`);
      replies += 1;
    } catch (error) {
      if (!(error instanceof WireError)) throw new Error(`on ${JSON.stringify(line)}`, { cause: error });
    }
  }
  expect(replies).toBeGreaterThan(ROUNDS / 100);
});

it('a file is verdicts that can be written again, or a WireError', { timeout: 600_000 }, () => {
  const random = new SeededRandom(9);
  let files = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const bytes = mutate(random, FILES);
    try {
      const verdicts = decodeVerdictFile(bytes, NOW);
      expect(decodeVerdictFile(Buffer.from(encodeVerdictFile(verdicts)), NOW)).toEqual(verdicts);
      files += 1;
    } catch (error) {
      if (!(error instanceof WireError))
        throw new Error(`on ${JSON.stringify(bytes.toString('latin1'))}`, { cause: error });
    }
  }
  expect(files).toBeGreaterThan(ROUNDS / 100);
});
