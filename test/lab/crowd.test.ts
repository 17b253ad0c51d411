/** Many sessions at once, and networks that lose packets. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectAllDelivered, expectClosedInOrder, startClient, startPair, startServer } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';
import { MoveWatch, notePauses, type Pauses, pauseText } from './pause.ts';

const missing = await labMissing();
const LIGHT = { bytes: 512, everyMs: 50 };

describe.skipIf(missing)('moves', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ hosts: { client: ['wifi', 'lte'], server: ['east', 'west'], home: ['cable'] } });
  });
  afterEach(() => lab.close());

  test.each([{ percent: 2 }, { percent: 5 }])(
    'lose nothing where the network loses $percent % of the packets, both ways',
    { timeout: 60_000 },
    async ({ percent }) => {
      await lab.conditions.lose(percent * 10);
      const { client, server } = await startPair(lab);
      const watch = await MoveWatch.start(lab.client);
      const pauses: Pauses = { client: [], server: [] };
      for (let i = 0; i < 6; i++) {
        const usableAt = await watch.move(i % 2 === 0 ? 'lte' : 'wifi', { outageMs: 200 });
        await notePauses(pauses, usableAt, client, server);
        await Promise.all([client.progress(1 << 20), server.progress(1 << 20)]);
      }
      await expectAllDelivered({ client, server });
      console.log(
        `pause, ${percent} % loss: at the client ${pauseText(pauses.client)}, at the server ${pauseText(pauses.server)}`,
      );
    },
  );

  test('of a hundred sessions at once', { timeout: 60_000 }, async () => {
    const connections = 100;
    const pair = await startPair(lab, { client: { send: LIGHT, connections }, server: { send: LIGHT } });
    const watch = await MoveWatch.start(lab.client);
    for (const network of ['lte', 'wifi', 'lte']) {
      const usableAt = await watch.move(network, { outageMs: 200 });
      const firsts = await Promise.all([
        pair.client.firstAfter(usableAt, connections),
        pair.server.firstAfter(usableAt, connections),
      ]);
      const [atClient, atServer] = firsts.map((each) => pauseText(each.map((first) => first - usableAt)));
      console.log(`pause, 100 sessions: at the client ${atClient}, at the server ${atServer}`);
    }
    await expectAllDelivered(pair, connections);
  });

  test('of half of the hundred clients of a server leave the other half alone', { timeout: 60_000 }, async () => {
    const connections = 50;
    const server = await startServer(lab.server, { send: LIGHT });
    const address = lab.server.address('east', 'ipv6');
    const mover = startClient(lab.client, address, { send: LIGHT, connections });
    const stayer = startClient(lab.host('home'), address, { send: LIGHT, connections, firstNumber: connections });
    for (const client of [mover, stayer]) {
      await client.until(({ received }) => received > 0);
      expect(client.reports('session:open')).toHaveLength(connections);
    }
    for (const network of ['lte', 'wifi'] as const) {
      await lab.client.move(network, { outageMs: 200 });
      await Promise.all([mover.progress(), stayer.progress(), server.progress()]);
    }
    expect(stayer.reports('session:suspend')).toEqual([]);
    expect(stayer.reports('session:move')).toEqual([]);
    for (const exchange of [mover, stayer, server]) exchange.tell('finish');
    for (const client of [mover, stayer]) await expectClosedInOrder({ client, server }, connections);
  });
});
