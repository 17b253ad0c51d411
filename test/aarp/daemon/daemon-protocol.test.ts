/** The line protocol of aarpd: what is a request, what is none, and what is said then. */
import { describe, expect, it } from 'vitest';
import {
  ERROR_WORDS,
  formatReply,
  formatRequest,
  lineDestination,
  MAX_LINE_BYTES,
  MAX_VERDICT_MS,
  parseReply,
  parseRequest,
  type Reply,
  type Request,
} from '../../../src/aarp/daemon/daemon-protocol.ts';
import { WireError } from '../../../src/core/errors.ts';

const REQUESTS: readonly [string, Request][] = [
  ['1 hello 1', { id: '1', verb: 'hello', version: 1 }],
  ['a9Z resolve fd00::53', { id: 'a9Z', verb: 'resolve', address: 'fd00::53' }],
  ['2 resolve fe80::1%eth0', { id: '2', verb: 'resolve', address: 'fe80::1%eth0' }],
  ['3 failed fd00::53 2001:db8::1', { id: '3', verb: 'failed', address: 'fd00::53', unicast: '2001:db8::1' }],
  ['4 flush', { id: '4', verb: 'flush' }],
  ['5 flush 192.0.2.1', { id: '5', verb: 'flush', address: '192.0.2.1' }],
  ['6 list', { id: '6', verb: 'list' }],
  ['7 stats', { id: '7', verb: 'stats' }],
  ['8 watch', { id: '8', verb: 'watch' }],
  [
    '9 verdict get mobility [2001:db8::1]:443',
    { id: '9', verb: 'verdict-get', of: { about: 'mobility', subject: '[2001:db8::1]:443' } },
  ],
  ['10 verdict get cast fd00::53', { id: '10', verb: 'verdict-get', of: { about: 'cast', subject: 'fd00::53' } }],
  [
    '11 verdict put mobility 192.0.2.1:80 plain 600000',
    {
      id: '11',
      verb: 'verdict-put',
      of: { about: 'mobility', subject: '192.0.2.1:80' },
      verdict: 'plain',
      ttlMs: 600_000,
    },
  ],
  [
    '12 verdict put cast fd00::53 anycast 1',
    { id: '12', verb: 'verdict-put', of: { about: 'cast', subject: 'fd00::53' }, verdict: 'anycast', ttlMs: 1 },
  ],
];

