/** `mobisock doctor`, as users get it, in a namespace of its own: it looks at the host that it runs on. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { BUILT_FILE, builtPackage } from '../built-package.ts';
import { Namespace, namespacesAvailable } from '../host/namespace.ts';

const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');
const SERVER = `require('net').createServer((peer) => peer.on('error', () => {})).listen(7777, () => console.log('up'))`;

let host: Namespace;

beforeEach(async () => {
  if (!namespacesAvailable) return;
  host = await Namespace.create();
  host.ip('link set lo up');
  host.sysctl('net.ipv6.conf.default.accept_dad=0');
  host.ip('link add one type veth peer name two');
  for (const name of ['one', 'two']) host.ip(`link set ${name} up`);
  host.ip('addr add 192.0.2.9/24 dev one');
});

afterEach(async () => {
  await host?.close();
});

async function textOf(child: ChildProcess): Promise<{ code: number | null; text: string }> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, text };
}

interface Examination {
  readonly code: number | null;
  /** By the name of the check. */
  readonly found: ReadonlyMap<string, Finding>;
}

async function examine(args: readonly string[] = [], env: readonly string[] = []): Promise<Examination> {
  const { code, text } = await textOf(
    host.spawn('env', [...env, process.execPath, COMMAND, 'doctor', '--json', ...args]),
  );
  const findings = JSON.parse(text) as Finding[];
  return { code, found: new Map(findings.map((finding) => [finding.check, finding])) };
}

describe.skipIf(!namespacesAvailable)('mobisock doctor', () => {
  it('finds nothing wrong where nothing is', async () => {
    host.sysctl('net.ipv4.ping_group_range=0 2147483647');
    const { code, found } = await examine();
    expect([...found.values()].filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(code).toBe(0);
    expect(found.get('addresses')?.seen).toContain('192.0.2.9 (one)');
    expect(found.get('multicast')?.seen).toContain('one (IPv4)');
  });

  it('says what is missing, and the remedy', async () => {
    host.sysctl('net.ipv4.ping_group_range=1 0');
    const { code, found } = await examine([], ['NODE_OPTIONS=--no-addons']);
    expect(code).toBe(0);
    expect(found.get('C library')).toMatchObject({ state: 'note', remedy: expect.stringContaining('--no-addons') });
    expect(found.get('address changes')).toMatchObject({ state: 'note', seen: expect.stringContaining('100 ms') });
    expect(found.get('anycast probes')).toMatchObject({ state: 'note', remedy: expect.stringContaining('ping_group') });
  });

  it('tells a host without a network, and a policy that is wrong', async () => {
    for (const name of ['one', 'two']) host.ip(`link set ${name} down`);
    const { code, found } = await examine([], ['MOBISOCK_MOBILITY=sometimes']);
    expect(code).toBe(1);
    expect(found.get('addresses')).toMatchObject({ state: 'problem', seen: 'none but loopback' });
    expect(found.get('policy')).toMatchObject({ state: 'problem', seen: expect.stringContaining('"sometimes"') });
  });

  it('asks a peer, and sees what it lets in', async () => {
    const server = host.spawn('env', [`NODE_OPTIONS=--import ${builtPackage()}`, process.execPath, '-e', SERVER]);
    try {
      await once(server.stdout as NodeJS.ReadableStream, 'data');
      const { code, found } = await examine(['--peer', '192.0.2.9:7777']);
      expect(found.get('UDP to peer')?.seen).toMatch(/^L4_OFFER after/);
      expect(found.get('session')?.seen).toMatch(/^opened within [\d.]+ ms at 192\.0\.2\.9:\d+, and dropped$/);
      expect(found.get('exposed')?.seen).toMatch(/process \d+: .*tcp .*:7777.*udp .*:7777/);
      expect(code).toBe(0);
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('tells a peer that does not speak the protocol', async () => {
    const plain = await examine(['--peer', '192.0.2.9:7777']);
    expect(plain.code).toBe(1);
    expect(plain.found.get('session')).toMatchObject({ state: 'problem', seen: 'no answer to L4_INIT' });
  });

  it('the session port of the policy has to be free', async () => {
    const server = host.spawn(process.execPath, ['-e', SERVER]);
    try {
      await once(server.stdout as NodeJS.ReadableStream, 'data');
      const { found } = await examine([], ['MOBISOCK_SESSION_PORT=7777']);
      expect(found.get('session port')).toMatchObject({
        state: 'problem',
        seen: 'TCP port 7777 is taken by other programs',
      });
    } finally {
      server.kill('SIGKILL');
    }
  });

  it('tells whether aarpd answers, and whether it is aarpd', async () => {
    const path = join(tmpdir(), `mobisock-doctor-${process.pid}`);
    const look = async (): Promise<Finding | undefined> =>
      (await examine([], [`MOBISOCK_AARPD=${path}`])).found.get('aarpd');
    expect((await look())?.seen).toContain('not running');
    const answers = ['1 ok mobisock 1\n', '1 error version 2 is spoken here\n', '\x00\n', 'x'.repeat(4_000)];
    const server = createServer((peer) => peer.on('error', () => {}).end(answers.shift() ?? ''));
    server.listen(path);
    await once(server, 'listening');
    try {
      expect(await look()).toMatchObject({ state: 'ok', seen: `answers at ${path}` });
      for (let i = 0; i < 3; i++) expect(await look()).toMatchObject({ state: 'problem' });
    } finally {
      server.close();
    }
  });

  it('prints lines for people', async () => {
    const { text } = await textOf(host.spawn(process.execPath, [COMMAND, 'doctor']));
    expect(text).toMatch(/^ok +node +v\d+/m);
  });

  it.each(['host', 'host:0', '2001:db8::1', ':443'])('refuses --peer %s', async (peer) => {
    const { code } = await textOf(host.spawn(process.execPath, [COMMAND, 'doctor', '--peer', peer]));
    expect(code).toBe(2);
  });
});
