/** Source address selection, case by case: every example of RFC 6724 section 10.1, then rule by rule. */
import { describe, expect, it } from 'vitest';
import { RFC_6724_ENTRIES } from '../../src/addrsel/default-tables.ts';
import { LINUX_SOURCE, RFC_6724_SOURCE, ROAMING_SOURCE, type SourceDialect } from '../../src/addrsel/dialect.ts';
import { PolicyTable } from '../../src/addrsel/policy-table.ts';
import { explainSource, selectSource } from '../../src/addrsel/select-source.ts';
import { UsageError } from '../../src/core/errors.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { entry, source } from './addresses.ts';

const table = new PolicyTable(RFC_6724_ENTRIES);
const HOST: SourceDialect = { ...RFC_6724_SOURCE, candidates: 'host' };

/** Both ways round, since no case may depend on the order given. */
function check(
  to: string,
  better: string,
  worse: string,
  rule: string,
  options: { dialect?: SourceDialect; table?: PolicyTable; nextHop?: string; interfaceName?: string } = {},
): void {
  const { dialect = RFC_6724_SOURCE, nextHop, interfaceName = 'eth0' } = options;
  const pair = [source(better), source(worse)];
  for (const addresses of [pair, pair.toReversed()]) {
    const { chosen, beaten } = explainSource(
      { ip: to, interfaceName, nextHop },
      addresses,
      options.table ?? table,
      dialect,
    );
    expect({ chosen, rules: beaten.map((other) => other.rule) }).toEqual({ chosen: pair[0], rules: [rule] });
  }
}

describe('the examples of RFC 6724 section 10.1', () => {
  it.each([
    ['2001:db8:1::1', '2001:db8:3::1', 'fe80::1', '2'],
    ['ff05::1', '2001:db8:3::1', 'fe80::1', '2'],
    ['2001:db8:1::1', '2001:db8:1::1 deprecated', '2001:db8:2::1', '1'],
    ['fe80::1', 'fe80::2 deprecated', '2001:db8:1::1', '2'],
    ['2001:db8:1::1', '2001:db8:1::2', '2001:db8:3::2', '8'],
    ['2001:db8:1::1', '2001:db8:3::2 home', '2001:db8:1::2 careOf', '4'],
    ['2002:c633:6401::1', '2002:c633:6401::d5e3:7953:13eb:22e8 temporary', '2001:db8:1::2', '6'],
    ['2001:db8:1::d5e3:0:0:1', '2001:db8:1::d5e3:7953:13eb:22e8 temporary', '2001:db8:1::2', '7'],
  ])('to %s: %s rather than %s, by rule %s', (to, better, worse, rule) => check(to, better, worse, rule));
});

