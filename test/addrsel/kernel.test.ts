/** Source selection beside the kernel's, in a namespace, over configurations drawn by seed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelTakes } from '../../src/addrsel/addrlabel.ts';
import { LINUX_SOURCE } from '../../src/addrsel/dialect.ts';
import { explainSource } from '../../src/addrsel/select-source.ts';
import { namespacesAvailable } from '../host/namespace.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { Machine, type MachineAnswer } from './machine.ts';

const CONFIGURATIONS = process.env.MOBISOCK_TEST_LONG === '1' ? 3000 : 300;
const NETS = [
  '2001:db8:1:',
  '2001:db8:ff00:',
  'fd00:1:2:',
  'fdff:1:2:',
  '2002:c000:201:',
  'fec0:0:0:',
  '2001:10:1:',
  '2001:0:1:',
  '3ffe:1:1:',
] as const;
const MIDDLES = [':', '1::', '7::', 'ff00::'];
const LABELLED = [
  '::/0',
  '2001:db8::/32',
  '2001:db8:1::/48',
  'fd00::/8',
  'fc00::/7',
  '2002::/16',
  'fec0::/10',
  '::1/128',
];

let machine: Machine;

describe.skipIf(!namespacesAvailable)('source addresses as the kernel chooses them', () => {
  beforeAll(async () => {
    machine = await Machine.create();
  });
  afterAll(async () => {
    await machine.close();
  });

  it(`are chosen by the same rules (${CONFIGURATIONS} configurations)`, { timeout: 400 * CONFIGURATIONS }, async () => {
    const homeAddresses = (await knowsHomeAddresses()) ? 'prefer' : 'ignore';
    const dialect = { ...LINUX_SOURCE, homeAddresses } as const;
    const decided = new Map<string, number>();
    for (let seed = 1; seed <= CONFIGURATIONS; seed++) {
      const random = new SeededRandom(seed);
      configure(random);
      const ips = Array.from({ length: 6 }, () => drawDestination(random));
      const { addresses, kernel, destinations } = await settled(ips);
      for (const { source, ...question } of destinations) {
        if (source === undefined) continue;
        const { chosen, beaten } = explainSource(question, addresses, kernel, dialect);
        const shown = `seed ${seed}, to ${question.ip}: ${JSON.stringify({ question, addresses, entries: kernel.entries.length })}`;
        expect(chosen?.ip, shown).toBe(source.ip);
        for (const { rule } of beaten) decided.set(rule, (decided.get(rule) ?? 0) + 1);
      }
    }
    // Otherwise the configurations would not have put the rules to the test.
    for (const rule of ['1', '2', '3', ...(homeAddresses === 'prefer' ? ['4'] : []), '5', '6', '7', 'orchid', '8']) {
      expect(decided.get(rule) ?? 0, `rule ${rule}: ${JSON.stringify([...decided])}`).toBeGreaterThan(5);
    }
  });
});

/** Whether this kernel was made with Mobile IPv6, and so has rule 4. */
async function knowsHomeAddresses(): Promise<boolean> {
  reset();
  machine.ip(6, [
    'addr add 2001:db8::1/128 dev v0 nodad home',
    'addr add 2001:db8::2/128 dev v0 nodad',
    'route add default dev v0',
  ]);
  const { destinations } = await settled(['2001:db8::9']);
  return destinations[0]?.source?.ip === '2001:db8::1';
}

function reset(): void {
  machine.ip(6, ['addr flush dev v0', 'addr flush dev v1', 'route flush table main', 'addrlabel flush']);
}

function configure(random: SeededRandom): void {
  reset();
  const lines: string[] = [];
  const used = new Set<string>();
  for (const device of ['v0', 'v1']) {
    machine.sysctl(`net.ipv6.conf.${device}.use_tempaddr=${random.pick([0, 1, 2])}`);
    lines.push(`addr add fe80::${random.between(1, 9)}/64 dev ${device} nodad`);
    for (let i = random.between(0, 5); i > 0; i--) {
      const ip = `${random.pick(NETS)}${random.pick(MIDDLES)}${random.between(1, 9)}`;
      if (used.has(ip)) continue;
      used.add(ip);
      const flags = [
        random.chance(0.3) ? 'preferred_lft 0' : '',
        random.chance(0.2) ? 'home' : '',
        random.chance(0.3) ? 'mngtmpaddr' : '',
      ].filter((flag) => flag !== '');
      const length = flags.includes('mngtmpaddr') ? 64 : random.pick([32, 48, 56, 64, 128]);
      // A preferred lifetime needs a valid one, and mngtmpaddr lifetimes to derive those of its temporary addresses.
      lines.push(`addr add ${ip}/${length} dev ${device} nodad noprefixroute ${flags.join(' ')}`);
    }
  }
  lines.push(`route add default dev ${random.pick(['v0', 'v1'])}`);
  for (const prefix of ['2001:db8:1::/48', 'fd00::/8', '2002::/16']) {
    if (random.chance(0.5)) lines.push(`route add ${prefix} dev ${random.pick(['v0', 'v1'])}`);
  }
  for (const prefix of LABELLED) {
    if (random.chance(0.6)) lines.push(`addrlabel add prefix ${prefix} label ${random.between(0, 4)}`);
    if (random.chance(0.2)) {
      lines.push(`addrlabel add prefix ${prefix} dev ${random.pick(['v0', 'v1'])} label ${random.between(0, 4)}`);
    }
  }
  machine.ip(6, lines);
}

function drawDestination(random: SeededRandom): string {
  const host = random.between(1, 9);
  if (random.chance(0.1)) return `fe80::${host}%${random.pick(['v0', 'v1'])}`;
  if (random.chance(0.1)) return `${random.pick(['ff02', 'ff05', 'ff0e'])}::${host}%${random.pick(['v0', 'v1'])}`;
  return `${random.pick(NETS)}${random.pick(MIDDLES)}${host}`;
}

/** Once no address is tentative any more: the kernel's work on new ones goes on after `ip` has ended. */
async function settled(ips: readonly string[]): Promise<MachineAnswer> {
  for (;;) {
    const before = await machine.ask({ ips });
    const after = await machine.ask({ ips });
    const still = after.addresses.some(({ tentative }) => tentative);
    if (!still && JSON.stringify(before) === JSON.stringify(after)) return after;
  }
}

describe('labels that the kernel takes', () => {
  it('are for IPv6 prefixes, and for IPv4 as a whole', () => {
    const bytes = Uint8Array.from(Buffer.from('00000000000000000000ffff00000000', 'hex'));
    expect(kernelTakes({ prefix: { bytes, length: 96, text: '' } })).toBe(true);
    expect(kernelTakes({ prefix: { bytes, length: 97, text: '' } })).toBe(false);
  });
});
