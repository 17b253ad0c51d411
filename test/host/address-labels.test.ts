/** Labels and addresses as the kernel of a namespace has them. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Namespace, namespacesAvailable } from './namespace.ts';

let namespace: Namespace;

/** What `code` prints as JSON, run inside the namespace with what the two modules export. */
async function evaluate(code: string): Promise<unknown> {
  const modules = ['address-labels', 'address-facts'].map(
    (name) => new URL(`../../src/host/${name}.ts`, import.meta.url),
  );
  const text = `
    import * as labels from ${JSON.stringify(modules[0]?.href)};
    import * as facts from ${JSON.stringify(modules[1]?.href)};
    const attempt = (act) => { try { return act(); } catch (error) { return error.code ?? String(error); } };
    console.log(JSON.stringify(${code}));`;
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', text];
  const child = namespace.spawn('env', ['-C', cwd, ...node]);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    output += part;
  });
  await once(child, 'close');
  return JSON.parse(output);
}

const KEY = 'prefix: new Uint8Array([0x20, 1, 13, 184, ...new Array(12).fill(0)]), prefixLength: 32';

describe.skipIf(!namespacesAvailable)("the kernel's labels", () => {
  beforeAll(async () => {
    namespace = await Namespace.create();
    namespace.ip('link add v0 type veth peer name v1');
    for (const name of ['lo', 'v0', 'v1']) namespace.ip(`link set ${name} up`);
  });
  afterAll(async () => {
    await namespace.close();
  });

  it('are set, replaced, counted, and taken away', async () => {
    const result = await evaluate(`[
      labels.readKernelLabels().generation,
      labels.setKernelLabel({ ${KEY}, label: 77 }),
      labels.setKernelLabel({ ${KEY}, label: 78, interfaceName: 'v0' }),
      labels.setKernelLabel({ ${KEY}, label: 79 }),
      labels.listKernelLabels().split('\\n').filter((line) => line.includes('2001:db8::')),
      labels.readKernelLabels().labels.filter(({ prefixLength, label }) => prefixLength === 32 && label > 70)
        .map(({ interfaceName, label }) => [interfaceName ?? null, label]),
      labels.readKernelLabels().generation,
      labels.deleteKernelLabel({ ${KEY} }),
      labels.readKernelLabels().labels.some(({ label }) => label === 79),
      labels.readKernelLabels().labels.some(({ label }) => label === 78),
    ]`);
    const [before, , , , listed, read, after, , any, own] = result as [number, ...unknown[]];
    expect(listed).toEqual(['prefix 2001:db8::/32 dev v0 label 78 ', 'prefix 2001:db8::/32 label 79 ']);
    expect(read).toEqual([
      ['v0', 78],
      [null, 79],
    ]);
    expect([after, any, own]).toEqual([before + 3, false, true]);
  });

  it('of an interface that is gone do not become labels for all', async () => {
    namespace.ip('link add w0 type veth peer name w1');
    namespace.ip('addrlabel add prefix fd00::/8 dev w0 label 55');
    namespace.ip('addrlabel add prefix fd00::/8 label 56');
    namespace.ip('link delete w0');
    const result = await evaluate(`labels.readKernelLabels().labels.filter(({ label }) => label === 55 || label === 56)
      .map(({ interfaceName, label }) => [/^if\\d+$/.test(interfaceName), label])`);
    expect(result).toEqual([
      [true, 55],
      [false, 56],
    ]);
  });

  it('cannot be for what is not there', async () => {
    const result = await evaluate(`[
      attempt(() => labels.deleteKernelLabel({ prefix: new Uint8Array(16), prefixLength: 9 })),
      attempt(() => labels.setKernelLabel({ ${KEY}, label: 1, interfaceName: 'v9' })),
      attempt(() => labels.setKernelLabel({ ${KEY}, label: 0xffffffff })),
    ]`);
    expect(result).toEqual(['ESRCH', 'ENODEV', 'EINVAL']);
  });

  it('stand beside the addresses with their flags, in the order of the kernel', async () => {
    namespace.sysctl('net.ipv6.conf.v0.use_tempaddr=2');
    namespace.ip('addr add 192.0.2.1/24 dev v0');
    namespace.ip('addr add 2001:db8::1/64 dev v0 nodad home');
    namespace.ip('addr add 2001:db8::2/56 dev v0 nodad preferred_lft 0');
    const flagless = { tentative: false, deprecated: false, temporary: false, home: false, tunnel: false };
    const all = (await evaluate('facts.readAddressFacts()')) as { ip: string }[];
    expect(all.filter(({ ip }) => !ip.startsWith('fe80:'))).toEqual([
      { ip: '127.0.0.1', prefixLength: 8, interfaceName: 'lo', ...flagless, temporaryPreferred: false },
      { ip: '192.0.2.1', prefixLength: 24, interfaceName: 'v0', ...flagless, temporaryPreferred: true },
      { ip: '::1', prefixLength: 128, interfaceName: 'lo', ...flagless, temporaryPreferred: false },
      {
        ip: '2001:db8::2',
        prefixLength: 56,
        interfaceName: 'v0',
        ...flagless,
        deprecated: true,
        temporaryPreferred: true,
      },
      { ip: '2001:db8::1', prefixLength: 64, interfaceName: 'v0', ...flagless, home: true, temporaryPreferred: true },
    ]);
    namespace.ip('link set v0 down');
    const down = (await evaluate('facts.readAddressFacts()')) as { interfaceName: string }[];
    expect(down.filter(({ interfaceName }) => interfaceName === 'v0')).toEqual([]);
  });
});
