/** Servers on a wildcard address with several addresses: an L4_INIT is answered from the address that was asked. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'vitest';
import { builtPackage } from '../built-package.ts';
import { EXCHANGE_PORT, Exchange, type ExchangePlan, PACED, startClient, startServer } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
const FAMILIES = ['ipv4', 'ipv6'] as const;
/** Both ends say something, and end when the other does. */
const TALK: ExchangePlan = { send: PACED };

describe.skipIf(missing)('a server on two networks, with one default route', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ attached: { server: ['east'] } });
  });
  afterEach(() => lab.close());

  async function expectSession(address: string): Promise<Exchange> {
    const client = startClient(lab.client, address, TALK);
    await client.report('connected');
    await client.report('session:open', undefined, 2_000);
    return client;
  }

  describe.each(FAMILIES)('over %s', (family) => {
    test('gives first contacts a session at either address', async () => {
      await lab.server.attach('west');
      await startServer(lab.server, TALK);
      await expectSession(lab.server.address('west', family));
      await expectSession(lab.server.address('east', family));
    });

    test('gives them one at an address that it got later, while sessions run and without any', async () => {
      await startServer(lab.server, TALK);
      await lab.server.attach('west');
      await expectSession(lab.server.address('west', family));
      await lab.server.detach('west');
      await expectSession(lab.server.address('east', family));
      await lab.server.attach('west');
      await expectSession(lab.server.address('west', family));
    });
  });

  test('does so as well for a listener on 0.0.0.0', async () => {
    await lab.server.attach('west');
    const server = new Exchange(lab.server, { listen: { host: '0.0.0.0', port: EXCHANGE_PORT }, ...TALK }, {});
    await server.report('listening');
    for (const network of ['west', 'east']) await expectSession(lab.server.address(network));
  });

  test('does so with the workers of a cluster', async () => {
    await lab.server.attach('west');
    const program = join(import.meta.dirname, 'programs', 'cluster-server.mjs');
    const server = lab.server.run('node', [program, String(EXCHANGE_PORT)], {
      nodeFlags: ['--import', builtPackage()],
    });
    await server.line(/^listening$/);
    for (const network of ['west', 'east', 'west']) {
      const client = new Exchange(
        lab.client,
        { connect: { host: lab.server.address(network), port: EXCHANGE_PORT } },
        {},
      );
      await client.report('session:open', undefined, 2_000);
    }
  });
});
