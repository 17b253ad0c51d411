/**
 * Programs that know nothing of anycast reach a real anycast address by all of node's ways to connect; beside each, what
 * becomes of the same program without mobisock.
 */
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANYCAST, AnycastNetwork } from './anycast-network.ts';
import {
  ANYCAST_ENV,
  type AnycastUser,
  NAME,
  PORTS,
  startServices,
  startUser,
  type UseCommand,
} from './anycast-programs.ts';
import { labMissing } from './index.ts';

const missing = await labMissing();
const CALLERS = 100;
/** A connect that nobody answers; one that somebody does takes milliseconds. */
const HOPELESS_MS = 1_500;

/** Node 22.23 takes no certificate for an IPv6 address, by whatever way it is reached. */
const CERTIFICATE = { subject: { CN: 'x' }, subjectaltname: 'IP Address:0:0:0:0:0:0:0:1' } as tls.PeerCertificate;
const takesAddresses = tls.checkServerIdentity('::1', CERTIFICATE) === undefined;

const STREAM_WAYS: readonly UseCommand[] = [
  { way: 'net', port: PORTS.net },
  { way: 'http', port: PORTS.http },
  { way: 'agent', port: PORTS.http },
  ...(takesAddresses
    ? ([
        { way: 'https', port: PORTS.https },
        { way: 'tls', port: PORTS.tls },
      ] as const)
    : []),
  { way: 'https', port: PORTS.https, host: NAME, lookup: [ANYCAST] },
  { way: 'tls', port: PORTS.tls, host: NAME, lookup: [ANYCAST] },
  { way: 'http2', port: PORTS.http2 },
  { way: 'fetch', port: PORTS.http },
];
const DATAGRAM_WAYS: readonly UseCommand[] = [
  { way: 'udp connected', port: PORTS.udp },
  { way: 'udp send', port: PORTS.udp },
];