describe('each rule', () => {
  it.each([
    // 1, before everything else
    ['fe80::9', 'fe80::9 deprecated careOf', 'fe80::8 home', '1'],
    ['2001:db8::5', '2001:db8::5 eth1', '2001:db8::6 eth0', '1'],
    ['192.0.2.5', '192.0.2.5 deprecated', '192.0.2.6', '1'],
    ['0:0:0::1', '::1/128 lo', '2001:db8::1', '1'],
    // 2: large enough, then the smallest; otherwise the largest
    ['ff0e::1', '2001:db8::1', 'fec0::1', '2'],
    ['ff05::1', 'fec0::1', '2001:db8::1', '2'],
    ['ff02::1', 'fe80::1', 'fec0::1', '2'],
    ['2001:db8::9', 'fec0::1', 'fe80::1', '2'],
    ['fec0::9', 'fec0::1', '2001:db8::1', '2'],
    ['198.51.100.1', '10.0.0.1', '169.254.3.4', '2'],
    ['169.254.1.1', '169.254.3.4', '10.0.0.1', '2'],
    // 3
    ['2001:db8:1::1', '2001:db8:3::2', '2001:db8:1::2 deprecated', '3'],
    ['2001:db8:1::1', '2001:db8:3::2 careOf', '2001:db8:1::2 deprecated home', '3'],
    // 4
    ['2001:db8:1::1', '2001:db8:3::2 home careOf', '2001:db8:1::2 home', '4'],
    ['2001:db8:1::1', '2001:db8:3::2 home careOf', '2001:db8:1::2 careOf', '4'],
    ['2001:db8:1::1', '2001:db8:3::2 home', '2001:db8:1::2', '4'],
    ['2001:db8:1::1', '2001:db8:3::2', '2001:db8:1::2 careOf', '4'],
    // 6
    ['2001:db8:1::1', '2001:db8:3::2', 'fd00::1', '6'],
    ['fd00:1::1', 'fd00:2::1', '2001:db8:1::2', '6'],
    ['2001:0:1::1', '2001:0:2::1', '2001:db8:1::2', '6'],
    ['3ffe::1', '3ffe:1::1', '2001:db8:1::2', '6'],
    ['2001:db8:1::1', '2001:db8:3::2', '2002:db8:1::2 temporary', '6'],
    // 7
    ['2001:db8:1::1', '2001:db8:3::2 temporary', '2001:db8:1::2', '7'],
    // 8: bits beyond the prefix don't count
    ['2001:db8:1::1:2', '2001:db8:1::7/64', '2001:db8:1:1::1:2/64', '8'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::1/64', '2001:db8:1:2:3::1/63', '8'],
    ['2001:db8:1::1', '2001:db8:1::2', '2001:db8:9::2', '8'],
    ['10.1.2.3', '10.1.0.9/16', '10.7.0.9/16', '8'],
    ['10.1.2.3', '10.1.2.9/24', '10.1.2.8/16', '8'],
  ])('to %s: %s rather than %s, by rule %s', (to, better, worse, rule) =>
    check(to, better, worse, rule, { dialect: HOST }),
  );

  it('5: the outgoing interface, where all interfaces give candidates', () => {
    check('2001:db8:1::1', '2001:db8:3::2 eth0', '2001:db8:1::2 eth1', '5', { dialect: HOST });
    check('2001:db8:1::1', '2001:db8:1::2 eth1', '2001:db8:3::2 eth0', '5', { dialect: HOST, interfaceName: 'eth1' });
  });

  it('5 comes behind 6 where routes go by the source, and before 8', () => {
    const labelled = new PolicyTable([entry('2001:db8:1::/48 7'), entry('2001:db8:2::/48 7')]);
    const options = { dialect: ROAMING_SOURCE, table: labelled };
    check('2001:db8:1::1', '2001:db8:2::2 eth1', '2001:db8:3::2 eth0', '6', options);
    check('2001:db8:1::1', '2001:db8:2::2 eth0', '2001:db8:1::2 eth1', '5', options);
  });

  it('5.5: the prefix that the next hop advertised, where next hops are known', () => {
    const nextHop = 'fe80::a';
    check('2001:db8:1::1', '2001:db8:3::2 by=fe80::a', '2001:db8:1::2 by=fe80::b', '5.5', { nextHop });
    check('2001:db8:1::1', '2001:db8:3::2 by=fe80::a', '2001:db8:1::2', '5.5', { nextHop });
    check('2001:db8:1::1', '2001:db8:1::2 by=fe80::b', '2001:db8:3::2 by=fe80::c', '8', { nextHop });
    check('2001:db8:1::1', '2001:db8:1::2 by=fe80::b', '2001:db8:3::2 by=fe80::a', '8');
  });

  it('6: labels of an interface go before labels of any', () => {
    const own = new PolicyTable([entry('::/0 1 1'), entry('2001:db8:3::/48 7 -'), entry('2001:db8:3::/48 1 - eth0')]);
    check('2001:db8:1::1', '2001:db8:3::2 eth0', '2001:db8:3::2 eth1', '6', {
      dialect: HOST,
      table: own,
      interfaceName: 'eth2',
    });
  });

  it('7: reversed where public addresses are wanted, for all or by interface', () => {
    check('2001:db8:1::1', '2001:db8:3::2', '2001:db8:1::2 temporary', '7', {
      dialect: { ...RFC_6724_SOURCE, temporary: 'avoid' },
    });
    check('2001:db8:1::1', '2001:db8:3::2', '2001:db8:1::2 temporary', '7', { dialect: LINUX_SOURCE });
    check('2001:db8:1::1', '2001:db8:3::2 temporary temporaryPreferred', '2001:db8:1::2 temporaryPreferred', '7', {
      dialect: LINUX_SOURCE,
    });
  });

  it("between 7 and 8: Linux's separation of ORCHIDs", () => {
    const flat = new PolicyTable([entry('::/0 1 1')]);
    check('2001:10::1', '2001:1f:3::2', '2001::2', 'orchid', { dialect: LINUX_SOURCE, table: flat });
    check('2001:db8::1', '3ffe::2', '2001:10:3::2', 'orchid', { dialect: LINUX_SOURCE, table: flat });
    check('2001:db8::1', '2001:10:3::2', '3ffe::2', '8', { table: flat });
  });
});

describe('candidates', () => {
  const excluded = (to: string, address: string, dialect: SourceDialect = HOST): string | undefined =>
    explainSource({ ip: to, interfaceName: 'eth0' }, [source(address)], table, dialect).excluded[0]?.why;

  it.each([
    ['2001:db8::1', '192.0.2.1', 'other family'],
    ['192.0.2.1', '2001:db8::1', 'other family'],
    ['::ffff:192.0.2.1', '2001:db8::1', 'other family'],
    ['::ffff:192.0.2.1', '192.0.2.9', undefined],
    ['2001:db8::1', '2001:db8::2 tentative', 'tentative'],
    ['2001:db8::1', 'ff02::1', 'not a unicast address'],
    ['2001:db8::1', '::', 'not a unicast address'],
    ['192.0.2.1', '0.0.0.0', 'not a unicast address'],
    ['192.0.2.1', '224.0.0.1', 'not a unicast address'],
    ['2001:db8::1', '2001:db8::2 eth1', undefined],
    ['fe80::1', 'fe80::2 eth1', 'on another interface than the outgoing one'],
    ['ff0e::1', '2001:db8::2 eth1', 'on another interface than the outgoing one'],
    ['239.1.1.1', '192.0.2.1 eth1', 'on another interface than the outgoing one'],
  ])('to %s: is %s one?', (to, address, why) => {
    expect(excluded(to, address)).toBe(why);
  });

  it("are the outgoing interface's, and the destination itself", () => {
    expect(excluded('2001:db8::1', '2001:db8::2 eth1', RFC_6724_SOURCE)).toBe(
      'on another interface than the outgoing one',
    );
    expect(excluded('2001:db8::1', '2001:db8::1 eth1', RFC_6724_SOURCE)).toBeUndefined();
  });

  it('do not take a link-local address for the same one on another link', () => {
    expect(excluded('fe80::1', 'fe80::1 eth1')).toBe('on another interface than the outgoing one');
  });

  it('follow the zone of a link-local destination', () => {
    const both = [source('fe80::1 eth0'), source('fe80::1 eth1')];
    expect(selectSource({ ip: 'fe80::9%eth1' }, both, table)).toBe(both[1]);
    expect(selectSource({ ip: 'fe80::9%eth0' }, both, table)).toBe(both[0]);
  });

  it('may be none', () => {
    expect(selectSource({ ip: '2001:db8::1' }, [], table)).toBeUndefined();
    expect(selectSource({ ip: '2001:db8::1' }, [source('192.0.2.1')], table)).toBeUndefined();
  });

  it('must be addresses', () => {
    expect(() => selectSource({ ip: '2001:db8::g' }, [], table)).toThrow(UsageError);
    expect(() => selectSource({ ip: '2001:db8::1' }, [{ ...source('::1'), ip: 'x' }], table)).toThrow(UsageError);
  });
});

describe('selection as a whole', () => {
  const IPS = [
    '2001:db8:1::',
    '2001:db8:2::',
    'fe80::',
    'fd00::',
    '2002:c000:201::',
    'fec0::',
    '2001:10::',
    '2001:0::',
  ];
  const WORDS = ['deprecated', 'temporary', 'home', 'careOf', 'eth1', 'by=fe80::a', 'by=fe80::b', 'temporaryPreferred'];

  it('does not depend on the order of the candidates, unless no rule tells them apart; and the best beats all', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = new SeededRandom(seed);
      const addresses = Array.from({ length: random.between(1, 8) }, (_, i) =>
        source(
          [`${random.pick(IPS)}${i + 1}/${random.pick([48, 64, 128])}`, ...WORDS.filter(() => random.chance(0.3))].join(
            ' ',
          ),
        ),
      );
      const question = { ip: `${random.pick(IPS)}99`, interfaceName: 'eth0', nextHop: 'fe80::a' };
      const dialect = random.pick([RFC_6724_SOURCE, HOST, LINUX_SOURCE]);
      const first = explainSource(question, addresses, table, dialect);
      const shuffled = addresses.toSorted(() => random.fraction() - 0.5);
      const second = explainSource(question, shuffled, table, dialect);
      const tied = first.beaten.filter(({ rule }) => rule === 'order').map(({ address }) => address);
      expect([first.chosen, ...tied], `seed ${seed}`).toContain(second.chosen);
      expect(first.beaten.length + first.excluded.length + (first.chosen ? 1 : 0)).toBe(addresses.length);
      for (const { address, rule } of first.beaten) {
        if (rule === 'order' || first.chosen === undefined) continue;
        expect(selectSource(question, [address, first.chosen], table, dialect), `seed ${seed}`).toBe(first.chosen);
      }
    }
  });
});
