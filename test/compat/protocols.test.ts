/**
 * Programs as people write them, on mobile sessions, while the client moves from one network to the other: nothing is
 * lost, doubled or reconnected. The programs check every byte; the session events say that there were sessions and that
 * they moved.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtPackage } from '../built-package.ts';
import { createLab, type Lab, labMissing } from '../lab/index.ts';
import { certificate } from '../socket/certificate.ts';
import { runMobile, runPlain, sessionEvent, sessionEvents } from './lab-programs.ts';

const missing = await labMissing();
const NAME = 'service.example';

interface Case {
  readonly protocol: string;
  readonly title?: string;
  readonly env?: () => Record<string, string>;
  readonly sessions?: number;
  /** Beside the number of connections. */
  readonly result?: object;
  /** The client has no preload. */
  readonly bare?: boolean;
}

const CASES: readonly Case[] = [
  { protocol: 'http', title: 'http with a keep-alive agent' },
  {
    protocol: 'https',
    title: 'https, which still refuses a certificate for another name,',
    env: tlsEnvironment,
    sessions: 2,
    result: { wrong: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  },
  { protocol: 'http2', title: 'several streams of one http2 session' },
  { protocol: 'fetch', title: 'a fetch that streams both ways' },
  { protocol: 'undici', title: "undici's Agent", env: () => ({ TEST_PIPELINING: '1' }) },
  { protocol: 'undici', title: "undici's Agent with pipelining", env: () => ({ TEST_PIPELINING: '4' }) },
  { protocol: 'mobile-agent', title: 'the MobileAgent, without the preload,', bare: true },
  {
    protocol: 'mobile-agent-tls',
    title: 'the MobileAgent over TLS',
    bare: true,
    env: tlsEnvironment,
    sessions: 2,
    result: { wrong: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  },
  { protocol: 'ws', title: 'a websocket', result: { code: 1005 } },
  {
    protocol: 'redis',
    title: 'redis, pipelined and subscribed, behind a proxy,',
    sessions: 3,
    result: { reconnections: 0 },
  },
];

function tlsEnvironment(): Record<string, string> {
  const { key, cert } = certificate(NAME);
  return { TEST_NAME: NAME, TEST_KEY: key, TEST_CERTIFICATE: cert };
}

describe.skipIf(missing)('Through a move', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test.each(CASES.map((each) => [each.title, each] as const))('%s goes on', async (_, plan) => {
    const { protocol, env: makeEnv, sessions = 1, result = {}, bare = false } = plan;
    const env = makeEnv?.() ?? {};
    const server = runMobile(lab.server, 'use.mjs', [protocol, 'serve'], env);
    await server.line(/^listening/);
    const run = bare ? runPlain : runMobile;
    const client = run(lab.client, 'use.mjs', [protocol, lab.server.address('east')], {
      ...env,
      TEST_MOBISOCK: builtPackage(),
      MOBISOCK_EVENTS: 'stderr',
      // Whether a first contact is won on a busy machine is not the question here.
      MOBISOCK_HEAD_START: '5s',
    });
    await client.line(/^going/);
    const atMove = sessionEvents(client, 'open').length;
    await lab.client.move('lte', { outageMs: 100 });
    for (let i = 0; i < atMove; i++) await sessionEvent(client, 'move');
    client.write('finish\n');
    const [, outcome = ''] = await client.line(/^(?:done|failed) (.*)/);
    const connections = protocol === 'redis' ? 3 : 1;
    expect(JSON.parse(outcome)).toEqual({ connections, ...result });
    expect(sessionEvents(client, 'open')).toHaveLength(sessions);
    expect(sessionEvents(server, 'open')).toHaveLength(sessions);
    const onLte = [lab.client.address('lte', 'ipv4'), lab.client.address('lte', 'ipv6')];
    for (const { local } of sessionEvents(client, 'move')) expect(onLte).toContain(local.ip);
  });
});
