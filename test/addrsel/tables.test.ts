/** Tables as text: gai.conf, JSON, `ip addrlabel`; and what differs between them. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readAddrlabelList, writeAddrlabelCommands } from '../../src/addrsel/addrlabel.ts';
import { LINUX_LABELS, RFC_6724_ENTRIES } from '../../src/addrsel/default-tables.ts';
import {
  type GaiConf,
  glibcDefaults,
  readGaiConf,
  TABLE_FILE_LIMIT_BYTES,
  writeGaiConf,
} from '../../src/addrsel/gai-conf.ts';
import { ipv6Form } from '../../src/addrsel/ipv6-form.ts';
import { readPolicyJson, writePolicyJson } from '../../src/addrsel/policy-json.ts';
import { policyPrefix } from '../../src/addrsel/policy-prefix.ts';
import { PolicyTable } from '../../src/addrsel/policy-table.ts';
import { diffTables, groupsAlike } from '../../src/addrsel/table-diff.ts';
import { type Check, Problems } from '../../src/core/shape.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { entry } from './addresses.ts';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function checked<T>(read: (check: Check) => T): T {
  const problems = new Problems();
  const result = read({ problems, code: 'ERR_MOBISOCK_POLICY' });
  problems.throwIfAny();
  return result;
}

const gaiConf = (text: string): GaiConf => checked((check) => readGaiConf('gai.conf', encode(text), check));
const json = (text: string): PolicyTable => checked((check) => readPolicyJson('table.json', encode(text), check));
const rows = ({ entries }: PolicyTable): string[] =>
  entries.map(({ prefix, label, precedence }) => `${prefix.text} ${label ?? '-'} ${precedence ?? '-'}`);

/** A table of anything that all forms can say. */
function draw(random: SeededRandom, interfaces: boolean): PolicyTable {
  const entries = new Map([['::/0', entry('::/0 1 40')]]);
  for (let i = random.between(0, 20); i > 0; i--) {
    const prefix = policyPrefix(random.chance(0.3) ? ipv6Form('10.9.8.7') : random.bytes(16), random.between(1, 128));
    const interfaceName = interfaces && random.chance(0.3) ? 'eth1' : undefined;
    const label = random.chance(0.7) ? random.between(0, 99) : undefined;
    const precedence = label === undefined || random.chance(0.7) ? random.between(0, 99) : undefined;
    entries.set(`${prefix.text}${interfaceName}`, { prefix, interfaceName, label, precedence });
  }
  const prefix = policyPrefix(ipv6Form('10.0.0.0'), random.between(97, 128));
  return new PolicyTable(
    [...entries.values()],
    random.chance(0.5) ? undefined : [{ prefix, scope: random.between(0, 15) }],
  );
}

