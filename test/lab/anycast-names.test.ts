/**
 * Anycast name servers: real ones (dnsmasq) at the members, asked by node's own DNS client; and what paper 3 ends with, a
 * name from the anycast name server, whose address is anycast itself.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ANYCAST, AnycastNetwork, type MemberName } from './anycast-network.ts';
import { ANYCAST_ENV, NAME, PORTS, startServices, startUser } from './anycast-programs.ts';
import { labMissing } from './index.ts';
import type { Program } from './program.ts';

const missing = await labMissing();
const DNS = { way: 'dns', port: 53 };
/** What is promised for a name server that falls silent. */
const SERVED_MS = 1_000;

describe.skipIf(missing)('an anycast name server', () => {
  let network: AnycastNetwork;
  beforeEach(async () => {
    network = await AnycastNetwork.create();
    await Promise.all([network.joinMember('near'), network.joinMember('middle')]);
    await Promise.all([startNameServer('near'), startNameServer('middle')]);
  });
  afterEach(() => network.close());

  /** Knows the services' name, and by text records who it is itself; one of them is too big for a datagram. */
  async function startNameServer(member: MemberName): Promise<Program> {
    const own = ['--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--pid-file=', '--user=root', '--group=root'];
    const texts = [`who.${NAME},${member}`, [`big.${NAME}`, member, ...Array(8).fill('x'.repeat(250))].join()];
    const answers = [`--host-record=${NAME},${ANYCAST}`, ...texts.map((text) => `--txt-record=${text}`)];
    const program = network.host(member).run('dnsmasq', ['--no-daemon', ...own, ...answers]);
    await program.line(/started, version/, { stream: 'stderr' });
    return program;
  }

  test.each(['off', 'prefer'])(
    'answers dns.Resolver, and goes on being the one that was set (%s)',
    async (mobility) => {
      const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: mobility });
      const who = { ...DNS, ask: `who.${NAME}` };
      expect(await user.use(who)).toMatchObject({ text: 'near', peer: ANYCAST });
      expect(await user.use({ ...who, way: 'dns default' })).toMatchObject({ text: 'near', peer: ANYCAST });
      const many = await user.useAll({ ...who, times: 100 });
      expect(many.map(({ text }) => text)).toEqual(Array(100).fill('near'));
    },
  );

  test('without mobisock answers what fits into a datagram, from the anycast address, and never over TCP', async () => {
    const big = { ...DNS, ask: `big.${NAME}` };
    const [bare, user] = await Promise.all([
      startUser(network.lab.client),
      startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: 'off' }),
    ]);
    expect(await bare.use({ ...DNS, ask: `who.${NAME}` })).toMatchObject({ text: 'near' });
    expect(await bare.use(big)).toMatchObject({ code: 'ETIMEOUT' });
    expect(await user.use(big)).toMatchObject({ text: 'near', peer: ANYCAST });
  });

  test('that falls silent is left within a second, queries under way included', async () => {
    const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: 'off' });
    const who = { ...DNS, ask: `who.${NAME}` };
    expect(await user.use(who)).toMatchObject({ text: 'near' });
    await network.lab.conditions.blackhole({ to: 'one' });
    await network.withdraw('near');
    const results = await user.useAll({ ...who, times: 20 });
    expect(results.map(({ text }) => text)).toEqual(Array(20).fill('middle'));
    const longestMs = Math.max(...results.map(({ tookMs }) => tookMs));
    console.log(`20 queries to a silent name server: answered by another one within ${longestMs.toFixed(0)} ms`);
    expect(longestMs).toBeLessThan(SERVED_MS);
  });

  test.each(['off', 'prefer'])('gives the anycast address that is connected to then (%s)', async (mobility) => {
    await startServices(network, 'near', mobility === 'off' ? undefined : {});
    const user = await startUser(network.lab.client, { ...ANYCAST_ENV, MOBISOCK_MOBILITY: mobility });
    const used = await user.use({ way: 'https', port: PORTS.https, host: NAME, nameServer: ANYCAST });
    expect(used).toMatchObject({ text: 'near', peer: ANYCAST });
    console.log(`a name and a connect, both by anycast, mobility ${mobility}: ${used.tookMs.toFixed(1)} ms`);
    expect(user.program.reports('session:open')).toHaveLength(mobility === 'off' ? 0 : 1);
  });
});
