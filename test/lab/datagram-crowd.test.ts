/** A server with many datagram flows moves: all of them go on, and soon. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bufferOverflows } from './datagram-log.ts';
import { type DatagramEnd, expectNothingWrong, startDatagramPair } from './datagram-pair.ts';
import { createLab, type Lab, labMissing } from './index.ts';
import { MoveWatch } from './pause.ts';

const missing = await labMissing();
const FLOWS = process.env.MOBISOCK_TEST_LONG === '1' ? 2_000 : 500;
/** For all flows together. */
const LIGHT = { bytes: 60, everyMs: 2, burst: 4 };
/** Generous: it tells a crowd from a stall. */
const ALL_AGAIN_MS = 10_000;

describe.skipIf(missing)('a server with many datagram flows', { timeout: 120_000 }, () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  /** How long after `at` each flow has moved for the first time, in ms, shortest first. */
  async function moved(end: DatagramEnd, before: number, at: number): Promise<number[]> {
    const firsts = (): number[] => {
      const latestFirst = end.events('move').slice(before).reverse();
      return [...new Map(latestFirst.map((event) => [event.session, event.at - at])).values()];
    };
    await expect.poll(() => firsts().length, { timeout: ALL_AGAIN_MS, interval: 100 }).toBe(FLOWS);
    return firsts().sort((a, b) => a - b);
  }

  function text(sorted: readonly number[]): string {
    const at = (share: number): string => (sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN).toFixed(0);
    return `${at(0.5)} / ${at(0.95)} / ${at(1)} ms (50 / 95 / 100 %)`;
  }

  test.each([
    ['which nobody uses', false],
    ['with two thousand datagrams a second each way', true],
  ])(`moves with all of them, ${FLOWS} %s`, async (_, loaded) => {
    // Before there are flows, since it changes a route, and all would ask whether they still have a path.
    const watch = await MoveWatch.start(lab.server);
    const plan = { client: { send: LIGHT, sockets: FLOWS }, server: { send: LIGHT }, limitMs: 60_000, held: true };
    const pair = await startDatagramPair(lab, plan);
    const { client, server } = pair;
    if (loaded) for (const end of [client, server]) end.begin();
    if (loaded) await Promise.all([client.firstAfter(0), server.firstAfter(0)]);
    for (const network of ['west', 'east', 'west'] as const) {
      const before = [client.events('move').length, server.events('move').length] as const;
      const overflows = await bufferOverflows(lab.server);
      const usableAt = await watch.move(network, { outageMs: 200 });
      const [atClient, atServer] = await Promise.all([
        moved(client, before[0], usableAt),
        moved(server, before[1], usableAt),
      ]);
      const lost = (await bufferOverflows(lab.server)) - overflows;
      console.log(
        `told of the move: ${text(atClient)}, answered: ${text(atServer)}, ${lost} lost in the server's buffer`,
      );
      if (loaded) {
        for (const end of [client, server]) {
          const firsts = (await end.firstAfter(usableAt)).map((first) => first - usableAt).sort((a, b) => a - b);
          console.log(`first datagram at ${end.program.title.split(':')[0]}: ${text(firsts)}`);
          expect(firsts.at(-1)).toBeLessThan(ALL_AGAIN_MS);
        }
      }
    }
    await expectNothingWrong(pair);
  });
});
