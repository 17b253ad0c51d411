/** Sessions in real kernels through moves: every byte arrives, once and in order, in both directions. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectAllDelivered, startPair } from './exchange.ts';
import { createLab, type Families, type Family, type Lab, labMissing } from './index.ts';
import { MoveWatch, notePauses, type Pauses, pauseText } from './pause.ts';

const missing = await labMissing();
/** Generous: the bench measures; this only tells a pause from a stall. */
const STALL_MS = 1_000;

describe.skipIf(missing)('a session whose client moves', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

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
      const pauses: Pauses = { client: [], server: [] };
      const moves = 10;
      for (let i = 0; i < moves; i++) {
        const [network, families] = i % 2 === 0 ? (['lte', after] as const) : (['wifi', before] as const);
        const usableAt = await watch.move(network, { outageMs: 200, families });
        await notePauses(pauses, usableAt, client, server);
      }
      await expectAllDelivered({ client, server });
      expect(client.reports('session:move').length).toBeGreaterThanOrEqual(moves);
      console.log(
        `pause over ${title}: at the client ${pauseText(pauses.client)}, at the server ${pauseText(pauses.server)}`,
      );
      expect(Math.max(...pauses.client, ...pauses.server)).toBeLessThan(STALL_MS);
    },
  );
});
