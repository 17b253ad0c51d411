/** `mobisock addrsel`, as users get it, on a machine of its own. */

import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILT_FILE } from '../built-package.ts';
import { Namespace, namespacesAvailable } from '../host/namespace.ts';

const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');
/** As root, but without any privilege. */
const POWERLESS = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all', '--'];

let namespace: Namespace;
let directory: string;

async function run(
  args: readonly string[],
  { before = [], flags = [] }: { readonly before?: readonly string[]; readonly flags?: readonly string[] } = {},
): Promise<{ code: number | null; output: string }> {
  const argv = [...before, process.execPath, ...flags, COMMAND, 'addrsel', ...args];
  const child = namespace.spawn('sh', ['-c', 'exec "$@" 2>&1', 'sh', ...argv]);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

const lines = async (...args: string[]): Promise<string[]> => {
  const { code, output } = await run(args);
  expect(code, output).toBe(0);
  return output.split('\n').map((line) => line.trimEnd().replace(/ {2,}/g, ' '));
};

describe.skipIf(!namespacesAvailable)('mobisock addrsel', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mobisock-addrsel-'));
    namespace = await Namespace.create();
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['v0', 'v1']) namespace.ip(`link set ${name} addrgenmode none`);
    for (const name of ['lo', 'v0', 'v1']) namespace.ip(`link set ${name} up`);
    namespace.ip('addr add 192.0.2.1/24 dev v0');
    namespace.ip('addr add 2001:db8:1::5/64 dev v0 nodad');
    namespace.ip('addr add 2001:db8:2::6/64 dev v0 nodad preferred_lft 0');
    namespace.ip('addr add fd00::1/64 dev v0 nodad');
    namespace.ip('route add default via 192.0.2.254');
    namespace.ip('-6 route add default via 2001:db8:1::1');
  });
  afterAll(async () => {
    await namespace.close();
    rmSync(directory, { recursive: true, force: true });
  });

  it('tells what there is', async () => {
    const { code, output } = await run(['--help']);
    expect(code).toBe(0);
    for (const word of ['show', 'diff', 'explain', 'set', '--kernel', '--file', '--table', '--rules', 'rfc6724']) {
      expect(output).toContain(word);
    }
  });

  it("shows the kernel's table and glibc's, or another one, in every form", async () => {
    const shown = await lines('show');
    expect(shown).toContain('kernel');
    expect(shown).toContain('glibc');
    expect(shown).toContain('2001:10::/28 7 -');
    expect(await lines('show', 'rfc6724')).toContain('fc00::/7 13 3');
    expect(await lines('show', 'kernel', '--format', 'ip')).toContain('ip addrlabel add prefix fc00::/7 label 5');
    expect(await lines('show', 'rfc6724', '--format', 'gai.conf')).toContain('precedence ::ffff:0:0/96 35');
    const path = join(directory, 'shown.json');
    writeFileSync(path, (await run(['show', 'rfc6724', '--format', 'json'])).output);
    expect(await lines('diff', 'rfc6724', path)).toEqual([
      'no difference',
      `labels of rfc6724 and ${path}: the same groups`,
      '',
    ]);
  });

  it('gives the kernel the labels that it prints as commands', async () => {
    const { output } = await run(['show', 'rfc6724', '--format', 'ip']);
    const child = namespace.spawn('sh', ['-e', '-c', output]);
    await once(child, 'close');
    expect(await lines('diff', 'rfc6724', 'kernel')).toContain('no difference');
  });

  it('explains the order of destinations and the source of each', async () => {
    const explained = await lines(
      'explain',
      '198.51.100.1',
      '2001:db8:1::9',
      'fd00:5::1',
      'fe80::1',
      '--table',
      'rfc6724',
    );
    expect(explained).toEqual([
      '1. 2001:db8:1::9 from 2001:db8:1::5 on v0',
      ' source rather than ::1 by rule 2, prefer appropriate scope',
      ' source rather than fd00::1 by rule 6, prefer matching label',
      ' source rather than 2001:db8:2::6 by rule 3, avoid deprecated addresses',
      ' before the next by rule 6, prefer higher precedence',
      '',
      '2. 198.51.100.1 from 192.0.2.1 on v0',
      ' source: as the route has it; RFC 6724 leaves IPv4 to the host',
      ' before the next by rule 6, prefer higher precedence',
      '',
      '3. fd00:5::1 from fd00::1 on v0',
      ' source rather than ::1 by rule 2, prefer appropriate scope',
      ' source rather than 2001:db8:2::6 by rule 3, avoid deprecated addresses',
      ' source rather than 2001:db8:1::5 by rule 6, prefer matching label',
      ' before the next by rule 1, avoid unusable destinations',
      '',
      '4. fe80::1: link-local, so of which interface (%eth0)?',
      '',
    ]);
  });

  it("explains the kernel's own choice, also where no rule does", async () => {
    namespace.ip('-6 route add 2001:db8:77::/48 via 2001:db8:1::1 src fd00::1');
    expect(await lines('explain', '2001:db8:77::1')).toEqual([
      '1. 2001:db8:77::1 from fd00::1 on v0',
      ' source: as the kernel has it, by the route or a setting; by the rules it would be 2001:db8:1::5',
      '',
    ]);
    expect((await lines('explain', '2001:db8:77::1', '--table', 'rfc6724')).at(-2)).toBe(
      ' (the kernel as it is now takes fd00::1)',
    );
    expect((await lines('explain', 'localhost'))[0]).toMatch(/^1\. (?:127\.0\.0\.1|::1) from /);
  });

  it('asks getaddrinfo for the addresses of a name, and says where that has another order', async () => {
    const hosts = join(directory, 'hosts');
    const before = ['unshare', '--mount', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'];
    const explain = async (...ips: string[]): Promise<string[]> => {
      writeFileSync(hosts, ips.map((ip) => `${ip} several.test\n`).join(''));
      const { code, output } = await run(['explain', 'several.test'], { before });
      expect(code, output).toBe(0);
      return output.split('\n').filter((line) => /^(?:\d\.|getaddrinfo)/.test(line));
    };
    const first = '1. 2001:db8:1::9 from 2001:db8:1::5 on v0';
    expect(await explain('198.51.100.1', '2001:db8:1::9')).toEqual([first, '2. 198.51.100.1 from 192.0.2.1 on v0']);
    // A broadcast address, to which getaddrinfo can't connect.
    expect(await explain('192.0.2.255', '198.51.100.1')).toEqual([
      '1. 192.0.2.255 from 192.0.2.1 on v0',
      '2. 198.51.100.1 from 192.0.2.1 on v0',
      'getaddrinfo has another order: 198.51.100.1, 192.0.2.255',
    ]);
  });

  it("changes the kernel's table", async () => {
    expect(await run(['set', '2001:db8::/32', '--label', '77', '--kernel', '--interface', 'v0'])).toEqual({
      code: 0,
      output: '',
    });
    expect(await lines('show', 'kernel')).toContain('2001:db8::/32 dev v0 77 -');
    expect(await run(['set', '2001:db8::/32', '--remove', '--kernel', '--interface', 'v0'])).toEqual({
      code: 0,
      output: '',
    });
    expect(await lines('show', 'kernel')).not.toContain('2001:db8::/32 dev v0 77 -');
  });

  it('says what it needs', async () => {
    const { code, output } = await run(['set', 'fd00::/8', '--label', '7', '--kernel'], { before: POWERLESS });
    expect({ code, output }).toEqual({
      code: 1,
      output:
        "mobisock: ip addrlabel add prefix fd00::/8 label 7: changing the kernel's labels needs root (CAP_NET_ADMIN); --file changes a file instead\n",
    });
    expect(await run(['set', '2001:db8:9::/48', '--remove', '--kernel'])).toEqual({
      code: 1,
      output: 'mobisock: ip addrlabel del prefix 2001:db8:9::/48: the kernel has no such entry\n',
    });
  });

  it('without koffi reads labels by ip, and says what it cannot do', async () => {
    const flags = ['--no-addons'];
    expect(await run(['show', 'kernel'], { flags })).toEqual(await run(['show', 'kernel']));
    expect(await run(['explain', '2001:db8:1::9'], { flags })).toEqual({
      code: 1,
      output: 'mobisock: routes can only be asked for on Linux and with koffi\n',
    });
    expect(await run(['set', '2001:db8::/32', '--label', '7', '--kernel'], { flags })).toEqual({
      code: 1,
      output: 'mobisock: ip addrlabel add prefix 2001:db8::/32 label 7: labels can only be changed with koffi\n',
    });
  });

  it('changes files, and leaves them as they are where something is wrong', async () => {
    const gaiConf = join(directory, 'gai.conf');
    writeFileSync(gaiConf, '# ours\n');
    chmodSync(gaiConf, 0o640);
    expect(await run(['set', '::ffff:0:0/96', '--precedence', '100', '--file', gaiConf])).toEqual({
      code: 0,
      output: '',
    });
    expect(readFileSync(gaiConf, 'utf8')).toMatch(/^# ours\nprecedence ::1\/128 +50\n/);
    expect(statSync(gaiConf).mode & 0o777).toBe(0o640);
    expect(await lines('show', gaiConf)).toContain('::ffff:0:0/96 4 100');
    const json = join(directory, 'table.json');
    await lines('set', 'fd00::/8', '--label', '14', '--precedence', '45', '--interface', 'v0', '--file', json);
    expect(await lines('show', json)).toContain('fd00::/8 dev v0 14 45');
    writeFileSync(json, '{"entries": 1}');
    expect(await run(['set', 'fd00::/8', '--label', '14', '--file', json])).toMatchObject({
      code: 2,
      output: expect.stringContaining(`mobisock: ${json}: entries: found 1, expected a list`),
    });
    expect(readFileSync(json, 'utf8')).toBe('{"entries": 1}');
  });

  it.each([
    [[], 'addrsel: found "", expected one of show, diff, explain, set'],
    [['list'], 'addrsel: found "list", expected one of'],
    [['show', 'rfc3484'], 'table: found "rfc3484", expected rfc6724, kernel, glibc, or a path'],
    [['show', './missing.json'], './missing.json: no such file'],
    [['show', '/dev/zero'], '/dev/zero: larger than 262144 bytes'],
    [['show', 'kernel', '--format', 'xml'], '--format: found "xml", expected one of text, json, gai.conf, ip'],
    [['show', '--format', 'json'], '--format json: say which table'],
    [['show', 'kernel', 'glibc'], "Unexpected argument 'glibc'"],
    [['explain'], 'addrsel explain: expected a host name or addresses'],
    [['explain', '::1', '--rules', 'rfc3484'], '--rules: found "rfc3484", expected one of system, rfc6724'],
    [['set'], 'addrsel set: expected a prefix such as 2001:db8::/32'],
    [['set', '2001:db8::1/32', '--label', '1', '--kernel'], 'found "2001:db8::1/32", expected no bits beyond'],
    [['set', '::/0', '--kernel'], 'addrsel set: expected --label, --precedence or --remove'],
    [['set', '::/0', '--label', '1'], 'addrsel set: expected --kernel, --file FILE or both'],
    [['set', '::/0', '--label', '4294967295', '--kernel'], '--label: found "4294967295", expected a whole number'],
    [['set', '::/0', '--remove', '--label', '1', '--kernel'], '--remove takes no --label'],
    [['set', '::/0', '--precedence', '1', '--kernel'], 'the kernel has labels only'],
    [['set', '10.0.0.0/8', '--label', '1', '--kernel'], 'the kernel has no labels within IPv4'],
    [
      ['set', '::/0', '--label', '1', '--interface', 'a/b', '--kernel'],
      '--interface: found "a/b", expected the name of',
    ],
    [
      ['set', '::/0', '--label', '1', '--interface', 'v0', '--file', './x.conf'],
      'gai.conf: ::/0 dev v0: it knows no interfaces',
    ],
  ])('%j is told, with status 2', async (args, message) => {
    const { code, output } = await run(args);
    expect(output).toContain(message);
    expect(code).toBe(2);
  });
});
