/** What processes tell each other about destinations, through a running aarpd. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDaemon } from '../../src/aarp/io/daemon.ts';
import { DaemonConnection } from '../../src/aarp/io/daemon-connection.ts';
import { DaemonVerdicts } from '../../src/aarp/io/daemon-verdicts.ts';
import { TableResolver } from './table-resolver.ts';

const DESTINATION = { ip: '2001:db8::1', port: 443 };

describe('verdicts about destinations', () => {
  let directory: string;
  let path: string;
  const open: { close(): unknown }[] = [];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'aarpd-'));
    path = join(directory, 'aarpd.sock');
  });
  afterEach(async () => {
    for (const thing of open.splice(0).reverse()) await thing.close();
    rmSync(directory, { recursive: true });
  });

  async function startDaemon(): Promise<void> {
    const options = { software: 'mobisock/test', otherMetrics: () => [], warn: () => {} };
    open.push(await openDaemon({ listen: { path, mode: 0o600 }, resolver: new TableResolver({}), ...options }));
  }

  /** A connection of its own, as another process has, and what its user hears. */
  function user(): { readonly connection: DaemonConnection; readonly verdicts: DaemonVerdicts } {
    const connection = new DaemonConnection(path);
    open.push(connection);
    return { connection, verdicts: new DaemonVerdicts(connection) };
  }

  /** Answers come in the order of the questions: when this one has, those before it have too. */
  async function settled({ connection }: { readonly connection: DaemonConnection }): Promise<void> {
    await new Promise<void>((onReply, onLost) => {
      if (connection.ask({ verb: 'flush' }, { onReply: () => onReply(), onLost }) === undefined) onLost();
    });
  }

  it('are heard by others as they were told, until they run out', async () => {
    await startDaemon();
    const [one, other] = [user(), user()];
    one.verdicts.tell(DESTINATION, 'plain', 60_000);
    one.verdicts.tell({ ...DESTINATION, port: 444 }, 'mobile', 60_000);
    await settled(one);
    const heard: [string, number][] = [];
    for (const port of [443, 444, 445]) {
      other.verdicts.ask({ ...DESTINATION, port }, (verdict, ttlMs) => heard.push([verdict, ttlMs]));
    }
    await settled(other);
    expect(heard.map(([verdict]) => verdict)).toEqual(['plain', 'mobile']);
    for (const [, ttlMs] of heard) expect(ttlMs).toBeGreaterThan(50_000);
  });

  it('are asked for in vain where there is no aarpd', async () => {
    const alone = user();
    alone.verdicts.tell(DESTINATION, 'plain', 60_000);
    const lost = new Promise<void>((onLost) => {
      alone.connection.ask({ verb: 'stats' }, { onReply: () => {}, onLost });
    });
    alone.verdicts.ask(DESTINATION, () => expect.unreachable());
    await lost;
  });
});

describe('a connection', () => {
  it('that somebody has to hear from is made again when aarpd comes back', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'aarpd-'));
    const path = join(directory, 'aarpd.sock');
    const options = { software: 'mobisock/test', otherMetrics: () => [], warn: () => {} };
    const connection = new DaemonConnection(path);
    try {
      const heard: string[] = [];
      connection.watch(([what = '']) => heard.push(what), true);
      const daemon = await openDaemon({ listen: { path, mode: 0o600 }, resolver: new TableResolver({}), ...options });
      const teller = new DaemonConnection(path);
      await expect
        .poll(
          () => {
            teller.tell({ verb: 'flush' });
            return heard;
          },
          { timeout: 5_000 },
        )
        .toContain('flush');
      teller.close();
      await daemon.close();
    } finally {
      connection.close();
      rmSync(directory, { recursive: true });
    }
  });
});
