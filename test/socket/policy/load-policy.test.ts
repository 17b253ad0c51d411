import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AddressSelection } from '../../../src/addrsel/io/address-selection.ts';
import { UsageError } from '../../../src/core/errors.ts';
import { loadPolicy } from '../../../src/socket/policy/load-policy.ts';
import type { Policy } from '../../../src/socket/policy/policy.ts';

type Env = Record<string, string>;

function fromText(text: string | Uint8Array, env: Env = {}): Policy {
  return loadPolicy({ MOBISOCK_POLICY: 'p.json', ...env }, () => (typeof text === 'string' ? Buffer.from(text) : text));
}

function fromFile(file: unknown, env: Env = {}): Policy {
  return fromText(JSON.stringify(file), env);
}

function fromEnv(env: Env, useTable: (name: string) => unknown = () => {}): Policy {
  const readFile = (): never => {
    throw new Error('no file may be read');
  };
  return loadPolicy(env, readFile, useTable);
}

function problem(run: () => unknown): { message: string; code: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError) return { message: error.message, code: error.code };
    throw error;
  }
  throw new Error('no error');
}

const ALL_VARIABLES =
  'MOBISOCK, MOBISOCK_POLICY, MOBISOCK_MOBILITY, MOBISOCK_SUITES, MOBISOCK_GROUPS, MOBISOCK_SESSION_PORT, MOBISOCK_SESSION_TIMEOUT, MOBISOCK_HEAD_START, MOBISOCK_NAT_KEEPALIVE, MOBISOCK_ANYCAST, MOBISOCK_AARPD, MOBISOCK_ADDRSEL, MOBISOCK_RENDEZVOUS, MOBISOCK_EVENTS';
const SUITES = 'hmac-sha256-128, aes-128-gmac, aes-128-gcm, chacha20-poly1305';
const FILE_KEYS =
  'mobility, suites, groups, sessionPort, sessionTimeoutMs, headStartMs, natKeepAliveMs, anycast, aarpd, addrsel, rendezvous, limits, rules, listeners, peers';

describe('an empty environment', () => {
  it('means auto and leaves everything else to the defaults of the endpoint', () => {
    const policy = fromEnv({ PATH: '/bin' });
    expect(policy).toMatchObject({ enabled: true, mobility: 'auto', limits: {}, peers: [] });
    expect(policy.aarpd).toBe('/run/aarpd/aarpd.sock');
    const keys = [
      'suites',
      'groups',
      'sessionPort',
      'sessionTimeoutMs',
      'headStartMs',
      'natKeepAliveMs',
      'rendezvous',
      'events',
    ] as const;
    for (const key of keys) {
      expect(policy[key]).toBeUndefined();
    }
  });

  it('takes variables that are set to nothing for not set', () => {
    expect(fromEnv({ MOBISOCK: '', MOBISOCK_MOBILITY: '', MOBISOCK_POLICY: '' }).mobility).toBe('auto');
  });

  it('leaves the variables of the tests alone', () => {
    expect(fromEnv({ MOBISOCK_TEST_LONG: '1' }).mobility).toBe('auto');
  });
});

describe('the kill switch', () => {
  it('switches everything off, whatever else is set and broken', () => {
    const policy = fromEnv({
      MOBISOCK: 'off',
      MOBISOCK_MOBILITY: 'nonsense',
      MOBISOCK_POLICY: '/none',
      MOBISOCK_X: '1',
    });
    expect(policy).toMatchObject({ enabled: false, mobility: 'off' });
    expect(policy.outgoing({ address: '192.0.2.1', port: 80 })).toBe('off');
    expect(policy.listener({ address: '::', port: 80 }).mobility).toBe('off');
  });

  it('is not thrown by "on"', () => {
    expect(fromEnv({ MOBISOCK: 'on' }).enabled).toBe(true);
  });
});

