/** Destination address selection: every example of RFC 6724 sections 10.2 to 10.7, each rule, and the order as such. */
import { describe, expect, it } from 'vitest';
import { RFC_6724_ENTRIES } from '../../src/addrsel/default-tables.ts';
import type { Destination } from '../../src/addrsel/destination-rules.ts';
import { type DestinationDialect, GLIBC_DESTINATION, RFC_6724_DESTINATION } from '../../src/addrsel/dialect.ts';
import { PolicyTable } from '../../src/addrsel/policy-table.ts';
import { selectSource } from '../../src/addrsel/select-source.ts';
import { explainDestinations, sortDestinations } from '../../src/addrsel/sort-destinations.ts';
import { UsageError } from '../../src/core/errors.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { destination, entry, source } from './addresses.ts';

const table = new PolicyTable(RFC_6724_ENTRIES);
const changed = (...changes: readonly string[]): PolicyTable => {
  const own = new PolicyTable(RFC_6724_ENTRIES);
  for (const change of changes) own.set(entry(change));
  return own;
};

/**
 * One example: the sources, the two results in their order as `destination from source`, and the rule that decides.
 * Sources are chosen by section 5 of the RFC. Both ways round.
 */
type Example = readonly [sources: readonly string[], best: string, other: string, rule: string];

function checkExample([sources, best, other, rule]: Example, own = table): void {
  const addresses = sources.map(source);
  const ips = [best, other].map((result) => result.split(' ')[0] ?? '');
  const destinations = ips.map((ip): Destination => ({ ip, source: selectSource({ ip }, addresses, own) }));
  for (const given of [destinations, destinations.toReversed()]) {
    const sorted = explainDestinations(given, own);
    const results = sorted.map(({ destination: { ip, source: from } }) => `${ip} from ${from?.ip}`);
    expect([...results, sorted[0]?.beforeNext?.rule]).toEqual([best, other, rule]);
  }
}

describe('the examples of RFC 6724 section 10.2', () => {
  const SIX = '2001:db8:1::1 from 2001:db8:1::2';
  const LINK = 'fe80::1 from fe80::2';
  const SIX_TO_FOUR = '2002:c633:6401::1 from 2002:c633:6401::2';
  it.each<Example>([
    [['2001:db8:1::2', 'fe80::1', '169.254.13.78'], SIX, '198.51.100.121 from 169.254.13.78', '2'],
    [['fe80::1', '198.51.100.117'], '198.51.100.121 from 198.51.100.117', '2001:db8:1::1 from fe80::1', '2'],
    [['2001:db8:1::2', 'fe80::1', '10.1.2.4'], SIX, '10.1.2.3 from 10.1.2.4', '6'],
    [['2001:db8:1::2', 'fe80::2'], LINK, SIX, '8'],
    [['2001:db8:1::2 careOf', '2001:db8:3::1 home', 'fe80::2 careOf'], '2001:db8:1::1 from 2001:db8:3::1', LINK, '4'],
    [['2001:db8:1::2', 'fe80::2 deprecated'], SIX, LINK, '3'],
    [['2001:db8:1::2', '2001:db8:3f44::2', 'fe80::2'], SIX, '2001:db8:3ffe::1 from 2001:db8:3f44::2', '9'],
    [['2002:c633:6401::2', 'fe80::2'], SIX_TO_FOUR, '2001:db8:1::1 from 2002:c633:6401::2', '5'],
    [['2002:c633:6401::2', '2001:db8:1::2', 'fe80::2'], SIX, SIX_TO_FOUR, '6'],
  ])('from %j: %s before %s, by rule %s', (...example) => checkExample(example));
});

