/** aarpd among real kernels: as a member of an anycast address, and asked by programs that know nothing of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineClient } from '../aarp/daemon/line-client.ts';
import { BUILT_FILE, builtPackage } from '../built-package.ts';
import { ANYCAST, AnycastNetwork, type AnycastReport, resolve, SERVICE_PORT } from './anycast-network.ts';
import { type Host, labMissing } from './index.ts';
import type { Program } from './program.ts';
import { ReportingProgram } from './reporting-program.ts';

const missing = await labMissing();
const AARPD = join(BUILT_FILE, '..', 'cli', 'aarpd.js');
const CLIENT = join(import.meta.dirname, 'programs', 'anycast-client.mjs');
const BUILT_AARP = join(BUILT_FILE, '..', 'aarp.js');

describe.skipIf(missing)('aarpd', () => {
  let network: AnycastNetwork;
  let directory: string;
  let socket: string;
  const open = new Set<LineClient>();
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'aarpd-lab-'));
    socket = join(directory, 'client.sock');
    network = await AnycastNetwork.create();
  });
  afterEach(async () => {
    for (const client of open) client.close();
    open.clear();
    await network.close();
    rmSync(directory, { recursive: true });
  });

  async function start(host: Host, path: string, ...args: string[]): Promise<Program> {
    const program = host.run('node', [AARPD, '--socket', path, '--cache', 'off', ...args]);
    await program.line(/^aarpd: ready/);
    return program;
  }

  async function ask(line: string): Promise<string[]> {
    const client = await LineClient.connect(socket);
    open.add(client);
    client.send(line);
    const answer: string[] = [];
    do answer.push(...(await client.take(1)));
    while (answer.at(-1)?.includes(' item '));
    return answer;
  }

  async function inquiries(): Promise<string | undefined> {
    return (await ask('x stats')).find((line) => line.includes('event="inquiries"'));
  }

  /** A program that runs with mobisock, and connects where it is told. */
  async function caller(): Promise<ReportingProgram<AnycastReport>> {
    const run = network.lab.client.run('node', [CLIENT, BUILT_AARP, '{}'], {
      nodeFlags: ['--import', builtPackage()],
      env: { MOBISOCK_ANYCAST: 'fd77:100::/64', MOBISOCK_AARPD: socket, MOBISOCK_MOBILITY: 'off' },
    });
    const program = new ReportingProgram<AnycastReport>(run);
    await program.report('ready');
    return program;
  }

  async function connected(program: ReportingProgram<AnycastReport>): Promise<string | undefined> {
    program.tell(`connect ${ANYCAST} ${SERVICE_PORT}`);
    return (await program.report('connected')).text;
  }

  test('makes its host a member, with --serve, which ends with it', async () => {
    const near = network.host('near');
    await near.namespace.ip([`address add fd77:100::1/64 dev one nodad`]);
    const member = await start(near, join(directory, 'near.sock'), '--serve', `${ANYCAST}%one`);
    expect(member.stdout).toContain(`member of ${ANYCAST}%one, probes heard on udp [::]:4476\n`);
    await start(network.lab.client, socket);
    expect(await ask(`1 resolve ${ANYCAST}`)).toEqual([
      expect.stringMatching(new RegExp(`^1 ok anycast ${network.unicastOf('near')} confirmed \\d+$`)),
    ]);
    expect(await member.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    await ask('2 flush');
    expect(await ask(`3 resolve ${ANYCAST}`)).toEqual([expect.stringMatching(/^3 error (?:silent|unreachable) /)]);
  });

  test('is asked once for all programs; killed, it costs none of them a connection', async () => {
    await network.joinMember('near');
    const aarpd = await start(network.lab.client, socket);
    const callers = await Promise.all([caller(), caller(), caller()]);
    expect(await Promise.all(callers.map(connected))).toEqual(['near', 'near', 'near']);
    expect(await inquiries()).toBe('x item aarpd_resolver_events_total{event="inquiries"} 1');
    const late = await caller();
    const attempts = callers.map(connected);
    await aarpd.stop('SIGKILL');
    expect(await Promise.all([...attempts, connected(late)])).toEqual(['near', 'near', 'near', 'near']);
    await start(network.lab.client, socket);
    const client = await network.startClient({ aarpd: socket });
    expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
    expect(await inquiries()).toBe('x item aarpd_resolver_events_total{event="inquiries"} 1');
  });

  test('tells all programs of a member that one of them has found dead', async () => {
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
    await start(network.lab.client, socket);
    const [one, other] = await Promise.all([caller(), caller()]);
    // Both have a copy of the answer.
    expect(await Promise.all([connected(one), connected(other)])).toEqual(['near', 'near']);
    await network.host('near').detach();
    await network.withdraw('near');
    // As a connect that failed says it.
    await ask(`1 failed ${ANYCAST} ${network.unicastOf('near')}`);
    expect(await connected(other)).toBe('middle');
  });

  test('asks again after a move, and its programs do', async () => {
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
    await start(network.lab.client, socket);
    const client = await network.startClient({ aarpd: socket });
    expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
    await network.withdraw('near');
    expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
    await network.lab.client.move('lte');
    await expect.poll(async () => (await resolve(client, ANYCAST)).unicast).toBe(network.unicastOf('middle'));
    expect(await ask('1 list')).toContainEqual(expect.stringContaining(network.unicastOf('middle')));
  });

  test('tells a watcher of changes of addresses', async () => {
    await start(network.lab.client, socket);
    const watcher = await LineClient.connect(socket);
    open.add(watcher);
    expect(await watcher.ask('w watch')).toBe('w ok');
    const [before, after] = ['wifi', 'lte'].map((name) => network.lab.client.address(name, 'ipv6'));
    await network.lab.client.move('lte');
    await expect.poll(() => watcher.lines).toContainEqual(expect.stringContaining(`w event added ${after} `));
    expect(watcher.lines).toContainEqual(expect.stringContaining(`w event removed ${before} `));
    expect(watcher.lines).toContain('w event routes');
  });
});
