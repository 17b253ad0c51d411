import { describe, expect, it } from 'vitest';
import { GLIBC_LABELS, GLIBC_PRECEDENCES, mergeEntries, RFC_6724_ENTRIES } from '../../src/addrsel/default-tables.ts';
import { commonBits, ipv6Form } from '../../src/addrsel/ipv6-form.ts';
import { parsePolicyPrefix, policyPrefix, prefixContains } from '../../src/addrsel/policy-prefix.ts';
import {
  ENTRY_LIMIT,
  HIGHEST_PRECEDENCE,
  NO_LABEL,
  NO_PRECEDENCE,
  PolicyTable,
} from '../../src/addrsel/policy-table.ts';
import { UsageError } from '../../src/core/errors.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { entry } from './addresses.ts';

const prefixOf = (text: string): string => {
  const prefix = parsePolicyPrefix(text);
  return 'problem' in prefix ? `expected ${prefix.problem}` : prefix.text;
};

describe('prefixes', () => {
  it.each([
    ['2001:DB8:0::/32', '2001:db8::/32'],
    ['::/0', '::/0'],
    ['2001:db8::1', '2001:db8::1/128'],
    ['10.0.0.0/8', '::ffff:10.0.0.0/104'],
    ['192.0.2.1', '::ffff:192.0.2.1/128'],
    ['0.0.0.0/0', '::ffff:0:0/96'],
    ['::ffff:0:0/96', '::ffff:0:0/96'],
    ['::ffff:0.0.0.0/96', '::ffff:0:0/96'],
    ['::ffff:0.0.0.0/97', '::ffff:0.0.0.0/97'],
    ['2001:db8::/129', 'expected a prefix length from 0 to 128'],
    ['10.0.0.0/33', 'expected a prefix length from 0 to 32'],
    ['2001:db8::1/64', 'expected no bits beyond the prefix length, as in "2001:db8::/64"'],
    ['10.0.0.1/8', 'expected no bits beyond the prefix length, as in "::ffff:10.0.0.0/104"'],
    ['fe80::%eth0/10', 'expected an address or a prefix such as "2001:db8::/32"'],
    ['::/0/0', 'expected an address or a prefix such as "2001:db8::/32"'],
    ['example.org', 'expected an address or a prefix such as "2001:db8::/32"'],
    ['::/', 'expected a prefix length from 0 to 128'],
    ['::/-1', 'expected a prefix length from 0 to 128'],
  ])('%s is %s', (text, expected) => expect(prefixOf(text)).toBe(expected));

  it('contain an address where all their bits are the same, and no other', () => {
    const random = new SeededRandom(7);
    for (let i = 0; i < 2000; i++) {
      const address = random.bytes(16);
      const length = random.between(0, 128);
      const prefix = policyPrefix(address, length);
      expect(prefixContains(prefix, address)).toBe(true);
      const bit = random.between(0, 127);
      const other = address.map((byte, at) => (at === bit >> 3 ? byte ^ (0x80 >> (bit & 7)) : byte));
      expect(commonBits(address, other)).toBe(bit);
      expect(prefixContains(prefix, other)).toBe(bit >= length);
    }
  });
});