describe('gai.conf', () => {
  it('without lines of a kind leaves what glibc has', () => {
    for (const text of ['', '\n # label ::/0 9\n\n', 'reload no']) {
      expect(rows(gaiConf(text).table)).toEqual(rows(glibcDefaults()));
    }
    expect(glibcDefaults().scopeOf(ipv6Form('169.254.1.1'))).toBe(2);
  });

  it('with one line of a kind replaces all of the kind, except what stands for all addresses', () => {
    const { table } = gaiConf('label 2001:db8::/32 9 # ours\n');
    expect(rows(table)).toEqual([
      '::1/128 - 50',
      '::/96 - 20',
      '::ffff:0:0/96 - 10',
      '2001:db8::/32 9 -',
      '2002::/16 - 30',
      '::/0 1 40',
    ]);
    expect(rows(gaiConf('precedence ::ffff:0:0/96 100').table).filter((row) => !row.endsWith('-'))).toEqual([
      '::ffff:0:0/96 4 100',
      '::/0 1 40',
    ]);
    expect(rows(gaiConf('precedence ::/0 7\nlabel ::/0 8').table)).toEqual(['::/0 8 7']);
  });

  it('gives IPv4 scopes, in either form', () => {
    const { table } = gaiConf('scopev4 10.0.0.0/8 5\nscopev4\t::ffff:192.168.0.0/112   5\n');
    expect(['10.1.1.1', '192.168.1.1', '169.254.1.1', '8.8.8.8'].map((ip) => table.scopeOf(ipv6Form(ip)))).toEqual([
      5, 5, 14, 14,
    ]);
  });

  it('says whether it is to be read again', () => {
    expect([gaiConf('reload yes').reload, gaiConf('').reload]).toEqual([true, false]);
  });

  it.each([
    [
      'lable ::/0 1',
      'gai.conf: line 1: found "lable", expected one of label, precedence, scopev4, reload; did you mean "label"?',
    ],
    ['\nlabel ::/0 1 2', 'gai.conf: line 2: found "2", expected nothing more on the line'],
    ['label ::/0', 'gai.conf: line 1: found "", expected a whole number from 0 to 2147483647'],
    ['label ::/0 2147483648', 'line 1: found "2147483648", expected a whole number from 0 to 2147483647'],
    ['label ::/0 -1', 'line 1: found "-1", expected a whole number'],
    ['precedence ::/129 1', 'line 1: found "::/129", expected a prefix length from 0 to 128'],
    ['precedence 2001:db8::1/32 1', 'expected no bits beyond the prefix length, as in "2001:db8::/32"'],
    ['label 10.0.0.0/8 1', 'line 1: found "10.0.0.0/8", expected the prefix in IPv6 form, "::ffff:10.0.0.0/104"'],
    ['scopev4 2001:db8::/32 5', 'line 1: found "2001:db8::/32", expected an IPv4 prefix such as "169.254.0.0/16"'],
    ['scopev4 ::/0 5', 'expected an IPv4 prefix'],
    ['scopev4 10.0.0.0/8 16', 'expected a whole number from 0 to 15'],
    ['reload perhaps', 'line 1: found "perhaps", expected yes or no'],
    ['reload yes no', 'line 1: found "no", expected nothing more on the line'],
    ['label ::/0 1\nlabel ::0/0 2', 'gai.conf: line 2: label ::/0 again; gai.conf: line 1 has it already'],
    ['label x 1\nlabel ::/0 y', '2 problems'],
    ['\u0000', 'line 1: found'],
  ])('%j is told with its line', (text, message) => {
    expect(() => gaiConf(text)).toThrow(message);
    expect(() => gaiConf(text)).toThrow(expect.objectContaining({ code: 'ERR_MOBISOCK_POLICY' }));
  });

  it('has limits', () => {
    const many = Array.from({ length: 1001 }, (_, i) => `label 2001:db8::${i.toString(16)} 1`).join('\n');
    expect(() => gaiConf(many)).toThrow('gai.conf: more than 1000 prefixes');
    expect(() => gaiConf('#'.repeat(TABLE_FILE_LIMIT_BYTES + 1))).toThrow('larger than 262144 bytes');
    expect(() => checked((check) => readGaiConf('x', Uint8Array.of(0xff), check))).toThrow('x: not UTF-8');
  });

  it('gives back what was written', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const table = draw(new SeededRandom(seed), false);
      const again = gaiConf(writeGaiConf({ table, reload: seed % 2 === 0 }));
      expect(again.reload).toBe(seed % 2 === 0);
      const labels = table.entries.filter(({ label }) => label !== undefined);
      expect(
        again.table.entries.filter(({ label }) => label !== undefined).map(({ prefix, label }) => [prefix.text, label]),
      ).toEqual(labels.map(({ prefix, label }) => [prefix.text, label]));
      expect(rows(again.table), `seed ${seed}`).toEqual(rows(table));
      expect(again.table.ipv4Scopes).toEqual(table.ipv4Scopes);
    }
  });

  it('cannot say everything', () => {
    const write = (text: string) => () => writeGaiConf({ table: new PolicyTable([entry(text)]), reload: false });
    expect(write('::/0 1 1 eth0')).toThrow('gai.conf: ::/0 dev eth0: it knows no interfaces');
    expect(write('::/0 4294967294 1')).toThrow('gai.conf: ::/0: labels end at 2147483647');
  });

  it.skipIf(!existsSync('/etc/gai.conf'))('as the system has it can be read', () => {
    expect(() => checked((check) => readGaiConf('/etc/gai.conf', readFileSync('/etc/gai.conf'), check))).not.toThrow();
  });
});