describe('each variable', () => {
  it.each<[Env, object]>([
    [{ MOBISOCK_MOBILITY: 'require' }, { mobility: 'require' }],
    [{ MOBISOCK_SUITES: 'aes-128-gcm, hmac-sha256-128' }, { suites: ['aes-128-gcm', 'hmac-sha256-128'] }],
    [{ MOBISOCK_GROUPS: 'modp3072,x25519' }, { groups: ['modp3072', 'x25519'] }],
    [{ MOBISOCK_SESSION_PORT: '0' }, { sessionPort: { first: 0, last: 0 } }],
    [{ MOBISOCK_SESSION_PORT: '4433' }, { sessionPort: { first: 4433, last: 4433 } }],
    [{ MOBISOCK_SESSION_PORT: '4433-4440' }, { sessionPort: { first: 4433, last: 4440 } }],
    [{ MOBISOCK_SESSION_TIMEOUT: '1500' }, { sessionTimeoutMs: 1500 }],
    [{ MOBISOCK_SESSION_TIMEOUT: '500ms' }, { sessionTimeoutMs: 500 }],
    [{ MOBISOCK_SESSION_TIMEOUT: '30s' }, { sessionTimeoutMs: 30_000 }],
    [{ MOBISOCK_SESSION_TIMEOUT: '15m' }, { sessionTimeoutMs: 900_000 }],
    [{ MOBISOCK_SESSION_TIMEOUT: '24h' }, { sessionTimeoutMs: 86_400_000 }],
    [{ MOBISOCK_HEAD_START: '0' }, { headStartMs: 0 }],
    [{ MOBISOCK_HEAD_START: ' 50 ' }, { headStartMs: 50 }],
    [{ MOBISOCK_NAT_KEEPALIVE: '25s' }, { natKeepAliveMs: 25_000 }],
    [
      { MOBISOCK_RENDEZVOUS: 'Meet.example.org:99, 192.0.2.1, [2001:DB8::1]:4475, 2001:db8::2' },
      {
        rendezvous: [
          { host: 'meet.example.org', port: 99 },
          { host: '192.0.2.1', port: 4474 },
          { host: '2001:db8::1', port: 4475 },
          { host: '2001:db8::2', port: 4474 },
        ],
      },
    ],
    [{ MOBISOCK_AARPD: './aarpd.sock' }, { aarpd: './aarpd.sock' }],
    [{ MOBISOCK_AARPD: 'off' }, { aarpd: undefined }],
    [{ MOBISOCK_ADDRSEL: 'system' }, { addrsel: undefined }],
    [{ MOBISOCK_ADDRSEL: 'rfc6724' }, { addrsel: 'rfc6724' }],
    [{ MOBISOCK_ADDRSEL: '/etc/mobisock/addresses.json' }, { addrsel: '/etc/mobisock/addresses.json' }],
    [{ MOBISOCK_EVENTS: 'stderr' }, { events: { kind: 'stderr' } }],
    [{ MOBISOCK_EVENTS: './e.jsonl' }, { events: { kind: 'file', path: './e.jsonl' } }],
  ])('%j gives %j', (env, expected) => {
    expect(fromEnv(env)).toMatchObject(expected);
  });
});