describe('a policy table', () => {
  const table = new PolicyTable(RFC_6724_ENTRIES);

  it.each([
    ['::1', 0, 50, 2],
    ['2001:db8::1', 1, 40, 14],
    ['192.0.2.1', 4, 35, 14],
    ['10.0.0.1', 4, 35, 14],
    ['169.254.1.1', 4, 35, 2],
    ['127.0.0.1', 4, 35, 2],
    ['::ffff:192.0.2.1', 4, 35, 14],
    ['2002::1', 2, 30, 14],
    ['2001::1', 5, 5, 14],
    ['fd00::1', 13, 3, 14],
    ['::2', 3, 1, 14],
    ['fec0::1', 11, 1, 5],
    ['3ffe::1', 12, 1, 14],
    ['fe80::1', 1, 40, 2],
    ['ff02::1', 1, 40, 2],
    ['ff05::1', 1, 40, 5],
    ['ff08::1', 1, 40, 8],
    ['ff3e::4321:1234', 1, 40, 14],
    ['224.0.0.1', 4, 35, 14],
  ])('of RFC 6724 gives %s label %i, precedence %i, scope %i', (ip, label, precedence, scope) => {
    const address = ipv6Form(ip);
    expect([table.labelOf(address), table.precedenceOf(address), table.scopeOf(address)]).toEqual([
      label,
      precedence,
      scope,
    ]);
  });

  it('looks labels and precedences up apart', () => {
    const own = new PolicyTable([entry('::/0 1 40'), entry('2001:db8::/32 9 -'), entry('2001:db8:1::/48 - 70')]);
    const at = (ip: string): number[] => [own.labelOf(ipv6Form(ip)), own.precedenceOf(ipv6Form(ip))];
    expect(at('2001:db8:1::1')).toEqual([9, 70]);
    expect(at('2001:db8:2::1')).toEqual([9, 40]);
  });

  it('says so where nothing is given', () => {
    const empty = new PolicyTable();
    expect(empty.labelOf(ipv6Form('::1'))).toBe(NO_LABEL);
    expect(empty.precedenceOf(ipv6Form('::1'))).toBe(NO_PRECEDENCE);
  });

  it('takes the longest prefix first, then the entry of the interface', () => {
    const own = new PolicyTable([
      entry('::/0 1 1'),
      entry('2001:db8::/32 2 2'),
      entry('2001:db8::/32 3 3 eth1'),
      entry('2001:db8:1::/48 4 4'),
    ]);
    const label = (ip: string, interfaceName?: string): number => own.labelOf(ipv6Form(ip), interfaceName);
    expect([label('2001:db8::1'), label('2001:db8::1', 'eth0'), label('2001:db8::1', 'eth1')]).toEqual([2, 2, 3]);
    expect([label('2001:db8:1::1', 'eth1'), label('::1', 'eth1')]).toEqual([4, 1]);
  });

  it('agrees with a look at every entry, for any entries', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = new SeededRandom(seed);
      const address = random.bytes(16);
      const entries = new Map(
        Array.from({ length: random.between(0, 40) }, () => {
          const prefix = policyPrefix(random.chance(0.5) ? address : random.bytes(16), random.between(0, 128));
          const label = random.chance(0.8) ? random.between(0, 99) : undefined;
          return [prefix.text, { prefix, interfaceName: undefined, label, precedence: undefined }] as const;
        }),
      );
      const matching = [...entries.values()].filter(
        ({ prefix, label }) => label !== undefined && prefixContains(prefix, address),
      );
      const longest = matching.sort((a, b) => b.prefix.length - a.prefix.length)[0];
      expect(new PolicyTable([...entries.values()]).labelOf(address), `seed ${seed}`).toBe(longest?.label ?? NO_LABEL);
    }
  });

  it('counts its changes, and only those', () => {
    const own = new PolicyTable(RFC_6724_ENTRIES);
    const seen = [own.generation];
    const act = (change: () => void): void => {
      change();
      seen.push(own.generation);
    };
    act(() => own.set(entry('::/0 1 40')));
    act(() => own.set(entry('::/0 1 41')));
    act(() => own.set(entry('2001:db8::/32 9 9 eth0')));
    act(() => own.delete(entry('2001:db8::/32').prefix));
    act(() => own.delete(entry('2001:db8::/32').prefix, 'eth0'));
    act(() => own.replace(own.entries.toReversed()));
    act(() => own.replace(RFC_6724_ENTRIES));
    expect(seen).toEqual([0, 0, 1, 2, 2, 3, 3, 4]);
    expect(own.delete(entry('::/0').prefix)).toBe(true);
    expect(own.delete(entry('::/0').prefix)).toBe(false);
  });

  it('refuses what it can not say, and is as it was', () => {
    const own = new PolicyTable(RFC_6724_ENTRIES);
    const wrong =
      (...texts: string[]): (() => void) =>
      () =>
        own.replace(texts.map(entry));
    expect(wrong('::/0 4294967295 1')).toThrow('policy table: ::/0: found label 4294967295');
    expect(wrong('::/0 -1 1')).toThrow(UsageError);
    expect(wrong('::/0 1.5 1')).toThrow(UsageError);
    expect(wrong(`::/0 1 ${HIGHEST_PRECEDENCE + 1}`)).toThrow('precedence');
    expect(wrong('::/0 1 1', '::/0 2 2')).toThrow('policy table: ::/0 is there twice');
    expect(wrong('10.0.0.0/8 1 1 eth0', '::ffff:10.0.0.0/104 2 2 eth0')).toThrow(
      '::ffff:10.0.0.0/104 dev eth0 is there',
    );
    const many = Array.from({ length: ENTRY_LIMIT + 1 }, (_, i) => entry(`2001:db8::${i.toString(16)}/128 1 1`));
    expect(() => own.replace(many)).toThrow(`more than ${ENTRY_LIMIT} entries`);
    expect(() => own.replace(many.slice(1))).not.toThrow();
    own.replace(RFC_6724_ENTRIES);
    wrong(`::/0 ${NO_LABEL - 1} ${HIGHEST_PRECEDENCE}`)();
    expect(own.labelOf(ipv6Form('::1'))).toBe(NO_LABEL - 1);
  });

  it('can be made of labels and precedences', () => {
    const glibc = mergeEntries(GLIBC_LABELS, GLIBC_PRECEDENCES);
    expect(glibc.map(({ prefix, label, precedence }) => [prefix.text, label, precedence])).toEqual([
      ['::1/128', 0, 50],
      ['::/0', 1, 40],
      ['2002::/16', 2, 30],
      ['::/96', 3, 20],
      ['::ffff:0:0/96', 4, 10],
      ['fec0::/10', 5, undefined],
      ['fc00::/7', 6, undefined],
      ['2001::/32', 7, undefined],
    ]);
  });
});