describe('a request', () => {
  it.each(REQUESTS)('%j is read, and written the same', (line, request) => {
    expect(parseRequest(line)).toEqual({ ok: true, request });
    expect(formatRequest(request)).toBe(`${line}\n`);
  });

  it('may spell its addresses as it likes', () => {
    expect(parseRequest('1 resolve FD00:0::0:53')).toMatchObject({ request: { address: 'fd00::53' } });
    expect(parseRequest('1 verdict get mobility [2001:DB8:0::1]:443')).toMatchObject({
      request: { of: { subject: '[2001:db8::1]:443' } },
    });
  });

  it.each([
    ['', '- error malformed expected an id of 1 to 16 letters and digits first'],
    ['resolve', 'resolve error unknown-verb'],
    ['12345678901234567 list', '- error malformed expected an id'],
    ['- list', '- error malformed expected an id'],
    [' 1 list', '- error malformed expected an id'],
    ['1', '1 error unknown-verb expected one of hello, resolve,'],
    ['1  list', '1 error unknown-verb'],
    ['1 LIST', '1 error unknown-verb'],
    ['1 toString', '1 error unknown-verb'],
    ['1 verdict', '1 error unknown-verb'],
    ['1 verdict take', '1 error unknown-verb'],
    ['1 list ', '1 error malformed expected list'],
    ['1 resolve', '1 error malformed expected resolve ADDRESS'],
    ['1 resolve ::1 ::2', '1 error malformed expected resolve ADDRESS'],
    ['1 flush ::1 ::2', '1 error malformed expected flush [ADDRESS]'],
    ['1 resolve example.org', '1 error malformed ADDRESS: found "example.org", expected an address such as fd00::53'],
    ['1 resolve fe80::1%', '1 error malformed ADDRESS'],
    ['1 resolve fe80::1%eth0/1', '1 error malformed ADDRESS'],
    ['1 resolve 192.0.2.1%eth0', '1 error malformed ADDRESS'],
    [`1 resolve ${'a'.repeat(200)}`, `1 error malformed ADDRESS: found "${'a'.repeat(60)}..."`],
    ['1 resolve fd00::53\t', '1 error malformed expected printable ASCII'],
    ['1 resolve fd00::53\u00e9', '1 error malformed expected printable ASCII'],
    ['1 failed fd00::53 fd00', '1 error malformed UNICAST: found "fd00"'],
    ['1 hello 0', '1 error malformed VERSION: found "0", expected a whole number from 1 to 999'],
    ['1 hello 1e2', '1 error malformed VERSION'],
    ['1 verdict get fame fd00::53', '1 error malformed KIND: found "fame", expected mobility or cast'],
    ['1 verdict get mobility fd00::53', '1 error malformed SUBJECT: found "fd00::53", expected a destination'],
    ['1 verdict put cast fd00::53 plain 1', '1 error malformed VERDICT: found "plain", expected anycast or unicast'],
    ['1 verdict put mobility 192.0.2.1:1 unicast 1', '1 error malformed VERDICT: found "unicast", expected mobile'],
    [`1 verdict put cast ::1 unicast ${MAX_VERDICT_MS + 1}`, '1 error malformed TTL'],
    ['1 verdict put cast ::1 unicast 01', '1 error malformed TTL'],
  ])('%j is none', (line, answer) => {
    const parsed = parseRequest(line);
    if (parsed.ok) throw new Error('was taken');
    expect(formatReply(parsed.reply)).toContain(answer);
    expect(formatReply(parsed.reply).length).toBeLessThanOrEqual(MAX_LINE_BYTES);
  });

  it('names a destination in one way only', () => {
    expect(lineDestination('[::ffff:192.0.2.1]:80')).toBeUndefined();
    for (const text of [
      '::1:80',
      '[::1]',
      '[::1]:0',
      '[::1]:65536',
      '[192.0.2.1]:80',
      '192.0.2.1',
      'a:80',
      '[::1]:080',
    ]) {
      expect(lineDestination(text)).toBeUndefined();
    }
    expect(lineDestination('[fe80::1%eth0]:80')).toBe('[fe80::1%eth0]:80');
  });
});

describe('a reply', () => {
  it.each<Reply>([
    { id: '1', kind: 'ok', words: [] },
    { id: '1', kind: 'ok', words: ['anycast', '2001:db8::1', 'confirmed', '59000'] },
    { id: 'x', kind: 'item', words: ['aarpd_requests_total{verb="resolve"}', '4'] },
    { id: 'x', kind: 'event', words: ['added', 'fe80::1%eth0', 'eth0'] },
    ...ERROR_WORDS.map((code): Reply => ({ id: '-', kind: 'error', code, message: 'why it is so' })),
  ])('%j is read as it was written', (reply) => {
    const line = formatReply(reply);
    expect(line.endsWith('\n')).toBe(true);
    expect(parseReply(line.slice(0, -1))).toEqual(reply);
  });

  it('keeps its form whatever the message of an error is', () => {
    const message = `two\nlines ${'and much more '.repeat(100)}`;
    const line = formatReply({ id: '1', kind: 'error', code: 'failed', message });
    expect(line).toMatch(/^1 error failed two lines and much[ -~]*\n$/);
    expect(line).toHaveLength(MAX_LINE_BYTES);
  });

  it.each(['', 'ok', '1 fine', '! ok', '1 error', '1 error because', '1 error busy', '1 ok \u0007'])(
    '%j is none',
    (line) => {
      expect(() => parseReply(line)).toThrow(WireError);
    },
  );
});
