/** Hosts that vanish: sessions are kept for the time agreed, writers wait, memory stays. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type Exchange, type ExchangePlan, FULL, type Pair, startPair } from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
const TIMEOUT_MS = 4_000;
/** A responder first waits as long as the answer to its data may take on a slow link. */
const RESPONDER_PATIENCE_MS = 8_000;
/** What a process may take beside its buffers: noise of the garbage collector. */
const SPARE_BYTES = 48 << 20;
const env = { MOBISOCK_SESSION_TIMEOUT: `${TIMEOUT_MS}ms` };

describe.skipIf(missing).concurrent('when the other host has vanished without a word', () => {
  async function withPair(
    client: ExchangePlan,
    server: ExchangePlan,
    run: (pair: Pair, lab: Lab) => Promise<void>,
  ): Promise<void> {
    const lab = await createLab();
    try {
      await run(await startPair(lab, { client: { ...client, env }, server: { ...server, env } }), lab);
    } finally {
      await lab.close();
    }
  }

  async function vanish(lab: Lab): Promise<number> {
    await Promise.all([lab.conditions.blackhole({ from: 'wifi' }), lab.conditions.blackhole({ to: 'wifi' })]);
    return Date.now();
  }

  /** Follows a writer from now until its socket closes; the figures are its last ones before that. */
  async function follow(
    writer: Exchange,
    limitMs: number,
  ): Promise<{ code: string | undefined; at: number; grown: number; queued: number; drains: number }> {
    const before = await writer.status();
    let queued = 0;
    let peak = before.rss ?? 0;
    let drains = 0;
    const firstDrains = before.exchanges[0]?.drains ?? 0;
    const ended = writer.report('error', undefined, limitMs);
    let open = true;
    void ended
      .finally(() => {
        open = false;
      })
      .catch(() => {});
    while (open) {
      const { rss, exchanges } = await writer.status();
      const [exchange] = exchanges;
      if (exchange === undefined) break;
      queued = Math.max(queued, exchange.writableLength);
      drains = exchange.drains - firstDrains;
      peak = Math.max(peak, rss ?? 0);
      await sleep(100);
    }
    const { code, at } = await ended;
    return { code, at, grown: peak - (before.rss ?? 0), queued, drains };
  }

  test('a writer that minds back-pressure hears no drain, takes no memory, and gets ETIMEDOUT at its time', {
    timeout: 40_000,
  }, async () => {
    await withPair({ send: FULL }, {}, async ({ client }, lab) => {
      const vanishedAt = await vanish(lab);
      // What was on its way through the buffers of node and kernel.
      await client.until(({ writableNeedDrain }) => writableNeedDrain);
      await client.report('session:suspend', undefined, 15_000).catch(() => {});
      const { code, at, grown, drains } = await follow(client, 30_000);
      console.log(`ETIMEDOUT at the client after ${at - vanishedAt} ms, memory grew by ${grown >> 10} KiB`);
      expect(code).toBe('ETIMEDOUT');
      expect(at - vanishedAt).toBeGreaterThanOrEqual(TIMEOUT_MS);
      expect(drains).toBe(0);
      expect(grown).toBeLessThan(SPARE_BYTES);
    });
  });

  test('a writer that ignores back-pressure grows by what it writes and by no more', { timeout: 40_000 }, async () => {
    await withPair({ send: { bytes: 64 << 10, everyMs: 5, heedless: true } }, {}, async ({ client }, lab) => {
      const vanishedAt = await vanish(lab);
      const { code, at, grown, queued } = await follow(client, 30_000);
      console.log(
        `heedless: ${queued >> 20} MiB queued, memory grew by ${grown >> 20} MiB, ETIMEDOUT after ${at - vanishedAt} ms`,
      );
      expect(code).toBe('ETIMEDOUT');
      expect(queued).toBeGreaterThan(8 << 20);
      expect(grown).toBeLessThan(queued + SPARE_BYTES);
    });
  });

  test('a server that sends gets ETIMEDOUT as well', { timeout: 60_000 }, async () => {
    await withPair({}, { send: FULL }, async ({ server }, lab) => {
      const vanishedAt = await vanish(lab);
      const { code, at, grown } = await follow(server, 40_000);
      console.log(`ETIMEDOUT at the server after ${at - vanishedAt} ms, memory grew by ${grown >> 10} KiB`);
      expect(code).toBe('ETIMEDOUT');
      expect(at - vanishedAt).toBeGreaterThanOrEqual(TIMEOUT_MS);
      expect(at - vanishedAt).toBeLessThan(RESPONDER_PATIENCE_MS + 2 * TIMEOUT_MS);
      expect(grown).toBeLessThan(SPARE_BYTES);
    });
  });

  test('a session is kept until just before its time, and goes on when the host is back', {
    timeout: 40_000,
  }, async () => {
    await withPair({ send: FULL }, { send: FULL }, async (pair, lab) => {
      await vanish(lab);
      await sleep(TIMEOUT_MS - 1_000);
      await lab.conditions.clear();
      await Promise.all([pair.client.progress(), pair.server.progress()]);
    });
  });
});
