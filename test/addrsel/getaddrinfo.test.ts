/** The order of destinations beside that of glibc's getaddrinfo, in a namespace, over configurations drawn by seed. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GLIBC_DESTINATION } from '../../src/addrsel/dialect.ts';
import { writeGaiConf } from '../../src/addrsel/gai-conf.ts';
import { PolicyTable } from '../../src/addrsel/policy-table.ts';
import { explainDestinations, sortDestinations } from '../../src/addrsel/sort-destinations.ts';
import { namespacesAvailable } from '../host/namespace.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { entry } from './addresses.ts';
import { Machine, NAME } from './machine.ts';

const CONFIGURATIONS = process.env.MOBISOCK_TEST_LONG === '1' ? 3000 : 300;
const NETS = ['2001:db8:1', '2001:db8:2', 'fd00:1:2', '2002:c000:201', 'fec0:0:0', '2001:0:1', '3ffe:1:1'] as const;
const IPV4_NETS = ['10.1.2', '10.1.3', '10.9.9', '169.254.7', '192.0.2', '198.51.100'] as const;
const PREFIXES = [
  '::1/128',
  '::ffff:0:0/96',
  '::/96',
  '2002::/16',
  '2001::/32',
  'fc00::/7',
  'fec0::/10',
  '2001:db8:1::/48',
];
const IPV4_PREFIXES = ['::ffff:10.0.0.0/104', '::ffff:10.1.2.0/120', '::ffff:192.0.2.0/120', '::ffff:169.254.0.0/112'];
/** The gai.conf that glibc reads, and glibc itself: other C libraries have neither. */
const glibc = process.platform === 'linux' && existsSync('/etc/gai.conf') && isGlibc();

let machine: Machine;

describe.skipIf(!namespacesAvailable || !glibc)('destinations as getaddrinfo orders them', () => {
  beforeAll(async () => {
    machine = await Machine.create();
  });
  afterAll(async () => {
    await machine.close();
  });

  it(`are ordered by the same rules (${CONFIGURATIONS} configurations)`, {
    timeout: 400 * CONFIGURATIONS,
  }, async () => {
    const decided = new Map<string, number>();
    for (let seed = 1; seed <= CONFIGURATIONS; seed++) {
      const random = new SeededRandom(seed);
      configure(random);
      const ips = [...new Set(Array.from({ length: random.between(2, 12) }, () => drawDestination(random)))];
      machine.writeFiles({ hosts: ips, gaiConf: drawGaiConf(random) });
      const { glibc: table, destinations, order, addresses } = await machine.ask({ ips, name: NAME });
      const ours = sortDestinations(destinations, table, GLIBC_DESTINATION).map(({ ip }) => ip);
      expect(ours, `seed ${seed}: ${JSON.stringify({ destinations, addresses })}`).toEqual(order);
      for (const { beforeNext } of explainDestinations(destinations, table, GLIBC_DESTINATION)) {
        if (beforeNext) decided.set(beforeNext.rule, (decided.get(beforeNext.rule) ?? 0) + 1);
      }
    }
    // Otherwise the configurations would not have put the rules to the test. Tunnels (7) are not on every kernel.
    for (const rule of ['1', '2', '3', '4', '5', '6', '8', '9', '10']) {
      expect(decided.get(rule) ?? 0, `rule ${rule}: ${JSON.stringify([...decided])}`).toBeGreaterThan(5);
    }
  });

  it('are ordered by its own table where gai.conf says nothing', async () => {
    machine.ip(6, [
      'addr flush dev v0',
      'route flush table main',
      'addr add 2001:db8:1::1/64 dev v0 nodad',
      'route add default dev v0',
    ]);
    machine.ip(4, [
      'addr flush dev v0',
      'route flush table main',
      'addr add 10.1.2.1/24 dev v0',
      'route add default dev v0',
    ]);
    const ips = ['192.0.2.1', '2001:db8:9::1', '10.1.2.9', '2001:db8:1::9'];
    machine.writeFiles({ hosts: ips, gaiConf: '' });
    const { glibc: table, destinations, order } = await machine.ask({ ips, name: NAME });
    expect(order).toEqual(['2001:db8:1::9', '2001:db8:9::1', '10.1.2.9', '192.0.2.1']);
    expect(sortDestinations(destinations, table, GLIBC_DESTINATION).map(({ ip }) => ip)).toEqual(order);
  });
});

function isGlibc(): boolean {
  return spawnSync('getconf', ['GNU_LIBC_VERSION']).status === 0;
}

function configure(random: SeededRandom): void {
  const v6 = ['addr flush dev v0', 'addr flush dev v1', 'route flush table main'];
  const v4 = [...v6];
  const addresses = new Set<string>();
  for (const device of ['v0', 'v1']) {
    for (let i = random.between(0, 3); i > 0; i--) {
      const flags = `dev ${device} nodad ${random.chance(0.25) ? 'preferred_lft 0' : ''} ${random.chance(0.2) ? 'home' : ''}`;
      addresses.add(`6 addr add ${random.pick(NETS)}::${addresses.size + 1}/${random.pick([48, 64, 128])} ${flags}`);
      const flags4 = `dev ${device} ${random.chance(0.25) ? 'preferred_lft 0' : ''}`;
      addresses.add(
        `4 addr add ${random.pick(IPV4_NETS)}.${addresses.size + 1}/${random.pick([8, 16, 24, 28, 32])} ${flags4}`,
      );
    }
    if (random.chance(0.7)) addresses.add(`6 addr add fe80::${addresses.size + 1}/64 dev ${device} nodad`);
  }
  for (const line of addresses) (line.startsWith('6') ? v6 : v4).push(line.slice(2));
  if (random.chance(0.8)) v6.push(`route add default dev ${random.pick(['v0', 'v1'])}`);
  // An IPv4 route on a host without any address to send from: for getaddrinfo it has a source, 0.0.0.0.
  const hasIpv4 = v4.some((line) => line.startsWith('addr add'));
  if (random.chance(0.8) && hasIpv4) v4.push(`route add default dev ${random.pick(['v0', 'v1'])}`);
  machine.ip(6, v6);
  machine.ip(4, v4);
}

function drawDestination(random: SeededRandom): string {
  if (random.chance(0.05)) return random.pick(['::1', '127.0.0.5', 'fe80::77', 'ff0e::5']);
  // Never the last of eight, which may be a broadcast address: a connect to that is refused.
  if (random.chance(0.4)) return `${random.pick(IPV4_NETS)}.${random.between(0, 7) * 8 + random.between(1, 6)}`;
  return `${random.pick(NETS)}:${random.pick(['', '1:', 'ff00:'])}:${random.between(1, 60).toString(16)}`;
}

/** Few values, so that many are equal: then the later rules decide, and some orders are circles. */
function drawGaiConf(random: SeededRandom): string {
  const value = (): string => (random.chance(0.7) ? String(random.between(0, 3)) : '-');
  const entries = PREFIXES.filter(() => random.chance(0.6)).map((prefix) => entry(`${prefix} ${value()} ${value()}`));
  const scopes = IPV4_PREFIXES.filter(() => random.chance(0.2)).map((prefix) => ({
    prefix: entry(prefix).prefix,
    scope: random.pick([2, 5, 14]),
  }));
  const whole = new PolicyTable(entries, scopes.length === 0 ? undefined : scopes);
  return random.chance(0.1) ? '' : writeGaiConf({ table: whole, reload: false });
}
