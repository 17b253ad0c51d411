/** `mobisock resolve`, as users get it, on a machine of its own. */
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUILT_FILE } from '../built-package.ts';
import { Namespace, namespacesAvailable } from '../host/namespace.ts';

const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');

let namespace: Namespace;

/** Both outputs are one. */
async function run(
  args: readonly string[],
  path: string = process.env.PATH ?? '',
): Promise<{ code: number | null; output: string }> {
  const argv = [`PATH=${path}`, process.execPath, COMMAND, 'resolve', ...args];
  const child = namespace.spawn('sh', ['-c', 'exec env "$@" 2>&1', 'sh', ...argv]);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

async function letPing(groups: string): Promise<void> {
  const child = namespace.spawn('sh', ['-c', `echo ${groups} >/proc/sys/net/ipv4/ping_group_range`]);
  const [code] = (await once(child, 'close')) as [number | null];
  expect(code).toBe(0);
}

describe.skipIf(!namespacesAvailable)('mobisock resolve', () => {
  beforeAll(async () => {
    namespace = await Namespace.create();
    namespace.ip('link set lo up');
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['v0', 'v1']) namespace.ip(`link set ${name} up`);
    namespace.ip('addr add fd00::1/64 dev v0 nodad');
    await letPing('0 0');
  });
  afterAll(() => namespace.close());

  it('tells what there is', async () => {
    const { code, output } = await run(['--help']);
    expect(code).toBe(0);
    for (const word of ['ADDRESS', '--json', '--port', '4476', 'Status']) expect(output).toContain(word);
  });

  it('prints an address that answers for itself, as a line or as JSON', async () => {
    const line = 'fd00::1 (unicast, for 3600 s)\n';
    expect(await run(['FD00:0::1'])).toEqual({ code: 0, output: line });
    const { code, output } = await run(['fd00::1', '--json']);
    const json = { address: 'fd00::1', kind: 'unicast', unicast: 'fd00::1', confirmed: true };
    expect({ code, ...JSON.parse(output) }).toMatchObject({ code: 0, ...json });
  });

  it('says with status 1 that it cannot be asked, or that nobody answers', async () => {
    const unreachable = 'mobisock: 2001:db8::1: probes cannot be sent there\n';
    expect(await run(['2001:db8::1'])).toEqual({ code: 1, output: unreachable });
    const { code, output } = await run(['fd00::2', '--json']);
    expect({ code, ...JSON.parse(output) }).toEqual({ code: 1, address: 'fd00::2', kind: 'none', reason: 'silent' });
  });

  it('says what it could not ask with', async () => {
    await letPing('1 0');
    const { code, output } = await run(['fd00::1'], '');
    await letPing('0 0');
    expect(code).toBe(1);
    expect(output).toMatch(
      /^mobisock: no ICMPv6 echo here: no ping socket, socket EACCES, .*ping_group_range.*; no program "ping" in PATH\n/,
    );
    expect(output).toContain('mobisock: fd00::1: no answer to probes\n');
  });

  it.each([
    [[], 'resolve: no address given'],
    [['::1', '::2'], 'resolve: one address at a time, found 2'],
    [['example.org'], 'resolve: "example.org" is no IP address'],
    [['ff02::1'], 'resolve: ff02::1 is no address of one host'],
    [['--port', '0', '::1'], '--port: found "0", expected a whole number from 1 to 65535'],
    [['--jsn', '::1'], "Unknown option '--jsn'"],
  ])('%j is told, with status 2', async (args, message) => {
    const { code, output } = await run(args);
    expect(code).toBe(2);
    expect(output).toContain(`mobisock: ${message}`);
  });
});