describe('the configurations of RFC 6724 sections 10.3 to 10.7', () => {
  it('10.3: IPv4 preferred', () => {
    const own = changed('::ffff:0:0/96 4 100');
    const six = '2001:db8::1 from 2001:db8::2';
    const private4 = '10.1.2.3 from 10.1.2.4';
    checkExample([['2001:db8::2', 'fe80::1', '169.254.13.78'], six, '198.51.100.121 from 169.254.13.78', '2'], own);
    const unscoped = '2001:db8::1 from fe80::1';
    checkExample([['fe80::1', '198.51.100.117'], '198.51.100.121 from 198.51.100.117', unscoped, '2'], own);
    checkExample([['2001:db8::2', 'fe80::1', '10.1.2.4'], private4, six, '6'], own);
    checkExample([['2001:db8::2', 'fe80::1', '10.1.2.4'], six, private4, '6']);
  });

  it('10.4: global destinations before link-local ones', () => {
    const own = changed('fe80::/10 1 33');
    const [global, link] = ['2001:db8::1 from 2001:db8::2', 'fe80::1 from fe80::2'];
    checkExample([['2001:db8::2', 'fe80::2'], global, link, '6'], own);
    checkExample([['2001:db8::2', 'fe80::2'], link, global, '8']);
    checkExample([['2001:db8::2 deprecated', 'fe80::2'], link, global, '3'], own);
  });

  it('10.5: two sites that have a provider between them, and use it for nothing else', () => {
    const own = changed('2001:db8:1aaa::/48 6 43', '2001:db8:1bbb::/48 6 43');
    const sources = ['2001:db8:1aaa::a', '2001:db8:70aa::a', 'fe80::a'];
    const between = '2001:db8:1bbb::b from 2001:db8:1aaa::a';
    const normal = '2001:db8:70bb::b from 2001:db8:70aa::a';
    const third = '2001:db8:6ccc::c from 2001:db8:70aa::a';
    checkExample([sources, normal, between, '9']);
    checkExample([sources, '2001:db8:1ccc::c from 2001:db8:1aaa::a', third, '9']);
    checkExample([sources, between, normal, '6'], own);
    checkExample([sources, third, '2001:db8:1ccc::c from 2001:db8:70aa::a', '9'], own);
  });

  it('10.6: unique local addresses of the own site before others', () => {
    const own = changed('fd11:1111:1111::/48 14 45');
    const sources = ['2001:db8:1::1', 'fd11:1111:1111:1::1'];
    const global = '2001:db8:2::2 from 2001:db8:1::1';
    const foreign = 'fd22:2222:2222:2::2 from fd11:1111:1111:1::1';
    checkExample([sources, global, foreign, '6']);
    // The RFC says "higher precedence" here too, but the labels 13 and 14 differ, which rule 5 looks at first.
    checkExample([sources, global, foreign, '5'], own);
    checkExample([sources, 'fd11:1111:1111:2::2 from fd11:1111:1111:1::1', global, '6'], own);
    // "ff00:1" in the RFC.
    expect(selectSource({ ip: 'ff00::1' }, sources.map(source), table)?.ip).toBe('2001:db8:1::1');
    expect(selectSource({ ip: 'ff00::1' }, sources.map(source), own)?.ip).toBe('2001:db8:1::1');
  });

  it('10.7: 6to4 within the own site before NATed IPv4', () => {
    const own = changed('2002:c633:6401::/48 14 45');
    const natted = '203.0.113.1 from 10.1.2.3';
    const relayed = '2001:db8:1::1 from 2002:c633:6401::2';
    checkExample([['2002:c633:6401::2', '10.1.2.3'], natted, relayed, '5']);
    const sources = ['2002:c633:6401:1::1', '10.1.2.3'];
    const native = '2002:c633:6401:2::2 from 2002:c633:6401:1::1';
    checkExample([sources, natted, native, '6']);
    checkExample([sources, native, natted, '6'], own);
  });
});

