/** Datagram flows of unmodified programs through moves of either end, whoever sends. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DatagramPair, type DatagramSendPlan, expectNothingWrong, startDatagramPair } from './datagram-pair.ts';
import { createLab, type Host, type Lab, labMissing } from './index.ts';
import { MoveWatch, pauseText } from './pause.ts';

const missing = await labMissing();
const long = process.env.MOBISOCK_TEST_LONG === '1';
const MOVES = long ? 20 : 4;
/** Generous, as for streams: it only tells a pause from a stall. */
const STALL_MS = 1_000;
/** So often that the next datagram hardly adds to the pause. */
const STEADY: DatagramSendPlan = { bytes: 100, everyMs: 1 };
const NETWORKS = { client: ['wifi', 'lte'], server: ['east', 'west'] } as const;

describe.skipIf(missing)('a datagram flow', { timeout: 60_000 }, () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  /** From the moment that the new network can be used to the first datagram at each end, in ms. */
  async function pauses(
    { client, server }: DatagramPair,
    usableAt: number,
  ): Promise<{ client: number; server: number }> {
    const first = async (end: typeof client, sender: typeof client): Promise<number> => {
      if ((await sender.status()).peers[0]?.sent === 0) return Number.NaN;
      return ((await end.firstAfter(usableAt))[0] ?? Number.NaN) - usableAt;
    };
    return { client: await first(client, server), server: await first(server, client) };
  }

  describe.each(['ipv4', 'ipv6'] as const)('over %s', (family) => {
    test.each([
      ['client', 'both ends send', STEADY, STEADY],
      ['client', 'only the client sends', STEADY, undefined],
      ['client', 'only the server sends', undefined, STEADY],
      ['server', 'both ends send', STEADY, STEADY],
      ['server', 'only the client sends', STEADY, undefined],
      ['server', 'only the server sends', undefined, STEADY],
    ] as const)('goes on when the %s moves, with outages of 200 ms, and %s', async (mover, who, client, server) => {
      const pair = await startDatagramPair(lab, { client: { send: client }, server: { send: server }, family });
      const host: Host = lab[mover];
      const watch = await MoveWatch.start(host);
      const all: { client: number; server: number }[] = [];
      for (let move = 1; move <= MOVES; move++) {
        const usableAt = await watch.move(NETWORKS[mover][move % 2] as string, { outageMs: 200 });
        all.push(await pauses(pair, usableAt));
      }
      for (const end of ['client', 'server'] as const) {
        const pausesMs = all.map((each) => each[end]).filter((each) => !Number.isNaN(each));
        if (pausesMs.length === 0) continue;
        console.log(`pause at the ${end}, the ${mover} moves, ${who}, ${family}: ${pauseText(pausesMs)}`);
        expect(Math.max(...pausesMs)).toBeLessThan(STALL_MS);
      }
      await expectNothingWrong(pair);
    });
  });

  test.each(['ipv4', 'ipv6'] as const)(
    'goes on after ten moves there and back in ten seconds, over %s',
    async (family) => {
      const pair = await startDatagramPair(lab, { client: { send: STEADY }, server: { send: STEADY }, family });
      const watch = await MoveWatch.start(lab.client);
      for (let move = 1; move <= 10; move++) {
        const second = sleep(1_000);
        const usableAt = await watch.move(NETWORKS.client[move % 2] as string);
        const { client, server } = await pauses(pair, usableAt);
        expect(Math.max(client, server)).toBeLessThan(STALL_MS);
        await second;
      }
      await expectNothingWrong(pair);
    },
  );
});
