/** The resolver through aarpd, and what becomes of its callers when aarpd does not answer. */
import { once } from 'node:events';
import net, { type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { samplesOf } from '../../../src/aarp/daemon/metrics.ts';
import type { Daemon } from '../../../src/aarp/io/daemon/daemon.ts';
import { DaemonConnection } from '../../../src/aarp/io/daemon/daemon-connection.ts';
import { DaemonResolver } from '../../../src/aarp/io/daemon/daemon-resolver.ts';
import { UnresolvedError } from '../../../src/aarp/resolution.ts';
import { UsageError } from '../../../src/core/errors.ts';
import { DaemonBed } from './daemon-bed.ts';
import { TableResolver } from './table-resolver.ts';

const SERVICE = 'fd00::53';

const bed = new DaemonBed();
const opened = bed.opened.bind(bed);
const daemon = (resolver: TableResolver): Promise<Daemon> => bed.start(resolver);

/** aarpd names one member, this process another: so that it shows who was asked. */
const behindDaemon = (): TableResolver => new TableResolver({ [SERVICE]: '2001:db8::d' });
const here = (): TableResolver => new TableResolver({ [SERVICE]: '2001:db8::e' });

function resolver(fallback: TableResolver = here()): DaemonResolver {
  return opened(new DaemonResolver({ connection: new DaemonConnection(bed.path), fallback: () => fallback }));
}

function askedAnew(asking: DaemonResolver): Promise<string> {
  asking.flush();
  return memberOf(asking.resolve(SERVICE));
}

async function memberOf(asked: Promise<{ readonly unicast: string }>): Promise<string> {
  return (await asked).unicast;
}

describe('through aarpd', () => {
  it('an answer is aarpd’s, and kept for a while', async () => {
    const table = behindDaemon();
    await daemon(table);
    const asking = resolver();
    expect(asking.cached(SERVICE)).toBeUndefined();
    expect(await asking.resolve('FD00::0:53')).toEqual({
      address: SERVICE,
      unicast: '2001:db8::d',
      kind: 'anycast',
      confirmed: true,
      ttlMs: 60_000,
    });
    expect(asking.cached(SERVICE)).toMatchObject({ unicast: '2001:db8::d', kind: 'anycast' });
    await asking.resolve(SERVICE);
    expect(table.asked).toEqual([SERVICE]);
  });

  it('many questions go without waiting for each other, and one an address', async () => {
    const addresses = Array.from({ length: 300 }, (_, i) => `fd00::1:${i.toString(16)}`);
    const table = new TableResolver(Object.fromEntries(addresses.map((address) => [address, address])));
    table.held = true;
    await daemon(table);
    const asking = resolver();
    const answers = Promise.all([...addresses, ...addresses].map((address) => asking.resolve(address)));
    while (table.asked.length < 64) await new Promise(setImmediate);
    table.release();
    expect((await answers).map(({ unicast }) => unicast)).toEqual([...addresses, ...addresses]);
    expect(table.asked).toHaveLength(300);
  });

  it('a copy ends when aarpd forgets, whoever has told it to', async () => {
    const table = behindDaemon();
    await daemon(table);
    const [one, other] = [resolver(), resolver()];
    for (const forget of [() => one.failed(SERVICE, '2001:db8::d'), () => one.flush(SERVICE), () => one.flush()]) {
      await Promise.all([one.resolve(SERVICE), other.resolve(SERVICE)]);
      expect(other.cached(SERVICE)).toBeDefined();
      forget();
      await expect.poll(() => other.cached(SERVICE)).toBeUndefined();
    }
  });

  it('what nobody answers is told as the resolver here would tell it', async () => {
    await daemon(behindDaemon());
    const fallback = here();
    const asking = resolver(fallback);
    await expect(asking.resolve('fd00::1')).rejects.toThrow(UnresolvedError);
    await expect(asking.resolve('fd00::1')).rejects.toMatchObject({ reason: 'silent', address: 'fd00::1' });
    expect(fallback.asked).toEqual([]);
  });

  it('a probe that takes long is asked for here too, and the connection stays', async () => {
    const table = new TableResolver({ [SERVICE]: '2001:db8::d', 'fd00::9': 'fd00::9' });
    const running = await daemon(table);
    const asking = resolver();
    await asking.resolve('fd00::9');
    table.held = true;
    expect(await memberOf(asking.resolve(SERVICE))).toBe('2001:db8::e');
    table.release();
    await expect.poll(() => askedAnew(asking), { timeout: 5_000 }).toBe('2001:db8::d');
    const counts = new Map(running.metrics().flatMap(samplesOf));
    expect(counts.get('aarpd_requests_total{verb="hello"}')).toBe(2);
    expect(counts.get('aarpd_clients_accepted_total')).toBe(1);
  });

  it('a member that failed is told, and asked about anew', async () => {
    const table = behindDaemon();
    await daemon(table);
    const asking = resolver();
    await asking.resolve(SERVICE);
    asking.failed(SERVICE, '2001:db8::d');
    expect(asking.cached(SERVICE)).toBeUndefined();
    await asking.resolve(SERVICE);
    expect(table.said).toEqual([`failed ${SERVICE} 2001:db8::d`]);
    asking.flush(SERVICE);
    await asking.resolve(SERVICE);
    asking.flush();
    await asking.resolve(SERVICE);
    expect(table.said.slice(1)).toEqual([`flush ${SERVICE}`, 'flush all']);
    expect(table.asked).toHaveLength(4);
  });
});

describe('without aarpd', () => {
  it('questions go to the resolver in this process', async () => {
    expect(await memberOf(resolver().resolve(SERVICE))).toBe('2001:db8::e');
  });

  it('what is no address is refused as there', async () => {
    const asking = opened(
      new DaemonResolver({
        connection: new DaemonConnection(bed.path),
        fallback: () =>
          Object.assign(here(), { resolve: (text: string) => Promise.reject(new UsageError(`${text}: no address`)) }),
      }),
    );
    await expect(asking.resolve('nobody')).rejects.toThrow('nobody: no address');
  });

  it('one that comes is found, one that goes costs nobody an answer', async () => {
    const asking = resolver();
    expect(await memberOf(asking.resolve(SERVICE))).toBe('2001:db8::e');
    const table = behindDaemon();
    const running = await daemon(table);
    await expect.poll(() => askedAnew(asking), { timeout: 5_000 }).toBe('2001:db8::d');
    await running.close();
    expect(await askedAnew(asking)).toBe('2001:db8::e');
    await daemon(behindDaemon());
    await expect.poll(() => askedAnew(asking), { timeout: 10_000 }).toBe('2001:db8::d');
  });

  it.each([
    ['ends', (socket: Socket) => socket.destroy()],
    ['is something else', (socket: Socket) => socket.write('220 mail.example.org ESMTP\r\n')],
    ['speaks another version', (socket: Socket) => socket.write('hello error version version 7 is spoken here\n')],
    ['answers nonsense', (socket: Socket) => socket.write('hello ok 1 x\n1 ok anycast nowhere confirmed 1\n')],
    ['is full', (socket: Socket) => socket.end('- error busy too many clients\n')],
    ['floods', (socket: Socket) => socket.write('x'.repeat(100_000))],
    ['is silent', () => {}],
  ])('a daemon that %s costs nobody an answer', async (_, act) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => act(socket));
    });
    server.listen(bed.path);
    await once(server, 'listening');
    opened(server);
    const fallback = here();
    const asking = resolver(fallback);
    expect(await askedAnew(asking)).toBe('2001:db8::e');
    expect(await askedAnew(asking)).toBe('2001:db8::e');
    expect(fallback.asked).toHaveLength(2);
    asking.close();
  });

  it('those who wait when it is closed are told', async () => {
    const table = behindDaemon();
    table.held = true;
    await daemon(table);
    const asking = resolver();
    const answer = asking.resolve(SERVICE);
    while (table.asked.length === 0) await new Promise(setImmediate);
    asking.close();
    await expect(answer).rejects.toMatchObject({ reason: 'closed' });
    await expect(asking.resolve(SERVICE)).rejects.toMatchObject({ reason: 'closed' });
  });
});
