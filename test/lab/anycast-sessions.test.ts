/** Sessions with one member of an anycast address: they stay with it, wherever routing and the client go. */

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AARP_PORT } from '../../src/aarp/wire/aarp.ts';
import { ANYCAST, AnycastNetwork, type MemberName } from './anycast-network.ts';
import { ANYCAST_ENV, type Environment } from './anycast-programs.ts';
import { DATAGRAM_PORT, DatagramEnd, expectNothingWrong } from './datagram-pair.ts';
import { expectAllDelivered, PACED, type Pair, startClient, startServer } from './exchange.ts';
import { labMissing } from './index.ts';

const missing = await labMissing();

describe.skipIf(missing)('a session with a member of an anycast address', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
  });
  afterEach(() => network.close());

  /** A running exchange, the first contact of its process, with `member`. */
  async function startWith(member: MemberName, env: Environment = {}, serverEnv: Environment = {}): Promise<Pair> {
    const server = await startServer(network.host(member), { send: PACED, env: serverEnv });
    const client = startClient(network.lab.client, ANYCAST, { send: PACED, env: { ...ANYCAST_ENV, ...env } });
    expect(await client.report('connected')).toMatchObject({ remoteAddress: ANYCAST });
    expect(addressesOf(member)).toContain((await client.report('session:open')).remote?.ip);
    await server.report('connected');
    await client.progress();
    return { client, server };
  }

  async function moveToLte({ client }: Pair, member: MemberName): Promise<void> {
    await network.lab.client.move('lte', { outageMs: 100 });
    const { remote, local } = await client.report('session:move');
    expect(addressesOf(member)).toContain(remote?.ip);
    expect([network.lab.client.address('lte', 'ipv6'), network.lab.client.address('lte')]).toContain(local?.ip);
    await client.progress();
  }

  function addressesOf(member: MemberName): string[] {
    const host = network.host(member);
    return (['ipv4', 'ipv6'] as const).map((family) => host.address(host.attached[0] ?? '', family));
  }

  test.each(['auto', 'prefer'])('is pinned to it, through changes of routing and a move (%s)', async (mobility) => {
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
    await network.withdraw('near');
    const nearer = await startServer(network.host('near'));
    const pair = await startWith('middle', { MOBISOCK_MOBILITY: mobility });
    // The router prefers another one from here on.
    await network.announce('near');
    await pair.client.progress();
    await moveToLte(pair, 'middle');
    await network.withdraw('middle');
    await pair.client.progress();
    await expectAllDelivered(pair);
    expect(nearer.reports('accepted')).toEqual([]);
  });

  test('is pinned to it where the members have the address on their loopback interfaces', async () => {
    await Promise.all([network.loopbackMember('near'), network.loopbackMember('middle')]);
    const other = await startServer(network.host('middle'));
    const pair = await startWith('near', { MOBISOCK_MOBILITY: 'auto' });
    await network.withdraw('near');
    await moveToLte(pair, 'near');
    await expectAllDelivered(pair);
    expect([...other.reports('accepted'), ...other.reports('session:open')]).toEqual([]);
  });

  test.each([
    ['', false],
    [', and it was found without a probe', true],
  ])('waits for it where it is away for a while and another one has the address meanwhile%s', async (_, unprobed) => {
    await Promise.all([network.loopbackMember('near'), network.loopbackMember('middle')]);
    if (unprobed) {
      for (const probe of ['icmpv6 type echo-request', `udp dport ${AARP_PORT}`]) {
        await network.lab.router.nft(`add rule inet lab conditions ${probe} drop`);
      }
    }
    // So that the other one would refuse the session, and not just the connection.
    const env = { MOBISOCK_SESSION_PORT: '4433' };
    const other = await startServer(network.host('middle'), { env });
    const pair = await startWith('near', {}, env);
    const near = network.host('near');
    await near.detach();
    await network.withdraw('near');
    await pair.client.report('session:suspend');
    // Long enough for the client to ask at every address that it knows.
    await sleep(3_000);
    await near.attach('one');
    await pair.client.progress();
    await expectAllDelivered(pair);
    expect([...other.reports('accepted'), ...other.reports('session:open')]).toEqual([]);
  });

  test('is pinned to it over UDP too', async () => {
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
    const { lab } = network;
    const send = { bytes: 200, everyMs: 5 };
    const listen = { host: '::', port: DATAGRAM_PORT };
    const servers = (['near', 'middle'] as const).map(
      (name) => new DatagramEnd(lab, network.host(name), { listen, send }, {}),
    );
    const [server, other] = servers;
    if (server === undefined || other === undefined) throw new Error('no servers');
    await Promise.all(servers.map((each) => each.report('listening')));
    const connect = { host: ANYCAST, port: DATAGRAM_PORT };
    const client = new DatagramEnd(lab, lab.client, { connect, sockets: 1, send }, ANYCAST_ENV);
    await client.report('open');
    await expect.poll(() => server.events('open').length).toBe(1);
    client.tell('quiet');
    for (const end of [client, server]) end.begin();
    await network.withdraw('near');
    await lab.client.move('lte', { outageMs: 100 });
    const movedAt = Date.now();
    for (const end of [client, server]) expect(await end.firstAfter(movedAt)).toHaveLength(1);
    await expectNothingWrong({ client, server });
    expect(client.events('move')).not.toEqual([]);
    expect((await other.status()).peers).toEqual([]);
    expect((await client.status()).peers).toMatchObject([{ name: `${ANYCAST} ${DATAGRAM_PORT}` }]);
  });
});