describe('each wrong variable', () => {
  const timeout = 'expected milliseconds or a time such as 30s, 15m or 24h, from 1 to 2147483647 ms';
  const port = 'expected a port from 1 to 65535, a range such as "8000-8100", or 0 for any free port';
  it.each<[Env, string]>([
    [{ MOBISOCK: 'of' }, 'MOBISOCK: found "of", expected one of on, off; did you mean "on"?'],
    [
      { MOBISOCK_MOBILITY: 'Auto' },
      'MOBISOCK_MOBILITY: found "Auto", expected one of off, auto, prefer, require; did you mean "auto"?',
    ],
    [
      { MOBISOCK_SUITES: 'aes-128-gmc' },
      `MOBISOCK_SUITES[0]: found "aes-128-gmc", expected one of ${SUITES}; did you mean "aes-128-gmac"?`,
    ],
    [
      { MOBISOCK_SUITES: 'aes-128-gcm,aes-128-gcm' },
      'MOBISOCK_SUITES[1]: found "aes-128-gcm", expected each item once',
    ],
    [{ MOBISOCK_SUITES: 'aes-128-gcm,' }, `MOBISOCK_SUITES[1]: found "", expected one of ${SUITES}`],
    [{ MOBISOCK_SUITES: ',,,,' }, 'MOBISOCK_SUITES: found a list of 5, expected at most 4 items'],
    [
      { MOBISOCK_GROUPS: 'modp2049' },
      'MOBISOCK_GROUPS[0]: found "modp2049", expected one of x25519, modp2048, modp3072; did you mean "modp2048"?',
    ],
    [{ MOBISOCK_SESSION_PORT: '65536' }, `MOBISOCK_SESSION_PORT: found "65536", ${port}`],
    [{ MOBISOCK_SESSION_PORT: '0-10' }, `MOBISOCK_SESSION_PORT: found "0-10", ${port}`],
    [{ MOBISOCK_SESSION_PORT: '20-10' }, `MOBISOCK_SESSION_PORT: found "20-10", ${port}`],
    [{ MOBISOCK_SESSION_PORT: 'http' }, `MOBISOCK_SESSION_PORT: found "http", ${port}`],
    [{ MOBISOCK_SESSION_TIMEOUT: '0' }, `MOBISOCK_SESSION_TIMEOUT: found "0", ${timeout}`],
    [{ MOBISOCK_SESSION_TIMEOUT: '-1' }, `MOBISOCK_SESSION_TIMEOUT: found "-1", ${timeout}`],
    [{ MOBISOCK_SESSION_TIMEOUT: '2d' }, `MOBISOCK_SESSION_TIMEOUT: found "2d", ${timeout}`],
    [{ MOBISOCK_SESSION_TIMEOUT: '1000h' }, `MOBISOCK_SESSION_TIMEOUT: found "1000h", ${timeout}`],
    [
      { MOBISOCK_HEAD_START: '11s' },
      'MOBISOCK_HEAD_START: found "11s", expected milliseconds or a time such as 30s, 15m or 24h, from 0 to 10000 ms',
    ],
    [
      { MOBISOCK_NAT_KEEPALIVE: '999' },
      'MOBISOCK_NAT_KEEPALIVE: found "999", expected milliseconds or a time such as 30s, 15m or 24h, from 1000 to 2147483647 ms',
    ],
    [
      { MOBISOCK_NAT_KEEPALIVE: 'on' },
      'MOBISOCK_NAT_KEEPALIVE: found "on", expected milliseconds or a time such as 30s, 15m or 24h, from 1000 to 2147483647 ms',
    ],
    ...['', ':1', 'a:0', 'a:65536', 'a:b', '[192.0.2.1]:5', '10.0.0.0/8', '*.example.org', 'a b'].map(
      (item): [Env, string] => [
        { MOBISOCK_RENDEZVOUS: `ok.example.org,${item}` },
        `MOBISOCK_RENDEZVOUS[1]: found "${item}", expected a host, with a port or without, such as "rendezvous.example.org:4474"`,
      ],
    ),
    [{ MOBISOCK_RENDEZVOUS: 'a,b,c,d,e' }, 'MOBISOCK_RENDEZVOUS: found a list of 5, expected at most 4 items'],
    [
      { MOBISOCK_EVENTS: '1' },
      'MOBISOCK_EVENTS: found "1", expected stderr, or the path of a file with a slash in it, such as ./events.jsonl',
    ],
    [
      { MOBISOCK_SUITE: 'x' },
      `MOBISOCK_SUITE: unknown variable, expected one of ${ALL_VARIABLES}; did you mean "MOBISOCK_SUITES"?`,
    ],
    [{ MOBISOCK_COLOUR_SCHEME: 'x' }, `MOBISOCK_COLOUR_SCHEME: unknown variable, expected one of ${ALL_VARIABLES}`],
  ])('%j is told', (env, message) => {
    expect(problem(() => fromEnv(env))).toEqual({ message, code: 'ERR_MOBISOCK_ENVIRONMENT' });
  });
});