describe.skipIf(missing)('an unmodified program', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
  });
  afterEach(() => network.close());

  function user(mobility: string): Promise<AnycastUser> {
    return startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: mobility });
  }

  describe.each(['off', 'prefer'])('with mobility %s', (mobility) => {
    test('reaches the address by all of TCP, and takes itself to talk with it', async () => {
      const env = mobility === 'off' ? undefined : { MOBISOCK_MOBILITY: mobility };
      await startServices(network, 'near', env);
      const client = await user(mobility);
      const ways = await inTurn(STREAM_WAYS, (command) => client.use(command));
      for (const [command, result] of ways) {
        const expected = command.way === 'agent' ? { text: 'near near near', sockets: 1 } : { text: 'near' };
        const peer = command.way === 'fetch' ? {} : { peer: ANYCAST };
        expect(result, JSON.stringify(command)).toMatchObject({ ...expected, ...peer });
      }
      const resolved = { address: ANYCAST, kind: 'anycast', unicast: network.unicastOf('near'), confirmed: true };
      expect(client.program.reports('aarp:resolve')).toEqual([expect.objectContaining(resolved)]);
      const opened = client.program.reports('session:open');
      expect(opened).toHaveLength(mobility === 'off' ? 0 : STREAM_WAYS.length);
      // A later session goes to any of the member's addresses.
      const near = [network.unicastOf('near'), network.host('near').address('one', 'ipv4')];
      for (const { remote } of opened) expect(near).toContain(remote?.ip);
      console.log(`TCP to an anycast address, mobility ${mobility}: ${timesText(ways)}`);
    });

    test('reaches it by UDP, connected or not, and hears it answer', async () => {
      const env = mobility === 'off' ? undefined : { MOBISOCK_MOBILITY: mobility };
      await startServices(network, 'near', env);
      const client = await user(mobility);
      const ways = await inTurn(DATAGRAM_WAYS, (command) => client.use(command));
      for (const [command, result] of ways) {
        expect(result, command.way).toMatchObject({ text: 'near', peer: ANYCAST, from: ANYCAST });
      }
      console.log(`UDP to an anycast address, mobility ${mobility}: ${timesText(ways)}`);
    });

    test('still refuses a certificate for another name', async () => {
      await startServices(network, 'near', mobility === 'off' ? undefined : { MOBISOCK_MOBILITY: mobility });
      const client = await user(mobility);
      const wrong = { way: 'https', port: PORTS.https, host: `not.${NAME}`, lookup: [ANYCAST] };
      expect(await client.use(wrong)).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    });
  });

  test('learns from sessions() where it is in truth', async () => {
    await startServices(network, 'near', {});
    const client = await user('auto');
    const used = await client.use({ way: 'session', port: PORTS.net });
    expect(used).toMatchObject({ text: 'near', peer: ANYCAST, sessions: [network.unicastOf('near')] });
  });

  test('without mobisock never connects, and its connected UDP socket never hears the answers that come', async () => {
    const services = await startServices(network, 'near');
    const capture = network.lab.canCapture ? await network.lab.capture('wifi', { filter: 'udp' }) : undefined;
    const client = await startUser(network.lab.client);
    const [stream, connected] = await Promise.all([
      client.use({ way: 'net', port: PORTS.net, timeout: HOPELESS_MS }),
      client.use({ way: 'udp connected', port: PORTS.udp, giveUpMs: HOPELESS_MS }),
    ]);
    expect(stream).toMatchObject({ code: 'ETIMEDOUT' });
    expect(connected).toMatchObject({ code: 'silence' });
    services.tell('how many?');
    const { datagrams } = await services.report('answered');
    expect(datagrams).toBeGreaterThan(0);
    expect(await capture?.count(`src host ${network.unicastOf('near')}`)).not.toBe(0);
    // send() hears a stranger.
    expect(await client.use({ way: 'udp send', port: PORTS.udp })).toMatchObject({ from: network.unicastOf('near') });
  });

  test.skipIf(process.getuid?.() !== 0)(
    'asks the address by echo, hears a unicast one, and shakes hands with that',
    async () => {
      await startServices(network, 'near');
      const capture = await network.lab.capture('wifi', { filter: 'icmp6 or tcp' });
      const client = await user('off');
      expect(await client.use({ way: 'net', port: PORTS.net })).toMatchObject({ text: 'near', peer: ANYCAST });
      const member = network.unicastOf('near');
      const own = network.lab.client.address('wifi', 'ipv6');
      const lines = (await capture.packets('icmp6 or tcp')).filter((line) => /echo|Flags/.test(line));
      const steps = lines.map((line) => {
        const [, from, to, what] = /IP6 (\S+) > (\S+): (ICMP6, echo \w+|Flags \[\S+\])/.exec(line) ?? [];
        return [from?.replace(/\.\d+$/, ''), to?.replace(/\.\d+$/, ''), what];
      });
      const isAhead = (step: (typeof steps)[number]): boolean => step[1] === ANYCAST && step[2] === 'Flags [S]';
      // The connect that went ahead, which an anycast address of the kernel's does not answer.
      expect(steps.filter(isAhead)).toHaveLength(1);
      expect(steps.filter((step) => !isAhead(step)).slice(0, 7)).toEqual([
        [own, ANYCAST, 'ICMP6, echo request'],
        [member, own, 'ICMP6, echo reply'],
        [own, member, 'ICMP6, echo request'],
        [member, own, 'ICMP6, echo reply'],
        [own, member, 'Flags [S]'],
        [member, own, 'Flags [S.]'],
        [own, member, 'Flags [.]'],
      ]);
    },
  );

  test.skipIf(process.getuid?.() !== 0)(
    'a hundred connects to a cold address cause one Echo Request to it',
    async () => {
      await startServices(network, 'near');
      const capture = await network.lab.capture('wifi', { filter: 'icmp6' });
      const client = await user('off');
      const results = await client.useAll({ way: 'net', port: PORTS.net, times: CALLERS });
      expect(results.map(({ text, peer }) => [text, peer])).toEqual(Array(CALLERS).fill(['near', ANYCAST]));
      expect(await capture.count(`icmp6[0] == 128 and dst host ${ANYCAST}`)).toBe(1);
      expect(await capture.count('icmp6[0] == 128')).toBe(2);
    },
  );

  test.skipIf(process.getuid?.() !== 0)('asks nothing of addresses that are not named anycast', async () => {
    await startServices(network, 'near');
    const capture = await network.lab.capture('wifi', { filter: 'icmp6 or udp' });
    const client = await user('off');
    const member = network.unicastOf('near');
    expect(await client.use({ way: 'net', port: PORTS.net, host: member })).toMatchObject({
      text: 'near',
      peer: member,
    });
    expect(await client.use({ way: 'udp send', port: PORTS.udp, host: member })).toMatchObject({ from: member });
    expect(await capture.count('icmp6[0] == 128')).toBe(0);
    expect(await capture.count('udp port 4476')).toBe(0);
    expect(await capture.count(`udp port ${PORTS.udp}`)).toBeGreaterThanOrEqual(2);
  });
});

async function inTurn<Command, Result>(
  commands: readonly Command[],
  use: (command: Command) => Promise<Result>,
): Promise<[Command, Result][]> {
  const results: [Command, Result][] = [];
  for (const command of commands) results.push([command, await use(command)]);
  return results;
}

function timesText(ways: readonly [UseCommand, { readonly tookMs: number }][]): string {
  return ways.map(([{ way }, { tookMs }]) => `${way} ${tookMs.toFixed(1)} ms`).join(', ');
}