describe('JSON', () => {
  it('begins with the table of RFC 6724, or another', () => {
    expect(rows(json('{}'))).toEqual(rows(new PolicyTable(RFC_6724_ENTRIES)));
    expect(rows(json('{"base":"glibc"}'))).toEqual(rows(glibcDefaults()));
    expect(rows(json('{"base":"linux"}'))).toEqual(rows(new PolicyTable(LINUX_LABELS)));
    expect(rows(json('{"base":"none"}'))).toEqual([]);
  });

  it('changes of it only what is said', () => {
    const table = json(
      '{"entries":[{"prefix":"0.0.0.0/0","precedence":100},{"prefix":"fd00::/8","label":14,"interface":"eth0"}]}',
    );
    expect(rows(table)).toContain('::ffff:0:0/96 4 100');
    expect(rows(table)).toContain('fc00::/7 13 3');
    expect([table.labelOf(ipv6Form('fd00::1'), 'eth0'), table.labelOf(ipv6Form('fd00::1'))]).toEqual([14, 13]);
  });

  it('gives IPv4 scopes', () => {
    const table = json('{"ipv4Scopes":[{"prefix":"10.0.0.0/8","scope":5}]}');
    expect([table.scopeOf(ipv6Form('10.1.1.1')), table.scopeOf(ipv6Form('127.0.0.1'))]).toEqual([5, 14]);
  });

  it.each([
    ['{', 'table.json: line 1, column 2: found the end, expected a key in double quotes'],
    ['[]', 'table.json: found an empty list, expected an object'],
    [
      '{"entrys":[]}',
      'table.json: entrys: unknown key, expected one of base, entries, ipv4Scopes; did you mean "entries"?',
    ],
    ['{"base":"rfc3484"}', 'table.json: base: found "rfc3484", expected one of rfc6724, glibc, linux, none'],
    [
      '{"entries":[{"prefix":"::/0"}]}',
      'table.json: entries[0]: found an object, expected "label", "precedence" or both',
    ],
    ['{"entries":[{"label":1}]}', 'table.json: entries[0].prefix: missing'],
    [
      '{"entries":[{"prefix":"::/0","label":4294967295}]}',
      'entries[0].label: found 4294967295, expected a whole number from 0 to 4294967294',
    ],
    ['{"entries":[{"prefix":"::/0","precedence":-1}]}', 'entries[0].precedence: found -1'],
    ['{"entries":[{"prefix":"x","label":1}]}', 'entries[0].prefix: found "x", expected an address or a prefix such as'],
    [
      '{"entries":[{"prefix":"::/0","label":1,"interface":"a b"}]}',
      'entries[0].interface: found "a b", expected the name of an interface',
    ],
    [
      '{"entries":[{"prefix":"::/0","label":1},{"prefix":"::/0","label":1}]}',
      'table.json: entries: ::/0 is there twice',
    ],
    ['{"ipv4Scopes":[{"prefix":"::/0","scope":1}]}', 'ipv4Scopes[0].prefix: found "::/0", expected an IPv4 prefix'],
    [
      '{"ipv4Scopes":[{"prefix":"10.0.0.0/8","scope":16}]}',
      'ipv4Scopes[0].scope: found 16, expected a whole number from 0 to 15',
    ],
    ['{"base":"none","base":"none"}', 'table.json: base: key given twice (again at line 1, column 16)'],
  ])('%s is told with its place', (text, message) => {
    expect(() => json(text)).toThrow(message);
  });

  it('gives back what was written', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const table = draw(new SeededRandom(seed), true);
      const again = json(writePolicyJson(table));
      expect(again.entries, `seed ${seed}`).toEqual(table.entries);
      expect(again.ipv4Scopes).toEqual(table.ipv4Scopes);
    }
    expect(json(writePolicyJson(new PolicyTable())).entries).toEqual([]);
  });
});

