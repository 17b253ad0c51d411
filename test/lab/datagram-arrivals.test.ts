/**
 * A hundred thousand datagrams through moves of both ends, a network that loses some, and a stranger on the path: what
 * arrives as it was sent is delivered once, and nothing else is.
 */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bufferOverflows, DatagramLog } from './datagram-log.ts';
import { DATAGRAM_PORT, type DatagramEnd, delivery, expectNothingWrong, startDatagramPair } from './datagram-pair.ts';
import { createLab, type Lab, labMissing, Program } from './index.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';

const missing = await labMissing();
const PROGRAM = join(import.meta.dirname, 'programs', 'stranger.mjs');
const EACH_WAY = 50_000;
const SEND = { bytes: 120, everyMs: 2, burst: 6 };
const LOST_PER_MILLE = 20;
/** Later than 3 s after the flow stands, at that pace: until then a plain datagram may be one that it has overtaken. */
const BEFORE_THE_STRANGER = 10_000;
/** One packet in so many is seen by the stranger. */
const SEEN_ONE_IN = 20;
const STRANGERS_GROUP = 3;
const OWN_PORT = 6_699;

describe.skipIf(missing)('datagrams of a flow', { timeout: 120_000 }, () => {
  let lab: Lab;
  let stranger: Program | undefined;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(async () => {
    await stranger?.stop('SIGKILL');
    await lab.close();
  });

  /** In the router, with the source addresses of both, wherever they are. */
  async function startStranger(clientPort: number): Promise<ReportingProgram<BasicReport>> {
    const as = [
      ...['east', 'west'].map((network) => ({ ip: lab.server.address(network), port: DATAGRAM_PORT })),
      ...['wifi', 'lte'].map((network) => ({ ip: lab.client.address(network), port: clientPort })),
    ].map((place, i) => ({ ...place, by: 6_600 + i }));
    const forged = as.map(({ ip, port, by }) => `udp sport ${by} ip saddr set ${ip} udp sport set ${port}`);
    await lab.router.nft(
      `add chain inet lab forge { type filter hook postrouting priority 0; }\n${forged
        .map((rule) => `add rule inet lab forge ${rule}`)
        .join('\n')}`,
    );
    const plan = JSON.stringify({ seed: '1', as, own: OWN_PORT });
    const script = `tcpdump -Z root -U -i nflog:${STRANGERS_GROUP} -w - | exec "$0" "$1" '${plan}'`;
    const argv = lab.router.enter(['sh', '-c', script, process.execPath, PROGRAM]);
    stranger = new Program(argv, { title: 'stranger', env: process.env, directory: lab.directory });
    const reporting = new ReportingProgram(stranger);
    await stranger.line(/listening on/, { stream: 'stderr' });
    await reporting.report('ready');
    await lab.router.nft(
      `add rule inet lab watch meta l4proto udp numgen random mod ${SEEN_ONE_IN} == 0 log group ${STRANGERS_GROUP} snaplen 2048`,
    );
    return reporting;
  }

  async function sent(end: DatagramEnd): Promise<number> {
    return (await end.status()).peers[0]?.sent ?? 0;
  }

  async function untilSent(end: DatagramEnd, count: number): Promise<void> {
    await expect.poll(() => sent(end), { timeout: 60_000, interval: 50 }).toBeGreaterThanOrEqual(count);
  }

  test('arrive once, whole, and under the right name, or not at all', async ({ skip }) => {
    if (!lab.canCapture) return skip();
    const { client, server } = await startDatagramPair(lab, {
      client: { send: SEND },
      server: { send: SEND },
      held: true,
    });
    const [clientLog, serverLog] = [await DatagramLog.start(lab, lab.client), await DatagramLog.start(lab, lab.server)];
    await lab.conditions.lose(LOST_PER_MILLE);
    for (const end of [client, server]) end.begin();
    await untilSent(client, BEFORE_THE_STRANGER);
    const [, port] = ((await server.status()).peers[0]?.name ?? '').split(' ');
    const attacker = await startStranger(Number(port));
    const moves = [
      [lab.client, 'lte'],
      [lab.server, 'west'],
      [lab.client, 'wifi'],
      [lab.server, 'east'],
      [lab.client, 'lte'],
      [lab.client, 'wifi'],
    ] as const;
    for (const [i, [host, network]] of moves.entries()) {
      await untilSent(client, BEFORE_THE_STRANGER + ((i + 1) * (EACH_WAY - BEFORE_THE_STRANGER)) / (moves.length + 1));
      await host.move(network, { outageMs: i % 2 === 0 ? 100 : 0 });
    }
    for (const end of [client, server]) await untilSent(end, EACH_WAY);
    for (const end of [client, server]) await end.stop();
    stranger?.kill('SIGUSR2');
    const { event: _, at: __, ...attacks } = await attacker.report('attacks');
    for (const times of Object.values(attacks)) expect(times).toBeGreaterThan(100);

    for (const [title, from, to, receiver, host] of [
      ['to the server', clientLog, serverLog, server, lab.server],
      ['to the client', serverLog, clientLog, client, lab.client],
    ] as const) {
      const { sent, arrived, delivered, tooLate, missing, invented } = await delivery(from, to, receiver);
      console.log(`${title}: ${sent} sent, ${arrived} arrived, ${tooLate} too late, ${delivered} delivered`);
      expect(invented).toEqual([]);
      expect(missing.length).toBeLessThanOrEqual(await bufferOverflows(host));
      expect(delivered).toBeGreaterThan(0.8 * EACH_WAY);
    }
    // A connected socket hears nobody else; the server's hears who is no peer, but not by a peer's name.
    expect((await client.status()).strange).toBe(0);
    expect((await server.status()).strange).toBeGreaterThan(0);
    await expectNothingWrong({ client, server });
  });
});
