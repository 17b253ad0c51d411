/** What one process has found out about a destination spares the next one the waiting: through aarpd, among real kernels. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LineClient } from '../aarp/daemon/line-client.ts';
import { BUILT_FILE, builtPackage } from '../built-package.ts';
import { EXCHANGE_PORT, expectAllDelivered, PACED, startPair, startServer } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';
import { MoveWatch, notePauses, type Pauses, pauseText } from './pause.ts';
import type { Program } from './program.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';

const missing = await labMissing();
const AARPD = join(BUILT_FILE, '..', 'cli', 'aarpd.js');
const CONTACT = join(import.meta.dirname, 'programs', 'contact.mjs');
/** Long, so that whether it was waited out shows on a busy machine too. */
const HEAD_START_MS = 1_000;

interface Contact extends BasicReport {
  readonly ms: number;
  readonly mobile: boolean;
}

describe.skipIf(missing)('processes that share an aarpd', { timeout: 30_000 }, () => {
  let lab: Lab;
  let directory: string;
  let socket: string;
  const open = new Set<LineClient>();
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'aarpd-lab-'));
    socket = join(directory, 'aarpd.sock');
    lab = await createLab();
  });
  afterEach(async () => {
    for (const client of open) client.close();
    open.clear();
    await lab.close();
    rmSync(directory, { recursive: true });
  });

  async function startAarpd(): Promise<Program> {
    const program = lab.client.run('node', [AARPD, '--socket', socket, '--cache', join(directory, 'cache')]);
    await program.line(/^aarpd: ready/);
    return program;
  }

  async function verdict(): Promise<string | undefined> {
    const client = await LineClient.connect(socket);
    open.add(client);
    client.send(`1 verdict get mobility ${lab.server.address('east')}:${EXCHANGE_PORT}`);
    return (await client.take(1))[0];
  }

  /** A program of its own, with `env` added. */
  async function contact(env: Readonly<Record<string, string>> = {}): Promise<Contact> {
    const run = lab.client.run('node', [CONTACT, builtPackage(), lab.server.address('east'), String(EXCHANGE_PORT)], {
      nodeFlags: ['--import', builtPackage()],
      env: { MOBISOCK_AARPD: socket, MOBISOCK_HEAD_START: String(HEAD_START_MS), ...env },
    });
    const program = new ReportingProgram<Contact>(run);
    const connected = await program.report('connected');
    if (env.MOBISOCK_AARPD !== 'off') await expect.poll(() => verdictOrNone()).not.toBe('1 ok unknown');
    program.tell('end');
    expect(await run.exit).toEqual({ code: 0, signal: null });
    return connected;
  }

  /** Where no aarpd runs there is nothing to wait for. */
  const verdictOrNone = (): Promise<string | undefined> => verdict().catch(() => undefined);

  test('wait once for a plain peer that does not answer, also when aarpd was started anew, and not for a dead aarpd', async () => {
    await startServer(lab.server, { env: { MOBISOCK: 'off' } });
    await lab.conditions.blackhole({ protocol: 'udp', destinationPort: EXCHANGE_PORT });
    const aarpd = await startAarpd();
    const first = await contact();
    expect(first.ms).toBeGreaterThan(HEAD_START_MS - 1);
    expect(await verdict()).toMatch(/^1 ok plain \d{6}$/);
    const second = await contact();
    expect(second.ms).toBeLessThan(HEAD_START_MS / 2);
    expect([first.mobile, second.mobile]).toEqual([false, false]);
    await aarpd.stop('SIGTERM');
    const again = await startAarpd();
    expect((await contact()).ms).toBeLessThan(HEAD_START_MS / 2);
    await again.stop('SIGKILL');
    expect((await contact()).ms).toBeGreaterThan(HEAD_START_MS - 1);
  });

  test('do not take a peer for plain whose first packets are lost, if it was mobile before', async () => {
    await startServer(lab.server);
    await startAarpd();
    expect((await contact()).mobile).toBe(true);
    expect(await verdict()).toMatch(/^1 ok mobile \d{6}$/);
    // Of every thousand, the first three: those of the contact below, until 280 ms.
    await lab.router.nft(
      `add rule inet lab conditions udp dport ${EXCHANGE_PORT} numgen inc mod 1000 < 3 counter drop`,
    );
    const short = { MOBISOCK_HEAD_START: '200' };
    expect((await contact(short)).mobile).toBe(true);
  });

  test('take one for mobile that has become so, whatever others have said', async () => {
    const plain = await startServer(lab.server, { env: { MOBISOCK: 'off' } });
    await startAarpd();
    expect((await contact()).mobile).toBe(false);
    expect(await verdict()).toMatch(/^1 ok plain \d{6}$/);
    await plain.program.stop('SIGKILL');
    await startServer(lab.server);
    // On a busy machine the plain connection may be there before the answer; the next contact asks the peer again.
    await expect.poll(async () => (await contact()).mobile, { timeout: 20_000 }).toBe(true);
  });

  test('hear from it of addresses that come and go, where they can’t hear the kernel', async () => {
    await startAarpd();
    const env = { MOBISOCK_AARPD: socket, NODE_OPTIONS: '--no-addons' };
    const { client, server } = await startPair(lab, { client: { send: PACED, env } });
    const watch = await MoveWatch.start(lab.client);
    const pauses: Pauses = { client: [], server: [] };
    for (let move = 0; move < 10; move++) {
      await notePauses(pauses, await watch.move(move % 2 === 0 ? 'lte' : 'wifi'), client, server);
    }
    console.log(`pause of a client without koffi, with aarpd: ${pauseText(pauses.client)}`);
    // Without word from aarpd it would look every 100 ms.
    expect(pauses.client.filter((ms) => ms < 30).length).toBeGreaterThanOrEqual(8);
    await expectAllDelivered({ client, server });
  });
});