describe('the file', () => {
  it('sets every key', () => {
    const policy = fromFile({
      mobility: 'prefer',
      suites: ['chacha20-poly1305'],
      groups: ['modp2048'],
      sessionPort: 4433,
      sessionTimeoutMs: 60_000,
      headStartMs: 20,
      natKeepAliveMs: 30_000,
      aarpd: '/tmp/aarpd.sock',
      rendezvous: ['meet.example.org'],
      limits: { sessions: 100, replayLimitBytes: 65_536 },
      rules: [{ to: '10.0.0.0/8', port: '1-10', mobility: 'off' }],
      listeners: [{ address: '::', port: 443, mobility: 'require', from: ['2001:db8::/32'] }],
      peers: [{ host: 'Db.Example.org.', port: 5432, sessionPort: 5433 }],
    });
    expect(policy).toMatchObject({
      mobility: 'prefer',
      suites: ['chacha20-poly1305'],
      groups: ['modp2048'],
      sessionPort: { first: 4433, last: 4433 },
      sessionTimeoutMs: 60_000,
      headStartMs: 20,
      natKeepAliveMs: 30_000,
      aarpd: '/tmp/aarpd.sock',
      rendezvous: [{ host: 'meet.example.org', port: 4474 }],
      limits: { sessions: 100, replayLimitBytes: 65_536 },
      peers: [{ host: 'db.example.org', port: 5432, sessionPort: 5433 }],
    });
  });

  it('gives way to the environment, key by key', () => {
    const policy = fromFile(
      { mobility: 'require', sessionPort: '1-9', headStartMs: 7, rules: [{ port: 22, mobility: 'off' }] },
      { MOBISOCK_MOBILITY: 'prefer', MOBISOCK_SESSION_PORT: '99' },
    );
    expect(policy).toMatchObject({ mobility: 'prefer', sessionPort: { first: 99, last: 99 }, headStartMs: 7 });
    expect(policy.outgoing({ address: '192.0.2.1', port: 22 })).toBe('off');
  });

  it('may begin with a byte order mark', () => {
    expect(fromText('\ufeff{"mobility":"off"}').mobility).toBe('off');
  });

  it('is read from the disk where nothing else is asked for', () => {
    const folder = mkdtempSync(join(tmpdir(), 'mobisock-policy-'));
    try {
      const path = join(folder, 'policy.json');
      writeFileSync(path, '{ "mobility": "require" }');
      expect(loadPolicy({ MOBISOCK_POLICY: path }).mobility).toBe('require');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('that is not there is told with the reason', () => {
    const { message, code } = problem(() => loadPolicy({ MOBISOCK_POLICY: '/nonexistent/p.json' }));
    expect(code).toBe('ERR_MOBISOCK_POLICY');
    expect(message).toMatch(/^MOBISOCK_POLICY: \/nonexistent\/p\.json: cannot be read: ENOENT/);
  });

  it('that never ends is given up at the limit', () => {
    expect(problem(() => loadPolicy({ MOBISOCK_POLICY: '/dev/zero' })).message).toBe(
      '/dev/zero: larger than 262144 bytes',
    );
  });

  it('that is not UTF-8 is refused', () => {
    expect(problem(() => fromText(Uint8Array.of(0x7b, 0xff, 0x7d))).message).toBe('p.json: not UTF-8');
  });
});

describe('faults of syntax name line and column', () => {
  it.each<[string, string]>([
    ['', 'line 1, column 1: found the end, expected a value'],
    ['{\n  "rules": [\n    nope\n  ]\n}', 'line 3, column 5: found "n", expected a value'],
    ['{"a": 1,\n}', 'line 2, column 1: found "}", expected a key in double quotes'],
    ['{"a" 1}', 'line 1, column 6: found "1", expected ":"'],
    ['{"a": 1 "b": 2}', 'line 1, column 9: found "\\"", expected "," or "}"'],
    ['[1 2]', 'line 1, column 4: found "2", expected "," or "]"'],
    ['{} {}', 'line 1, column 4: found "{", expected nothing more'],
    ['{"a', 'line 1, column 4: found the end, expected the closing quote of a string'],
    ['{"a\n": 1}', 'line 1, column 4: found "\\n", expected the closing quote of a string'],
    ['{"\\x": 1}', 'line 1, column 2: found "\\"", expected a string with valid escapes'],
    ['// comment\n{}', 'line 1, column 1: found "/", expected a value'],
    ['{"a": 01}', 'line 1, column 8: found "1", expected "," or "}"'],
    ['['.repeat(99_999), 'line 1, column 17: found "[", expected at most 16 levels of nesting'],
  ])('%j', (text, message) => {
    const found = problem(() => fromText(text.length > 100 ? text : text));
    expect(found).toEqual({ message: `p.json: ${message}`, code: 'ERR_MOBISOCK_POLICY' });
  });
});

describe('each wrong value in the file is told with its key path', () => {
  const port = 'expected a port from 1 to 65535 or a range such as "8000-8100"';
  const rule = (rest: object): object => ({ rules: [{ mobility: 'off', port: 1, ...rest }] });
  const destination = 'expected an address, a prefix such as "2001:db8::/32", a host name or "*.example.org"';
  const prefix = 'expected an address or a prefix such as "2001:db8::/32"';
  it.each<[unknown, string]>([
    [[], 'p.json: found an empty list, expected an object'],
    [{ mobilty: 'off' }, `p.json: mobilty: unknown key, expected one of ${FILE_KEYS}; did you mean "mobility"?`],
    [{ constructor: 1 }, `p.json: constructor: unknown key, expected one of ${FILE_KEYS}`],
    [{ mobility: true }, 'p.json: mobility: found true, expected one of off, auto, prefer, require'],
    [{ suites: 'aes-128-gcm' }, 'p.json: suites: found "aes-128-gcm", expected a list'],
    [{ suites: [] }, 'p.json: suites: found an empty list, expected at least one item'],
    [{ groups: [null] }, 'p.json: groups[0]: found null, expected one of x25519, modp2048, modp3072'],
    [
      { sessionPort: -1 },
      'p.json: sessionPort: found -1, expected a port from 1 to 65535, a range such as "8000-8100", or 0 for any free port',
    ],
    [
      { sessionTimeoutMs: '30s' },
      'p.json: sessionTimeoutMs: found "30s", expected a whole number from 1 to 2147483647',
    ],
    [{ headStartMs: 1.5 }, 'p.json: headStartMs: found 1.5, expected a whole number from 0 to 10000'],
    [{ natKeepAliveMs: 0 }, 'p.json: natKeepAliveMs: found 0, expected a whole number from 1000 to 2147483647'],
    [{ limits: 3 }, 'p.json: limits: found 3, expected an object'],
    [{ limits: { sessions: 0 } }, 'p.json: limits.sessions: found 0, expected a whole number from 1 to 1000000'],
    [
      { limits: { session: 1 } },
      'p.json: limits.session: unknown key, expected one of sessions, associations, unconfirmedPerSource, verdicts, replayLimitBytes, maxWindowBytes; did you mean "sessions"?',
    ],
    [{ rules: {} }, 'p.json: rules: found an object, expected a list'],
    [{ rules: [{ port: 1 }] }, 'p.json: rules[0].mobility: missing'],
    [
      { rules: [{ mobility: 'off' }] },
      'p.json: rules[0]: expected "to", "port" or both; for every destination use the key "mobility" of the file',
    ],
    [rule({ port: 99_999 }), `p.json: rules[0].port: found 99999, ${port}`],
    [rule({ port: 0 }), `p.json: rules[0].port: found 0, ${port}`],
    [rule({ to: 'a_b..c' }), `p.json: rules[0].to: found "a_b..c", ${destination}`],
    [rule({ to: '*' }), `p.json: rules[0].to: found "*", ${destination}`],
    [rule({ to: 'a.*.org' }), `p.json: rules[0].to: found "a.*.org", ${destination}`],
    [rule({ to: '-a.org' }), `p.json: rules[0].to: found "-a.org", ${destination}`],
    [rule({ to: 'x'.repeat(70) }), `p.json: rules[0].to: found "${'x'.repeat(60)}...", ${destination}`],
    [rule({ to: '' }), `p.json: rules[0].to: found "", ${destination}`],
    [rule({ to: 7 }), `p.json: rules[0].to: found 7, ${destination}`],
    [rule({ to: '10.0.0' }), `p.json: rules[0].to: found "10.0.0", ${prefix}`],
    [rule({ to: '010.0.0.1' }), `p.json: rules[0].to: found "010.0.0.1", ${prefix}`],
    [rule({ to: 'fe80::1%eth0' }), `p.json: rules[0].to: found "fe80::1%eth0", ${prefix}`],
    [rule({ to: 'example.org:443' }), `p.json: rules[0].to: found "example.org:443", ${prefix}`],
    [rule({ to: '10.0.0.0/8/8' }), `p.json: rules[0].to: found "10.0.0.0/8/8", ${prefix}`],
    [rule({ to: '10.0.0.0/33' }), 'p.json: rules[0].to: found "10.0.0.0/33", expected a prefix length from 0 to 32'],
    [rule({ to: '::/' }), 'p.json: rules[0].to: found "::/", expected a prefix length from 0 to 128'],
    [
      rule({ to: '10.0.0.1/8' }),
      'p.json: rules[0].to: found "10.0.0.1/8", expected no bits beyond the prefix length, as in "10.0.0.0/8"',
    ],
    [
      rule({ to: '::ffff:10.0.0.1/104' }),
      'p.json: rules[0].to: found "::ffff:10.0.0.1/104", expected no bits beyond the prefix length, as in "10.0.0.0/8"',
    ],
    [
      { listeners: [{ port: 1 }] },
      'p.json: listeners[0]: expected "mobility", "from" or both; otherwise it decides nothing',
    ],
    [{ listeners: [{ from: ['x'] }] }, `p.json: listeners[0].from[0]: found "x", ${prefix}`],
    [{ listeners: [{ from: [] }] }, 'p.json: listeners[0].from: found an empty list, expected at least one item'],
    [{ listeners: [{ address: 'lo', mobility: 'off' }] }, `p.json: listeners[0].address: found "lo", ${prefix}`],
    [
      { anycast: ['2001:db8::/200'] },
      'p.json: anycast[0]: found "2001:db8::/200", expected a prefix length from 0 to 128',
    ],
    [{ aarpd: 'on' }, 'p.json: aarpd: found "on", expected off, or the path of a socket such as /run/aarpd/aarpd.sock'],
    [
      { addrsel: 'rfc6725' },
      'p.json: addrsel: found "rfc6725", expected system, rfc6724, kernel, glibc, or the path of a table with "/" or "." in it',
    ],
    [
      { rendezvous: [7] },
      'p.json: rendezvous[0]: found 7, expected a host, with a port or without, such as "rendezvous.example.org:4474"',
    ],
    [{ peers: [{ host: 'a', port: 1 }] }, 'p.json: peers[0].sessionPort: missing'],
    [
      { peers: [{ host: 'a', port: '1', sessionPort: 1 }] },
      'p.json: peers[0].port: found "1", expected a port from 1 to 65535',
    ],
    [
      { peers: [{ host: '10.0.0.0/8', port: 1, sessionPort: 1 }] },
      'p.json: peers[0].host: found "10.0.0.0/8", expected a host name or an address',
    ],
    [
      { peers: ['a', 'A.'].map((host) => ({ host, port: 1, sessionPort: 1 })) },
      'p.json: peers: host "a" with port 1 is there twice',
    ],
    [
      { rules: Array.from({ length: 1001 }, () => ({})) },
      'p.json: rules: found a list of 1001, expected at most 1000 items',
    ],
  ])('%j', (file, message) => {
    expect(problem(() => fromFile(file))).toEqual({ message, code: 'ERR_MOBISOCK_POLICY' });
  });

  it('a key that is there twice, with the place of the second', () => {
    expect(problem(() => fromText('{"rules": [{"port": 1, "mobility": "off",\n "port": 2}]}')).message).toBe(
      'p.json: rules[0].port: key given twice (again at line 2, column 2)',
    );
  });
});

describe('the table that is named for addresses', () => {
  it('is looked at when the policy is loaded, unless the environment says otherwise or nothing is to be hooked', () => {
    const used: string[] = [];
    const useTable = (name: string): void => void used.push(name);
    const file = (): Uint8Array => Buffer.from('{"addrsel": "./a.json"}');
    const load = (env: Env): Policy => loadPolicy({ MOBISOCK_POLICY: 'p.json', ...env }, file, useTable);
    expect(load({}).addrsel).toBe('./a.json');
    expect(load({ MOBISOCK_ADDRSEL: 'system' }).addrsel).toBeUndefined();
    expect(load({ MOBISOCK: 'off' }).addrsel).toBeUndefined();
    expect(used).toEqual(['./a.json']);
  });

  it('is told with its file and place where it is wrong, beside all else', () => {
    const directory = mkdtempSync(join(tmpdir(), 'mobisock-policy-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'table.json');
    writeFileSync(path, '{"entries": [{"prefix": "::/0", "label": -1}]}');
    const env = { MOBISOCK_ADDRSEL: path, MOBISOCK_HEAD_START: 'x' };
    const { message, code } = problem(() => fromEnv(env, (name) => new AddressSelection(name, () => {})));
    expect(code).toBe('ERR_MOBISOCK_ENVIRONMENT');
    expect(message).toContain('MOBISOCK_HEAD_START: found "x"');
    expect(message).toContain(`address selection: ${path}: entries[0].label: found -1`);
  });
});

describe('several problems', () => {
  it('are told together', () => {
    const found = problem(() => fromFile({ mobility: 'of', rules: [{ port: 0 }] }, { MOBISOCK_EVENTS: 'x' }));
    expect(found.code).toBe('ERR_MOBISOCK_ENVIRONMENT');
    expect(found.message.split('\n').map((line) => line.replace(/, expected.*/, ''))).toEqual([
      '4 problems:',
      '  MOBISOCK_EVENTS: found "x"',
      '  p.json: mobility: found "of"',
      '  p.json: rules[0].port: found 0',
      '  p.json: rules[0].mobility: missing',
    ]);
  });

  it('are counted beyond the first twenty', () => {
    const { message } = problem(() => fromFile({ rules: Array.from({ length: 30 }, () => 1) }));
    expect(message.split('\n')).toHaveLength(22);
    expect(message).toMatch(/^30 problems:[\s\S]*\n {2}and 10 more$/);
  });
});