describe('each rule', () => {
  const checkPair = (best: string, other: string, rule: string, dialect = RFC_6724_DESTINATION, own = table): void => {
    const pair = [destination(best), destination(other)];
    for (const given of [pair, pair.toReversed()]) {
      const [first] = explainDestinations(given, own, dialect);
      expect([first?.destination, first?.beforeNext?.rule]).toEqual([pair[0], rule]);
    }
  };

  it.each([
    // 1
    ['192.0.2.1 <- 192.0.2.2', '2001:db8::1', '1'],
    ['192.0.2.1 <- 192.0.2.2', '2001:db8::1 unreachable <- 2001:db8::2', '1'],
    ['fec0::1 <- 2001:db8::2 deprecated', '2001:db8::1', '1'],
    // 1 says nothing of two that are unusable: what doesn't ask for the source decides
    ['2001:db8::1', '192.0.2.1', '6'],
    ['fe80::1', '2001:db8::1', '8'],
    // 2
    ['fe80::1 <- fe80::2', '2001:db8::1 <- fe80::2', '2'],
    ['10.1.1.1 <- 10.1.1.2', '2001:db8::1 <- fec0::2', '2'],
    ['2001:db8::1 <- 2001:db8::2', '10.1.1.1 <- 169.254.1.1', '2'],
    ['127.0.0.1 <- 127.0.0.1/8', '2001:db8::1 <- fe80::1', '2'],
    ['ff05::1 <- fec0::2', '2001:db8::1 <- fec0::2', '2'],
    // 3
    ['192.0.2.1 <- 192.0.2.2', '2001:db8::1 <- 2001:db8::2 deprecated', '3'],
    ['2001:db8::1 <- 2001:db8::2', '192.0.2.1 <- 192.0.2.2 deprecated', '3'],
    // 4
    ['2001:db8::1 <- 2001:db8::2 home careOf', '2001:db8:1::1 <- 2001:db8:1::2 home', '4'],
    ['2001:db8::1 <- 2001:db8::2 home', '2001:db8:1::1 <- 2001:db8:1::2 careOf', '4'],
    // 5
    ['192.0.2.1 <- 192.0.2.2', '2001:db8::1 <- fd00::2', '5'],
    ['fd00::1 <- fd00::2', '2001:db8::1 <- fd00::2', '5'],
    ['2002:1::1 <- 2002:1::2', '2001:db8::1 <- 2002:1::2', '5'],
    // 6
    ['::1 <- ::1/128 lo', '2001:db8::1 <- 2001:db8::2', '6'],
    ['2001:db8::1 <- 2001:db8::2', '192.0.2.1 <- 192.0.2.2', '6'],
    ['192.0.2.1 <- 192.0.2.2', '2002:1::1 <- 2002:1::2', '6'],
    ['192.0.2.1 <- 192.0.2.2', 'fd00::1 <- fd00::2', '6'],
    ['2002:1::1 <- 2002:1::2', '2001:0:1::1 <- 2001:0:1::2', '6'],
    ['2001:0:1::1 <- 2001:0:1::2', 'fd00::1 <- fd00::2', '6'],
    ['fd00::1 <- fd00::2', '3ffe::1 <- 3ffe::2', '6'],
    // 7
    ['2001:db8::1 <- 2001:db8:9::2', '2001:db8:1::1 encapsulated <- 2001:db8:1::2', '7'],
    // 8
    ['fe80::1 <- fe80::2', '2001:db8::1 <- 2001:db8::2', '8'],
    ['169.254.1.1 <- 169.254.1.2/16', '10.1.1.1 <- 10.1.1.2', '8'],
    ['ff02::1 <- fe80::2', 'ff0e::1 <- 2001:db8::2', '8'],
    // 9
    ['2001:db8:1::1 <- 2001:db8:1::2', '2001:db8:2::1 <- 2001:db8:1::2', '9'],
    ['10.1.2.1 <- 10.1.2.2', '10.9.2.1 <- 10.1.2.2', '9'],
    ['::ffff:10.1.2.1 <- 10.1.2.2', '10.9.2.1 <- 10.1.2.2', '9'],
  ])('%s before %s, by rule %s', (best, other, rule) => checkPair(best, other, rule));

  it('6: precedences of an interface go before precedences of any', () => {
    const own = changed('2001:db8::/32 1 60 eth1');
    checkPair('2001:db8::1 eth1 <- 2001:db8::2 eth1', '2001:db8::3 eth0 <- 2001:db8::2', '6', undefined, own);
  });

  it('9: bits beyond the prefix of the source count for glibc only', () => {
    const [near, far] = ['2001:db8::1:1 <- 2001:db8::1:2', '2001:db8::2:1 <- 2001:db8::1:2'].map(destination);
    if (near === undefined || far === undefined) throw new Error('two destinations');
    expect(explainDestinations([far, near], table)[0]).toMatchObject({ destination: far, beforeNext: { rule: '10' } });
    expect(sortDestinations([far, near], table, GLIBC_DESTINATION)).toEqual([near, far]);
  });

  it('9: of IPv4, for glibc only within the subnet', () => {
    const [near, far] = ['10.1.0.1 <- 10.1.2.2', '10.9.0.1 <- 10.1.2.2'].map(destination);
    const here = destination('10.1.2.1 <- 10.1.2.2');
    if (near === undefined || far === undefined) throw new Error('two destinations');
    expect(sortDestinations([far, near], table)).toEqual([near, far]);
    expect(sortDestinations([far, near, here], table, GLIBC_DESTINATION)).toEqual([here, far, near]);
  });

  it('10: the order as given', () => {
    const same = ['2001:db8::1:1 <- 2001:db8::2', '2001:db8::2:1 <- 2001:db8::2', '2001:db8::3:1 <- 2001:db8::2'];
    const given = same.map(destination);
    expect(sortDestinations(given, table)).toEqual(given);
    expect(sortDestinations(given.toReversed(), table)).toEqual(given.toReversed());
  });

  it('no address is no destination', () => {
    expect(() => sortDestinations([{ ip: '2001:db8::/32', source: undefined }], table)).toThrow(UsageError);
  });
});

