/** Anycast addresses of real kernels, resolved over a router: what is asked, what comes out, and who is left. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANYCAST, AnycastNetwork, resolve, SERVICE_PORT } from './anycast-network.ts';
import { labMissing } from './index.ts';

const missing = await labMissing();
const ECHO_ONLY = { methods: ['echo'] };
const PING_RANGE = '/proc/sys/net/ipv4/ping_group_range';

describe.skipIf(missing)('three members of an anycast address', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
  });
  afterEach(() => network.close());

  describe('that their kernels joined', () => {
    beforeEach(async () => {
      await Promise.all([network.joinMember('near'), network.joinMember('middle'), network.joinMember('far')]);
    });

    test('TCP to the address itself does not connect; to what it is resolved to it does', async () => {
      const client = await network.startClient(ECHO_ONLY);
      client.tell(`connect ${ANYCAST} ${SERVICE_PORT}`);
      await client.report('failed');
      const found = await resolve(client, ANYCAST);
      expect(found).toMatchObject({ unicast: network.unicastOf('near'), kind: 'anycast', confirmed: true });
      client.tell(`connect ${found.unicast} ${SERVICE_PORT}`);
      expect(await client.report('connected')).toMatchObject({ text: 'near' });
    });

    test.skipIf(process.getuid?.() !== 0)(
      'a hundred callers bring one Echo Request to it, and one to the member that replied',
      async () => {
        const capture = await network.lab.capture('wifi', { filter: 'icmp6' });
        const client = await network.startClient(ECHO_ONLY);
        for (let i = 0; i < 100; i++) client.tell(`resolve ${ANYCAST}`);
        for (let i = 0; i < 100; i++) await client.report('resolved');
        await resolve(client, ANYCAST);
        const packets = (await capture.packets('icmp6')).filter((line) => /echo/.test(line));
        const member = network.unicastOf('near');
        const own = network.lab.client.address('wifi', 'ipv6');
        expect(packets.map((line) => /IP6 (\S+) > (\S+): ICMP6, (echo \w+)/.exec(line)?.slice(1))).toEqual([
          [own, ANYCAST, 'echo request'],
          [member, own, 'echo reply'],
          [own, member, 'echo request'],
          [member, own, 'echo reply'],
        ]);
      },
    );

    test('a member that dies is left within one failed connection; one that is back is used again', async () => {
      const client = await network.startClient({ ...ECHO_ONLY, times: { anycastMs: 300, shunMs: 300 } });
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
      await network.host('near').detach();
      await network.withdraw('near');
      client.tell(`failed ${ANYCAST} ${network.unicastOf('near')}`);
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('middle') });
      await network.withdraw('middle');
      client.tell(`failed ${ANYCAST} ${network.unicastOf('middle')}`);
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('far') });
      await network.announce('middle');
      await expect
        .poll(async () => (await resolve(client, ANYCAST)).unicast, { timeout: 5_000 })
        .toBe(network.unicastOf('middle'));
    });

    test('a client that moves asks again: another member may be nearer there', async () => {
      const client = await network.startClient(ECHO_ONLY);
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
      await network.withdraw('near');
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near') });
      await network.lab.client.move('lte');
      await expect.poll(async () => (await resolve(client, ANYCAST)).unicast).toBe(network.unicastOf('middle'));
    });

    test('without ping sockets the program ping asks', async () => {
      await network.lab.client.namespace.command(['sh', '-c', `echo 1 0 >${PING_RANGE}`]);
      const client = await network.startClient(ECHO_ONLY);
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near'), confirmed: true });
    });

    test('a unicast address is resolved to itself, and one that nobody has to nothing', async () => {
      const client = await network.startClient(ECHO_ONLY);
      const unicast = network.unicastOf('far');
      expect(await resolve(client, unicast)).toMatchObject({ unicast, kind: 'unicast' });
      client.tell('resolve fd77:9999::1');
      expect(await client.report('unresolved')).toMatchObject({ code: 'ERR_MOBISOCK_UNRESOLVED' });
    });

    test('a member whose replies come from an address without a way back is named by one that has it', async () => {
      const near = network.host('near');
      const one = near.network('one');
      // An address of the anycast prefix, of which the router knows nothing else.
      await near.namespace.ip([`route replace fd77:1::/64 via ${one.routerAddress.ipv6} dev one src fd77:100::1`]);
      const [both, echo] = await Promise.all([network.startClient(), network.startClient(ECHO_ONLY)]);
      expect(await resolve(both, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near'), confirmed: true });
      expect(await resolve(echo, ANYCAST)).toMatchObject({ unicast: 'fd77:100::1', confirmed: false });
    });

    test('AARP alone gives the same', async () => {
      const client = await network.startClient({ methods: ['aarp'] });
      expect(await resolve(client, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near'), confirmed: true });
    });
  });

  test('under a key answer those who have it', async () => {
    const key = '00112233445566778899aabbccddeeff';
    await network.joinMember('near', { key });
    const [insider, outsider] = await Promise.all([
      network.startClient({ key }),
      network.startClient({ methods: ['aarp'] }),
    ]);
    expect(await resolve(insider, ANYCAST)).toMatchObject({ unicast: network.unicastOf('near'), confirmed: true });
    outsider.tell(`resolve ${ANYCAST}`);
    expect(await outsider.report('unresolved')).toMatchObject({ reason: 'silent' });
  });

  describe('that have it on their loopback interfaces', () => {
    test('reply from it, which echo alone takes for unicast and AARP does not', async () => {
      const member = await network.loopbackMember('near', { lifetimeMs: 5_000 });
      const both = await network.startClient();
      const echo = await network.startClient(ECHO_ONLY);
      expect(await resolve(echo, ANYCAST)).toMatchObject({ kind: 'unicast', unicast: ANYCAST });
      const found = await resolve(both, ANYCAST);
      expect(found).toMatchObject({ kind: 'anycast', unicast: network.unicastOf('near'), confirmed: true });
      expect(found.ttlMs).toBe(5_000);
      both.tell(`connect ${found.unicast} ${SERVICE_PORT}`);
      expect(await both.report('connected')).toMatchObject({ text: 'near' });
      member.tell('counters');
      expect((await member.report('counters')).replies).toBeGreaterThanOrEqual(1);
    });
  });
});
