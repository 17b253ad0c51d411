/** Sessions in real kernels through moves: every byte arrives, once and in order, in both directions. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectAllDelivered, startPair } from './exchange.ts';
import { createLab, type Families, type Family, type Lab, labMissing } from './index.ts';
import { MoveWatch, notePauses, type Pauses, pauseText } from './pause.ts';

const missing = await labMissing();
const long = process.env.MOBISOCK_TEST_LONG === '1';
/** Generous: the bench measures; this only tells a pause from a stall. */
const STALL_MS = 1_000;

describe.skipIf(missing)('a session that moves', () => {
  let lab: Lab;
  let pauses: Pauses;
  beforeEach(async () => {
    lab = await createLab();
    pauses = { client: [], server: [] };
  });
  afterEach(() => lab.close());

  function expectShortPauses(title: string): void {
    const { client, server } = pauses;
    console.log(`pause, ${title}: at the client ${pauseText(client)}, at the server ${pauseText(server)}`);
    expect(Math.max(...client, ...server)).toBeLessThan(STALL_MS);
  }

  describe('with its client', () => {
    test.each([
      ['IPv6', 'ipv6', 'both', 'both'],
      ['IPv4', 'ipv4', 'both', 'both'],
      ['IPv6 and then IPv4', 'ipv6', 'ipv6', 'ipv4'],
      ['IPv4 and then IPv6', 'ipv4', 'ipv4', 'ipv6'],
    ] as const satisfies readonly (readonly [string, Family, Families, Families])[])(
      'loses, doubles and reorders nothing while both sides send, with outages of 200 ms, over %s',
      async (title, family, before, after) => {
        await lab.client.attach('wifi', before);
        const { client, server } = await startPair(lab, { family });
        const watch = await MoveWatch.start(lab.client);
        const moves = 10;
        for (let i = 0; i < moves; i++) {
          const [network, families] = i % 2 === 0 ? (['lte', after] as const) : (['wifi', before] as const);
          const usableAt = await watch.move(network, { outageMs: 200, families });
          await notePauses(pauses, usableAt, client, server);
        }
        await expectAllDelivered({ client, server });
        expect(client.reports('session:move').length).toBeGreaterThanOrEqual(moves);
        expectShortPauses(`${title}, outages of 200 ms`);
      },
    );

    test('goes on after a move there and straight back', async () => {
      const pair = await startPair(lab);
      for (let i = 0; i < 3; i++) {
        await lab.client.move('lte');
        await lab.client.move('wifi');
        await Promise.all([pair.client.progress(), pair.server.progress()]);
      }
      await expectAllDelivered(pair);
    });

    test('goes on after ten moves in ten seconds', async () => {
      const { client, server } = await startPair(lab);
      const watch = await MoveWatch.start(lab.client);
      for (let i = 0; i < 10; i++) {
        const second = sleep(1_000);
        const usableAt = await watch.move(i % 2 === 0 ? 'lte' : 'wifi');
        await notePauses(pauses, usableAt, client, server);
        await second;
      }
      await expectAllDelivered({ client, server });
      expectShortPauses('ten moves in ten seconds');
    });

    test(`goes on after ${long ? 60 : 10} seconds without any network`, { timeout: 90_000 }, async () => {
      const { client, server } = await startPair(lab);
      const watch = await MoveWatch.start(lab.client);
      const usableAt = await watch.move('lte', { outageMs: long ? 60_000 : 10_000 });
      await notePauses(pauses, usableAt, client, server);
      await expectAllDelivered({ client, server });
      expectShortPauses(`${long ? 60 : 10} s without network`);
    });

    test('changes over without a break when the second network is there before the first one goes', async () => {
      const { client, server } = await startPair(lab);
      for (let i = 0; i < 10; i++) {
        const [next, left] = i % 2 === 0 ? ['lte', 'wifi'] : ['wifi', 'lte'];
        await lab.client.attach(next as string);
        await Promise.all([client.progress(), server.progress()]);
        await lab.client.detach(left);
        await notePauses(pauses, Date.now(), client, server);
        const { ipv4, ipv6 } = lab.client.network(next as string).hostAddress;
        await client.report('session:move', ({ local }) => local?.ip === ipv4 || local?.ip === ipv6);
      }
      await expectAllDelivered({ client, server });
      expectShortPauses('make before break');
    });
  });

  describe('with its server', () => {
    test('goes on when the client has nothing but the word of the moved server', async () => {
      const { client, server } = await startPair(lab);
      const watch = await MoveWatch.start(lab.server);
      for (let i = 0; i < 10; i++) {
        const usableAt = await watch.move(i % 2 === 0 ? 'west' : 'east', { outageMs: 200 });
        await notePauses(pauses, usableAt, client, server);
      }
      await expectAllDelivered({ client, server });
      expectShortPauses('the server moves, outages of 200 ms');
    });

    test('goes on when client and server move at once and the server keeps an address that the client knows', async () => {
      await lab.server.attach('west');
      const { client, server } = await startPair(lab);
      await Promise.all([lab.client.move('lte'), lab.server.detach('east')]);
      await notePauses(pauses, Date.now(), client, server);
      await client.report(
        'session:move',
        ({ remote }) => remote?.ip.endsWith(':4::2') === true || remote?.ip === '10.77.4.2',
      );
      await expectAllDelivered({ client, server });
      expectShortPauses('both move, the server keeps an address');
    });

    test('goes on when client and server move at once and the client keeps an address that the server knows', async () => {
      await lab.client.attach('lte');
      const { client, server } = await startPair(lab);
      await Promise.all([lab.client.detach('wifi'), lab.server.move('west')]);
      await notePauses(pauses, Date.now(), client, server);
      await expectAllDelivered({ client, server });
      expectShortPauses('both move, the client keeps an address');
    });
  });
});