describe('destinations that are each better than the next', () => {
  // Precedences made equal: far before IPv4 and IPv4 before near by rule 10, near before far by rule 9.
  const own = changed('::ffff:0:0/96 4 40');
  const [far, ipv4, near] = [
    destination('2001:db8:9::1 <- 2001:db8:1::2'),
    destination('192.0.2.1 <- 192.0.2.2'),
    destination('2001:db8:1::1 <- 2001:db8:1::2'),
  ] as const;

  it('keep the places of their families', () => {
    expect(sortDestinations([far, ipv4, near], own)).toEqual([near, ipv4, far]);
    expect(sortDestinations([ipv4, far, near], own)).toEqual([ipv4, near, far]);
  });

  it('come as from a merge sort where that is asked for', () => {
    expect(sortDestinations([far, ipv4, near], own, GLIBC_DESTINATION)).toEqual([far, ipv4, near]);
    expect(sortDestinations([far, near, ipv4], own, GLIBC_DESTINATION)).toEqual([near, far, ipv4]);
  });
});

describe('the order as such', () => {
  const DESTINATIONS = ['2001:db8:1::', '2001:db8:2::', 'fe80::', 'fd00::', '2002:c000:201::', 'ff0e::', '2001:0::'];
  const IPV4 = ['192.0.2.', '10.1.2.', '169.254.3.', '198.51.100.', '10.1.3.'];
  const WORDS = ['deprecated', 'home', 'careOf'];

  function draw(random: SeededRandom): { given: Destination[]; own: PolicyTable; dialect: DestinationDialect } {
    const draws = Array.from({ length: random.between(1, 40) }, (_, i): Destination => {
      const isIpv4 = random.chance(0.4);
      const ips = isIpv4 ? IPV4 : DESTINATIONS;
      const flags = WORDS.filter(() => random.chance(0.15)).join(' ');
      const from = source(
        `${random.pick(ips)}200/${isIpv4 ? random.pick([8, 16, 24]) : random.pick([48, 64])} ${flags}`,
      );
      return {
        ip: `${random.pick(ips)}${i + 1}`,
        source: random.chance(0.1) ? undefined : from,
        encapsulated: random.chance(0.1),
        unreachable: random.chance(0.05),
      };
    });
    const own = random.chance(0.5) ? table : changed('::ffff:0:0/96 1 40', '::/0 1 40', 'fc00::/7 1 40');
    return { given: draws, own, dialect: random.pick([RFC_6724_DESTINATION, GLIBC_DESTINATION]) };
  }

  it('has every destination once, and each before those that rules 1 to 8 find worse', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { given, own, dialect } = draw(new SeededRandom(seed));
      const sorted = sortDestinations(given, own, dialect);
      expect(new Set(sorted), `seed ${seed}`).toEqual(new Set(given));
      expect(sorted).toHaveLength(given.length);
      for (const [i, before] of sorted.entries()) {
        for (const after of sorted.slice(i + 1)) {
          const [pair] = explainDestinations([after, before], own, dialect);
          // Alone, the two may come the other way round by rules 9 and 10 only (a circle).
          if (pair?.destination !== before) expect(['9', '10'], `seed ${seed}`).toContain(pair?.beforeNext?.rule);
        }
      }
    }
  });

  it('is an order within a family, and stable, and sorting again changes nothing', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const { given, own } = draw(new SeededRandom(seed));
      const sorted = sortDestinations(given, own);
      expect(sortDestinations(sorted, own), `seed ${seed}`).toEqual(sorted);
      for (const [i, before] of sorted.entries()) {
        for (const after of sorted.slice(i + 1)) {
          if (before.ip.includes(':') !== after.ip.includes(':')) continue;
          const [pair] = explainDestinations([after, before], own);
          const tied = pair?.beforeNext?.rule === '10';
          if (tied) expect(given.indexOf(before), `seed ${seed}`).toBeLessThan(given.indexOf(after));
          else expect(pair?.destination, `seed ${seed}`).toBe(before);
        }
      }
    }
  });
});
