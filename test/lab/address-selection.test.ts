/** Address selection in use, by real kernels: the way out after a move, and the order of the addresses of a name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtPackage } from '../built-package.ts';
import { EXCHANGE_PORT, type ExchangePlan, expectAllDelivered, PACED, type Pair, startPair } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
const FAMILIES = ['ipv4', 'ipv6'] as const;

describe.skipIf(missing)('a client with three uplinks whose routes go by the source', () => {
  let lab: Lab;
  beforeEach(async () => {
    const hosts = { client: ['wifi', 'lte', 'cable'], server: ['east'] };
    lab = await createLab({ hosts, attached: { client: ['wifi', 'lte', 'cable'] }, sourceRouting: true });
  });
  afterEach(() => lab.close());

  /** A table that gives the addresses of one uplink the label of all destinations, and the others another. */
  function prefer(uplink: string): string {
    const others = ['wifi', 'lte', 'cable'].filter((name) => name !== uplink);
    const entries = others.flatMap((name) => {
      const { prefix } = lab.client.network(name);
      return FAMILIES.map((family) => ({ prefix: prefix[family], label: 2 }));
    });
    const table = { base: 'none', entries: [{ prefix: '::/0', label: 1 }, ...entries] };
    const path = join(lab.directory, 'table.json');
    writeFileSync(path, JSON.stringify(table));
    return path;
  }

  /** Where the session is after the loss of an uplink. */
  async function lose({ client }: Pair, uplink: string): Promise<string | undefined> {
    await lab.client.detach(uplink);
    return (await client.report('session:move')).local?.ip;
  }

  function start(table: string | undefined, family: (typeof FAMILIES)[number]): Promise<Pair> {
    const client: ExchangePlan = { send: PACED, env: { MOBISOCK_ADDRSEL: table } };
    return startPair(lab, { client, family });
  }

  describe.each(FAMILIES)('over %s', (family) => {
    const addressesOf = (uplink: string): string[] => FAMILIES.map((one) => lab.client.address(uplink, one));

    test('goes on where the kernel routes when no table is named', async () => {
      const pair = await start(undefined, family);
      expect(addressesOf('lte')).toContain(await lose(pair, 'wifi'));
      await expectAllDelivered(pair);
    });

    test('goes on by the uplink that the table prefers, and by another once the table has changed', async () => {
      const pair = await start(prefer('cable'), family);
      expect(addressesOf('cable')).toContain(await lose(pair, 'wifi'));
      await lab.client.attach('wifi');
      await pair.client.progress();
      prefer('lte');
      expect(addressesOf('lte')).toContain(await lose(pair, 'cable'));
      await expectAllDelivered(pair);
    });

    test('goes on by another uplink when the preferred one is dead', async () => {
      const pair = await start(prefer('cable'), family);
      await lab.conditions.blackhole({ from: 'cable' });
      expect(addressesOf('lte')).toContain(await lose(pair, 'wifi'));
      await expectAllDelivered(pair);
    });
  });
});

/** Says to which of a name's addresses it has connected. */
const CONNECT = `require('node:net').connect({ host: 'several.test', port: ${EXCHANGE_PORT} }, function () {
  console.log('connected to ' + this.remoteAddress);
  this.destroy();
});`;

describe.skipIf(missing)('a name with an address of each family', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test.each(FAMILIES)('is reached over %s where the table prefers that', async (family) => {
    const server = `require('node:net').createServer().listen(${EXCHANGE_PORT}, '::', () => console.log('listening'))`;
    await lab.server.run('node', ['-e', server]).line(/^listening/);
    const { hostAddress, prefix } = lab.server.network('east');
    const [hosts, table] = [join(lab.directory, 'hosts'), join(lab.directory, 'table.json')];
    writeFileSync(hosts, FAMILIES.map((one) => `${hostAddress[one]} several.test\n`).join(''));
    writeFileSync(table, JSON.stringify({ entries: [{ prefix: prefix[family], precedence: 100 }] }));
    const node = [process.env.MOBISOCK_TEST_NODE ?? process.execPath, '--import', builtPackage(), '-e', CONNECT];
    const script = `mount --bind ${hosts} /etc/hosts && exec "$@"`;
    const client = lab.client.run('unshare', ['--mount', 'sh', '-c', script, 'sh', ...node], {
      env: { MOBISOCK_ADDRSEL: table },
    });
    await client.line(new RegExp(`^connected to ${hostAddress[family]}$`));
  });
});
