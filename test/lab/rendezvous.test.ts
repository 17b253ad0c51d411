/** Both ends move at the same instant, to networks of which the other knows nothing, and find each other again. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILT_FILE } from '../built-package.ts';
import { expectAllDelivered, PACED, type Pair, startClient, startPair, startServer } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';
import { MoveWatch, notePauses, type Pauses, pauseText } from './pause.ts';
import type { Program } from './program.ts';

const missing = await labMissing();
const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');
const ROUNDS = 6;
/** What is promised for such a meeting, from the moment when both have a network again. */
const MEETING_MS = 1_000;

function networks(name: string): string[] {
  return Array.from({ length: ROUNDS + 1 }, (_, i) => `${name}${i}`);
}

describe.skipIf(missing)('a session whose ends move at the same instant', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ hosts: { client: networks('home'), server: networks('rack'), third: ['hub'] } });
  });
  afterEach(() => lab.close());

  async function startRendezvous(...options: string[]): Promise<Program> {
    const program = lab.host('third').run('node', [COMMAND, 'rendezvous', ...options]);
    await program.line(/^rendezvous: ready on udp \[::\]:4474$/);
    return program;
  }

  function start(family: 'ipv4' | 'ipv6' = 'ipv6'): Promise<Pair> {
    const env = { MOBISOCK_RENDEZVOUS: lab.host('third').address('hub', family) };
    const plan = { send: PACED, env };
    return startPair(lab, { client: plan, server: plan, family, network: 'rack0' });
  }

  test.each([
    ['ipv6', 0],
    ['ipv4', 0],
    ['ipv6', 400],
  ] as const)('goes on over %s, with outages of %i ms', { timeout: 60_000 }, async (family, outageMs) => {
    await startRendezvous();
    const { client, server } = await start(family);
    const pauses: Pauses = { client: [], server: [] };
    const watches = [await MoveWatch.start(lab.client), await MoveWatch.start(lab.server)] as const;
    for (let round = 1; round <= ROUNDS; round++) {
      const usable = await Promise.all([
        watches[0].move(`home${round}`, { outageMs }),
        watches[1].move(`rack${round}`, { outageMs }),
      ]);
      await notePauses(pauses, Math.max(...usable), client, server);
    }
    const figures = `at the client ${pauseText(pauses.client)}, at the server ${pauseText(pauses.server)}`;
    console.log(`pause, both move, ${family}, outages of ${outageMs} ms: ${figures}`);
    expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(MEETING_MS);
    await expectAllDelivered({ client, server });
  });

  test('goes on when one of them is without any network for longer than the other', { timeout: 60_000 }, async () => {
    await startRendezvous();
    const { client, server } = await start();
    const pauses: Pauses = { client: [], server: [] };
    const watches = [await MoveWatch.start(lab.client), await MoveWatch.start(lab.server)] as const;
    for (const [round, clientOutMs, serverOutMs] of [
      [1, 0, 4_000],
      [2, 4_000, 0],
    ] as const) {
      const usable = await Promise.all([
        watches[0].move(`home${round}`, { outageMs: clientOutMs }),
        watches[1].move(`rack${round}`, { outageMs: serverOutMs }),
      ]);
      await notePauses(pauses, Math.max(...usable), client, server);
    }
    console.log(`pause, one comes 4 s later: at the client ${pauseText(pauses.client)}`);
    expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(MEETING_MS);
    await expectAllDelivered({ client, server });
  });

  test('goes on when the client comes to be behind a NAT', { timeout: 60_000 }, async () => {
    await startRendezvous();
    await lab.nat.enable({ networks: ['home1'], families: 'both' });
    const { client, server } = await start();
    const pauses: Pauses = { client: [], server: [] };
    const watches = [await MoveWatch.start(lab.client), await MoveWatch.start(lab.server)] as const;
    const usable = await Promise.all([watches[0].move('home1'), watches[1].move('rack1')]);
    await notePauses(pauses, Math.max(...usable), client, server);
    console.log(`pause, both move, the client behind a NAT: at the client ${pauseText(pauses.client)}`);
    expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(MEETING_MS);
    await expectAllDelivered({ client, server });
  });

  test('goes on when the server moves away from a client whose NAT lets nobody else in', async () => {
    await startRendezvous();
    await lab.nat.enable({ networks: ['home0', 'home1'], families: 'both' });
    const { client, server } = await start();
    const pauses: Pauses = { client: [], server: [] };
    const watch = await MoveWatch.start(lab.server);
    for (const network of ['rack1', 'rack2', 'rack3']) {
      await notePauses(pauses, await watch.move(network), client, server);
    }
    console.log(`pause, the server moves, the client behind a NAT: at the client ${pauseText(pauses.client)}`);
    expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(MEETING_MS);
    await expectAllDelivered({ client, server });
  });

  test('goes on when the client has a connection that the server has taken but not answered', {
    timeout: 60_000,
  }, async () => {
    await startRendezvous();
    const { client, server } = await start();
    const watches = [await MoveWatch.start(lab.client), await MoveWatch.start(lab.server)] as const;
    // Connections stand, but no word of where the client is comes through, neither on them nor by L4_UPDATE.
    await lab.router.nft('add rule inet lab conditions iifname "home1" oifname "rack0" meta length > 80 drop');
    // The kernel of a stopped process takes connections for it.
    server.program.kill('SIGSTOP');
    await watches[0].move('home1');
    const { ipv4, ipv6 } = lab.client.network('home1').hostAddress;
    const taken = async (): Promise<boolean> => {
      const connections = await lab.server.namespace.command(['ss', '-Htn', 'state', 'established']);
      return connections.includes(ipv4) || connections.includes(ipv6);
    };
    await expect.poll(taken, { timeout: 10_000 }).toBe(true);
    await watches[1].move('rack1');
    const usableAt = Date.now();
    server.program.kill('SIGCONT');
    const pauses: Pauses = { client: [], server: [] };
    await notePauses(pauses, usableAt, client, server);
    console.log(`pause, both move, a dead connection between: at the client ${pauseText(pauses.client)}`);
    expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(MEETING_MS);
    await expectAllDelivered({ client, server });
  });

  /** Neither is anywhere before both are somewhere else: had one moved first, it would have been found. */
  async function moveBoth(): Promise<void> {
    await Promise.all([lab.client.detach(), lab.server.detach()]);
    await Promise.all([lab.client.attach('home1'), lab.server.attach('rack1')]);
  }

  test('goes on without a service, once the name of the server leads to its new address', async ({ skip }) => {
    // `ip netns exec` puts the files of this directory in the place of those in /etc, for root only.
    if (!lab.canCapture) return skip();
    const directory = join('/etc/netns', lab.client.namespace.name);
    const setHosts = (network: string): void =>
      writeFileSync(join(directory, 'hosts'), `${lab.server.address(network, 'ipv6')} server.test\n`);
    mkdirSync(directory, { recursive: true });
    try {
      setHosts('rack0');
      const server = await startServer(lab.server, { send: PACED });
      const client = startClient(lab.client, 'server.test', { send: PACED });
      await Promise.all([client.report('connected'), server.report('connected')]);
      await Promise.all([client.progress(), server.progress()]);
      await moveBoth();
      const lostAt = Date.now();
      await client.report('session:suspend');
      setHosts('rack1');
      await Promise.all([client.firstAfter(lostAt), server.firstAfter(lostAt)]);
      await expectAllDelivered({ client, server });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('goes on when the service is started only after they have lost each other', { timeout: 60_000 }, async () => {
    const { client, server } = await start();
    await moveBoth();
    const lostAt = Date.now();
    await client.report('session:suspend');
    await startRendezvous();
    await Promise.all([client.firstAfter(lostAt), server.firstAfter(lostAt)]);
    await expectAllDelivered({ client, server });
  });

  test('asks nobody while only one of them moves', async () => {
    const rendezvous = await startRendezvous();
    const { client, server } = await start();
    await lab.client.move('home1');
    await Promise.all([client.progress(), server.progress()]);
    await lab.server.move('rack1');
    await Promise.all([client.progress(), server.progress()]);
    await expectAllDelivered({ client, server });
    rendezvous.kill();
    await rendezvous.line(/^rendezvous: SIGTERM, asks 0,/);
    expect(await rendezvous.exit).toEqual({ code: 0, signal: null });
  });
});
