/**
 * The member of an anycast address that a program has been talking to goes, while the program still takes it for the
 * nearest: who asks next is served by another one within a second. When it is back it is used again.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANYCAST, AnycastNetwork } from './anycast-network.ts';
import { ANYCAST_ENV, type AnycastUser, PORTS, startServices, startUser, type UseCommand } from './anycast-programs.ts';
import { labMissing } from './index.ts';
import type { BasicReport, ReportingProgram } from './reporting-program.ts';

const missing = await labMissing();
/** What is promised to whoever asks next. */
const SERVED_MS = 1_000;
const NET: UseCommand = { way: 'net', port: PORTS.net };
const KEPT: UseCommand = { way: 'udp kept', port: PORTS.udp };
const DEATHS = ['has lost its processes', 'has lost its links', 'has fallen silent'];
const MODES = ['off', 'prefer'];
const CASES = MODES.flatMap((mobility) =>
  [NET, { way: 'udp send', port: PORTS.udp }, { way: 'udp fresh', port: PORTS.udp }].map((command) => ({
    mobility,
    command,
  })),
);

describe.skipIf(missing)('a member that has been chosen', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
  });
  afterEach(() => network.close());

  async function bringAbout(death: string, processes: readonly ReportingProgram<BasicReport>[]): Promise<void> {
    if (death === 'has lost its processes') await Promise.all(processes.map(({ program }) => program.stop('SIGKILL')));
    else if (death === 'has lost its links') await network.host('near').detach();
    else await network.lab.conditions.blackhole({ to: 'one' });
    await network.withdraw('near');
  }

  test.each(DEATHS)('and then %s is left for another one by whoever asks next', { timeout: 60_000 }, async (death) => {
    const near = await network.joinMember('near');
    await network.joinMember('middle');
    const services = await startServices(network, 'near', {});
    await startServices(network, 'middle', {});
    const users: AnycastUser[] = [];
    for (const { mobility, command } of CASES) {
      const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: mobility });
      users.push(user);
      expect(await user.use(command)).toMatchObject({ text: 'near' });
    }
    await bringAbout(death, [near, services]);
    const times: string[] = [];
    for (const [i, { mobility, command }] of CASES.entries()) {
      const used = await users[i]?.use(command);
      expect(used, JSON.stringify({ mobility, ...command })).toMatchObject({ text: 'middle', peer: ANYCAST });
      expect(used?.tookMs).toBeLessThan(SERVED_MS);
      times.push(`${command.way}, mobility ${mobility}: ${used?.tookMs.toFixed(0)} ms`);
    }
    console.log(`a member ${death}, the next is served by another one: ${times.join('; ')}`);
  });

  test.each(DEATHS)(
    'by a connected UDP socket, and then %s, is left for another one by the same socket',
    { timeout: 60_000 },
    async (death) => {
      const near = await network.joinMember('near');
      await network.joinMember('middle');
      const services = await startServices(network, 'near');
      await startServices(network, 'middle');
      const users = await Promise.all(
        MODES.map((mobility) => startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: mobility })),
      );
      const before = await Promise.all(users.map((user) => user.use(KEPT)));
      for (const used of before) expect(used).toMatchObject({ text: 'near', peer: ANYCAST });
      await bringAbout(death, [near, services]);
      const times: string[] = [];
      for (const [i, user] of users.entries()) {
        const used = await user.use(KEPT);
        const { localPort } = before[i] ?? {};
        expect(used, MODES[i]).toMatchObject({ text: 'middle', peer: ANYCAST, from: ANYCAST, localPort });
        expect(used.tookMs).toBeLessThan(SERVED_MS);
        times.push(`mobility ${MODES[i]}: ${used.tookMs.toFixed(0)} ms`);
      }
      console.log(`a member ${death}, a connected UDP socket goes on with another one: ${times.join('; ')}`);
    },
  );

  test('by a flow is left when it is gone for good, by the same socket', { timeout: 60_000 }, async () => {
    const near = await network.joinMember('near');
    await network.joinMember('middle');
    const services = await startServices(network, 'near', {});
    await startServices(network, 'middle', {});
    const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: 'prefer' });
    expect(await user.use(KEPT)).toMatchObject({ text: 'near', peer: ANYCAST });
    await user.program.report('session:open');
    const { localPort } = await user.use(KEPT);
    await bringAbout('has lost its processes', [near, services]);
    const used = await user.use({ ...KEPT, giveUpMs: 15_000 });
    expect(used).toMatchObject({ text: 'middle', peer: ANYCAST, from: ANYCAST, localPort });
    console.log(`a flow whose peer is gone: its socket goes on with another member after ${used.tookMs.toFixed(0)} ms`);
  });

  test('is used again when it is back and nearest, as soon as the other one may be asked anew', async () => {
    const options = { lifetimeMs: 1_000 };
    await Promise.all([network.joinMember('near', options), network.joinMember('middle', options)]);
    await startServices(network, 'near');
    await startServices(network, 'middle');
    const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: 'off' });
    expect(await user.use(NET)).toMatchObject({ text: 'near' });
    const silence = await network.lab.conditions.blackhole({ to: 'one' });
    await network.withdraw('near');
    expect(await user.use(NET)).toMatchObject({ text: 'middle' });
    await silence.remove();
    await network.announce('near');
    const backAt = performance.now();
    await expect.poll(async () => (await user.use(NET)).text, { timeout: 10_000 }).toBe('near');
    console.log(`a member is used again ${(performance.now() - backAt).toFixed(0)} ms after it is back`);
  });
});
