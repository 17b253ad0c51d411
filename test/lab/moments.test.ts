/** Moves at the worst moments: in the handshake, in a half-close, in a close, with full buffers, behind a NAT. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  expectAllDelivered,
  expectClosedInOrder,
  FULL,
  PACED,
  startClient,
  startPair,
  startServer,
} from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();

describe.skipIf(missing)('a move', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  /** Drops what carries data or acknowledges it, and lets connections be made. */
  async function dropAllButSyn(match: string): Promise<void> {
    await lab.router.nft(`add rule inet lab conditions ${match} tcp flags & syn == 0 drop`);
  }

  describe('in the handshake', () => {
    test('while the answer to L4_INIT is under way: the application is connected, one way or the other', async () => {
      const server = await startServer(lab.server, { send: PACED });
      await lab.conditions.blackhole({ to: 'wifi', protocol: 'udp' });
      const inits = await lab.conditions.count({ from: 'wifi', protocol: 'udp' });
      const client = startClient(lab.client, lab.server.address('east', 'ipv6'), { send: PACED });
      await expect.poll(async () => (await inits.traffic()).packets).toBeGreaterThan(0);
      // Without a gap: a connect that begins while there is no network fails as it does without mobisock.
      await lab.client.attach('lte');
      await lab.client.detach('wifi');
      await client.report('connected');
      await Promise.all([client.progress(), server.progress()]);
      await expectAllDelivered({ client, server });
    });

    test.each([
      ['after OPEN has come and before OPEN_OK has', 'oifname "wifi"'],
      ['before OPEN has come', 'iifname "wifi"'],
    ])('%s', async (_, match) => {
      const server = await startServer(lab.server, { send: PACED });
      await dropAllButSyn(match);
      const client = startClient(lab.client, lab.server.address('east', 'ipv6'), { send: PACED });
      await client.report('session:open');
      await client.report('connected');
      if (match.startsWith('oifname')) await server.report('session:open');
      expect((await client.status()).exchanges[0]?.received).toBe(0);
      await lab.client.move('lte');
      await client.progress();
      await server.progress();
      await expectAllDelivered({ client, server });
    });
  });

  describe('in the close', () => {
    test.each(['client', 'server'] as const)(
      'when the %s has ended its stream and the other goes on',
      async (first) => {
        const pair = await startPair(lab);
        const second = first === 'client' ? 'server' : 'client';
        pair[first].tell('finish');
        await pair[second].report('end');
        await lab.client.move('lte', { outageMs: 200 });
        await pair[first].progress();
        pair[second].tell('finish');
        await expectClosedInOrder(pair);
      },
    );

    test.each([
      ['neither end of stream has come', [{ from: 'wifi' }, { to: 'wifi' }]],
      ["the server's end and its acknowledgements are lost", [{ to: 'wifi' }]],
      ["the client's end and its acknowledgements are lost", [{ from: 'wifi' }]],
    ])('when both have ended and %s', async (_, lost) => {
      const pair = await startPair(lab);
      for (const match of lost) await lab.conditions.blackhole(match);
      pair.client.tell('finish');
      pair.server.tell('finish');
      await lab.client.move('lte', { outageMs: 200 });
      await expectClosedInOrder(pair);
    });
  });

  describe('with one-sided traffic', () => {
    test('while the sender is held up by a reader that does not read', async () => {
      const pair = await startPair(lab, { client: { send: FULL }, server: { read: false } });
      let sent = -1;
      const heldUp = (exchange: { sent: number; writableNeedDrain: boolean }): boolean => {
        const held = exchange.writableNeedDrain && exchange.sent === sent;
        sent = exchange.sent;
        return held;
      };
      await pair.client.until(heldUp);
      await lab.client.move('lte', { outageMs: 200 });
      await pair.client.report('session:move');
      expect((await pair.client.status()).exchanges[0]?.sent).toBe(sent);
      pair.server.tell('read');
      await pair.server.progress(16 << 20);
      await expectAllDelivered(pair);
    });

    test('of a client that only receives', async () => {
      const pair = await startPair(lab, { client: {}, server: { send: PACED } });
      for (const network of ['lte', 'wifi'] as const) {
        await lab.client.move(network, { outageMs: 200 });
        await pair.client.progress();
      }
      await expectAllDelivered(pair);
    });

    test('of a server that only receives', async () => {
      const pair = await startPair(lab, { client: { send: PACED }, server: {} });
      for (const network of ['west', 'east'] as const) {
        await lab.server.move(network, { outageMs: 200 });
        await pair.server.progress();
      }
      await expectAllDelivered(pair);
    });

    test('of a session on which nobody says anything, before and after', async () => {
      const pair = await startPair(lab, { client: {}, server: {} });
      await lab.client.move('lte', { outageMs: 200 });
      await pair.client.report('session:move');
      await expectAllDelivered(pair);
    });
  });

  describe.each(['silent', 'reset'] as const)('of a NAT to other ports, which makes old flows %s,', (established) => {
    test.each([
      ['both send', { send: PACED }, { send: PACED }],
      ['only the server sends', {}, { send: PACED }],
      ['only the client sends', { send: PACED }, {}],
    ])('while %s', async (_, clientPlan, serverPlan) => {
      await lab.nat.enable({ networks: ['wifi'] });
      await lab.conditions.blockInbound('wifi');
      const pair = await startPair(lab, { family: 'ipv4', client: clientPlan, server: serverPlan });
      for (let i = 0; i < 2; i++) {
        await lab.nat.rebind({ established });
        if ('send' in serverPlan) await pair.client.progress();
        if ('send' in clientPlan) await pair.server.progress();
      }
      await expectAllDelivered(pair);
    });
  });
});