describe('ip addrlabel', () => {
  it('lists are read', () => {
    const listed = readAddrlabelList(
      'prefix ::1/128 label 0 \nprefix ::ffff:0.0.0.0/96 label 4 \nprefix fd00::/8 dev eth0 label 77 \n',
    );
    expect(listed).toEqual([entry('::1/128 0 -'), entry('::ffff:0:0/96 4 -'), entry('fd00::/8 77 - eth0')]);
    expect(readAddrlabelList('')).toEqual([]);
    expect(readAddrlabelList('nonsense')).toBeUndefined();
    expect(readAddrlabelList('prefix ::/129 label 1')).toBeUndefined();
  });

  it('commands are written', () => {
    const table = new PolicyTable([
      entry('::/0 1 40'),
      entry('fd00::/8 77 - eth0'),
      entry('10.0.0.0/8 5 5'),
      entry('::1/128 - 50'),
    ]);
    expect(writeAddrlabelCommands(table)).toBe(
      '# The kernel has labels only: precedences are for getaddrinfo.\n' +
        'ip addrlabel flush\n' +
        '# ::ffff:10.0.0.0/104: the kernel has no labels within IPv4\n' +
        'ip addrlabel add prefix fd00::/8 dev eth0 label 77\n' +
        'ip addrlabel add prefix ::/0 label 1\n',
    );
  });
});

describe('differences', () => {
  const rfc = new PolicyTable(RFC_6724_ENTRIES);
  const kernel = new PolicyTable(LINUX_LABELS);

  it('are the prefixes that are not the same in all tables', () => {
    const keys = (...tables: PolicyTable[]): string[] =>
      diffTables(tables)
        .map(({ key }) => key)
        .sort();
    expect(keys(rfc, rfc)).toEqual([]);
    expect(keys(rfc, kernel)).toEqual(['2001:10::/28', '2001::/32', 'fc00::/7']);
    expect(keys(rfc, glibcDefaults())).toEqual([
      '2001::/32',
      '3ffe::/16',
      '::/96',
      '::ffff:0:0/96',
      'fc00::/7',
      'fec0::/10',
    ]);
  });

  it('tell what each table says, and whether by an entry for the prefix', () => {
    const row = diffTables([rfc, kernel]).find(({ key }) => key === '2001:10::/28');
    expect(row?.cells).toEqual([
      { label: 1, precedence: 40, listed: false },
      { label: 7, precedence: undefined, listed: true },
    ]);
  });

  it('of the whole are not hidden by longer prefixes', () => {
    expect(
      diffTables([rfc, new PolicyTable([...RFC_6724_ENTRIES.slice(2), entry('::1/128 0 50'), entry('::/0 9 40')])]),
    ).toMatchObject([{ key: '::/0', cells: [{ label: 1 }, { label: 9 }] }]);
  });

  it('in the numbers of labels alone are none in what they group', () => {
    expect(
      groupsAlike(rfc, new PolicyTable(RFC_6724_ENTRIES.map((own) => ({ ...own, label: (own.label ?? 0) + 50 })))),
    ).toBe(true);
    expect(groupsAlike(rfc, kernel)).toBe(false);
    expect(groupsAlike(new PolicyTable(RFC_6724_ENTRIES.filter(({ label }) => label !== 2)), rfc)).toBe(false);
    expect(
      groupsAlike(kernel, new PolicyTable(LINUX_LABELS.map((own) => (own.label === 5 ? { ...own, label: 1 } : own)))),
    ).toBe(false);
  });
});
