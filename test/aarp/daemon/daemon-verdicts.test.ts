/** The connection to a running aarpd, and what processes tell each other about destinations by it. */
import { describe, expect, it } from 'vitest';
import { DaemonConnection } from '../../../src/aarp/io/daemon/daemon-connection.ts';
import { DaemonVerdicts } from '../../../src/aarp/io/daemon/daemon-verdicts.ts';
import { DaemonBed } from './daemon-bed.ts';

const DESTINATION = { ip: '2001:db8::1', port: 443 };
const bed = new DaemonBed();

const connect = (): DaemonConnection => bed.opened(new DaemonConnection(bed.path));

/** Answers come in the order of the questions: when this one has, those before it have too. */
async function settled(connection: DaemonConnection): Promise<void> {
  await new Promise<void>((onReply, onLost) => {
    const question = { onReply: () => onReply(), onLost: () => onLost() };
    if (connection.ask({ verb: 'stats' }, question) === undefined) onLost();
  });
}

describe('verdicts about destinations', () => {
  it('are heard by others as they were told, and of nothing else', async () => {
    await bed.start();
    const [one, other] = [connect(), connect()];
    const told = new DaemonVerdicts(one);
    told.tell(DESTINATION, 'plain', 60_000);
    told.tell({ ...DESTINATION, port: 444 }, 'mobile', 60_000);
    await settled(one);
    const heard: [string, number][] = [];
    const asked = new DaemonVerdicts(other);
    for (const port of [443, 444, 445]) {
      asked.ask({ ...DESTINATION, port }, (verdict, ttlMs) => heard.push([verdict, ttlMs]));
    }
    await settled(other);
    expect(heard.map(([verdict]) => verdict)).toEqual(['plain', 'mobile']);
    for (const [, ttlMs] of heard) expect(ttlMs).toBeGreaterThan(50_000);
  });

  it('are asked for in vain where there is no aarpd', async () => {
    const connection = connect();
    const verdicts = new DaemonVerdicts(connection);
    verdicts.tell(DESTINATION, 'plain', 60_000);
    const lost = new Promise<void>((onLost) => {
      connection.ask({ verb: 'stats' }, { onReply: () => expect.unreachable(), onLost });
    });
    verdicts.ask(DESTINATION, () => expect.unreachable());
    await lost;
  });
});

describe('a connection', () => {
  it('that somebody has to hear from is made again when aarpd comes back', async () => {
    const heard: (string | undefined)[] = [];
    connect().watch(([what]) => heard.push(what), true);
    await bed.start();
    const teller = connect();
    const flushed = (): typeof heard => {
      teller.tell({ verb: 'flush' });
      return heard;
    };
    await expect.poll(flushed, { timeout: 5_000 }).toContain('flush');
  });
});
