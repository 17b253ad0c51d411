/** Many programs at once that connect to a cold anycast address, through aarpd: what is asked, and what its end costs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANYCAST, AnycastNetwork } from './anycast-network.ts';
import { ANYCAST_ENV, type AnycastUser, PORTS, startAarpd, startServices, startUser } from './anycast-programs.ts';
import { labMissing } from './index.ts';

const missing = await labMissing();
const PROGRAMS = 4;
const CONNECTS = 25;
const NET = { way: 'net', port: PORTS.net, times: CONNECTS };

describe.skipIf(missing)('programs that share an aarpd', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
    await network.joinMember('near');
    await startServices(network, 'near');
  });
  afterEach(() => network.close());

  function startUsers(count: number, socket: string): Promise<AnycastUser[]> {
    const env = { ...ANYCAST_ENV, MOBISOCK_AARPD: socket, MOBISOCK_MOBILITY: 'off' };
    return Promise.all(Array.from({ length: count }, () => startUser(network.lab.client, env)));
  }

  async function expectServed(users: readonly AnycastUser[], act: () => unknown = () => {}): Promise<void> {
    const uses = users.map((user) => user.useAll(NET));
    act();
    const results = (await Promise.all(uses)).flat();
    expect(results.map(({ text, peer, code }) => [text, peer, code])).toEqual(
      Array(users.length * CONNECTS).fill(['near', ANYCAST, undefined]),
    );
  }

  test.skipIf(process.getuid?.() !== 0)(
    'cause one Echo Request to the address, and those that come later none',
    async () => {
      const { socket } = await startAarpd(network.lab.client, network.lab.directory);
      const capture = await network.lab.capture('wifi', { filter: 'icmp6' });
      await expectServed(await startUsers(PROGRAMS, socket));
      await expectServed(await startUsers(1, socket));
      expect(await capture.count(`icmp6[0] == 128 and dst host ${ANYCAST}`)).toBe(1);
      expect(await capture.count('icmp6[0] == 128')).toBe(2);
    },
  );

  test('lose no connection when it is killed, whenever that is', { timeout: 60_000 }, async () => {
    for (const afterMs of [0, 3, 10, 30]) {
      const { program, socket } = await startAarpd(network.lab.client, network.lab.directory);
      const users = await startUsers(2, socket);
      // The moment is what is tried here: before it has heard of anybody, among their questions, and among its answers.
      await expectServed(users, () => setTimeout(() => program.kill('SIGKILL'), afterMs));
      await program.exit;
      await expectServed(users);
    }
  });

  test('lose none when it hangs with their questions in its hands, and then dies', async () => {
    const { program, socket } = await startAarpd(network.lab.client, network.lab.directory);
    const users = await startUsers(PROGRAMS, socket);
    program.kill('SIGSTOP');
    await expectServed(users);
    program.kill('SIGKILL');
    await expectServed(users);
  });
});
