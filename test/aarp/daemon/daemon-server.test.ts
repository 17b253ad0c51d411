/** aarpd's service on a unix socket, with clients of all kinds. */
import { once } from 'node:events';
import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { samplesOf } from '../../../src/aarp/daemon/metrics.ts';
import { type Daemon, type DaemonOptions, openDaemon } from '../../../src/aarp/io/daemon/daemon.ts';
import { LineClient } from './line-client.ts';
import { TableResolver } from './table-resolver.ts';

let directory: string;
let path: string;
const open = new Set<{ close(): unknown }>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aarpd-'));
  path = join(directory, 'aarpd.sock');
});
afterEach(async () => {
  for (const thing of [...open].reverse()) await thing.close();
  open.clear();
  rmSync(directory, { recursive: true });
});

async function daemon(resolver: TableResolver, options: Partial<DaemonOptions> = {}): Promise<Daemon> {
  const opened = await openDaemon({
    listen: { path, mode: 0o660 },
    resolver,
    software: 'mobisock/test',
    otherMetrics: () => [],
    warn: (message) => warnings.push(message),
    ...options,
  });
  open.add(opened);
  return opened;
}
const warnings: string[] = [];

async function client(): Promise<LineClient> {
  const connected = await LineClient.connect(path);
  open.add(connected);
  return connected;
}

function count(running: Daemon, name: string): number {
  const found = running
    .metrics()
    .flatMap(samplesOf)
    .find(([sample]) => sample === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found[1];
}

const members = (): TableResolver => new TableResolver({ 'fd00::53': '2001:db8::1', 'fd00::9': 'fd00::9' });

describe('a client', () => {
  it('gets answers a person can read', async () => {
    const resolver = members();
    await daemon(resolver);
    const asking = await client();
    expect(await asking.ask('1 hello 1')).toBe('1 ok 1 mobisock/test');
    expect(await asking.ask('2 hello 2')).toBe('2 error version version 1 is spoken here');
    expect(await asking.ask('3 resolve FD00::0:53\r')).toBe('3 ok anycast 2001:db8::1 confirmed 60000');
    expect(await asking.ask('4 resolve fd00::9')).toBe('4 ok unicast fd00::9 confirmed 60000');
    expect(await asking.ask('5 resolve fd00::1')).toBe('5 error silent fd00::1: no answer to probes');
    expect(await asking.ask('6 verdict get mobility [2001:db8::1]:443')).toBe('6 ok unknown');
    expect(await asking.ask('7 verdict put mobility [2001:db8::1]:443 plain 60000')).toBe('7 ok');
    expect(await asking.ask('8 verdict get mobility [2001:db8::1]:443')).toMatch(/^8 ok plain (?:60000|59\d\d\d)$/);
    expect(await asking.ask('9 verdict get cast fd00::53')).toMatch(/^9 ok anycast \d+$/);
    asking.send('10 list');
    const listed = await asking.take(4);
    expect(listed.map((line) => line.replace(/\d+$/, 'TTL'))).toEqual([
      '10 item cast fd00::53 anycast 2001:db8::1 confirmed TTL',
      '10 item cast fd00::9 unicast fd00::9 confirmed TTL',
      '10 item mobility [2001:db8::1]:443 plain TTL',
      '10 ok TTL',
    ]);
    expect(listed.at(-1)).toBe('10 ok 3');
    asking.send('11 stats');
    const stats: string[] = [];
    do stats.push(...(await asking.take(1)));
    while (!stats.at(-1)?.startsWith('11 ok'));
    expect(stats).toContain('11 item aarpd_requests_total{verb="resolve"} 3');
    expect(stats).toContain('11 item aarpd_clients 1');
    expect(stats.at(-1)).toBe(`11 ok ${stats.length - 1}`);
  });

  it('is answered from the cache, until somebody says that the member failed', async () => {
    const resolver = members();
    const running = await daemon(resolver);
    const [one, other] = [await client(), await client()];
    await one.ask('1 resolve fd00::53');
    await other.ask('1 resolve fd00::53');
    expect(resolver.asked).toEqual(['fd00::53']);
    expect(count(running, 'aarpd_resolved_from_cache_total')).toBe(1);
    await other.ask('2 failed fd00::53 2001:db8::99');
    await one.ask('2 resolve fd00::53');
    expect(resolver.asked).toHaveLength(1);
    await other.ask('3 failed fd00::53 2001:db8::1');
    await one.ask('3 resolve fd00::53');
    expect(resolver.asked).toHaveLength(2);
    expect(await one.ask('4 flush fd00::53')).toBe('4 ok');
    await one.ask('5 resolve fd00::53');
    expect(await one.ask('6 flush')).toBe('6 ok');
    await one.ask('7 resolve fd00::53');
    expect(resolver.asked).toHaveLength(4);
    expect(resolver.said).toEqual([
      'failed fd00::53 2001:db8::99',
      'failed fd00::53 2001:db8::1',
      'flush fd00::53',
      'flush all',
    ]);
  });

  it('is told what is wrong with a line, and goes on', async () => {
    const running = await daemon(members());
    const asking = await client();
    expect(await asking.ask('')).toMatch(/^- error malformed /);
    expect(await asking.ask('1 resolve nobody')).toMatch(/^1 error malformed ADDRESS: found "nobody"/);
    expect(await asking.ask('2 dance')).toMatch(/^2 error unknown-verb /);
    expect(await asking.ask(`3 resolve ${'x'.repeat(100_000)}`)).toBe('- error too-long a line has at most 512 bytes');
    expect(await asking.ask('4 resolve fd00::9')).toMatch(/^4 ok unicast/);
    asking.socket.write(Buffer.from([0, 255, 128, 10]));
    expect(await asking.take(1)).toEqual([expect.stringMatching(/^- error malformed /)]);
    expect(count(running, 'aarpd_errors_total{code="too-long"}')).toBe(1);
    expect(count(running, 'aarpd_errors_total{code="malformed"}')).toBe(3);
  });

  it('may say that an address is unicast, but not which member an anycast address has', async () => {
    const resolver = members();
    await daemon(resolver);
    const asking = await client();
    expect(await asking.ask('1 verdict put cast fd00::1 unicast 60000')).toBe('1 ok');
    expect(await asking.ask('2 resolve fd00::1')).toBe('2 ok unicast fd00::1 confirmed 60000');
    expect(await asking.ask('3 verdict put cast fd00::1 anycast 60000')).toBe('3 ok');
    expect(await asking.ask('4 verdict get cast fd00::1')).toBe('4 ok unknown');
    expect(await asking.ask('5 verdict put cast fd00::53 anycast 2001:db8::666 60000')).toMatch(/^5 error malformed/);
    await asking.ask('6 resolve fd00::53');
    expect(await asking.ask('7 verdict put cast fd00::53 anycast 60000')).toBe('7 ok');
    expect(await asking.ask('8 verdict get cast fd00::53')).toBe('8 ok anycast 60000');
  });

  it('that ends its side is answered first', async () => {
    const resolver = members();
    resolver.held = true;
    await daemon(resolver);
    const asking = await client();
    asking.socket.end('1 resolve fd00::53\n2 resolve fd00::9\n');
    while (resolver.asked.length < 2) await new Promise(setImmediate);
    resolver.release();
    await asking.closed;
    expect(asking.lines).toEqual(['1 ok anycast 2001:db8::1 confirmed 60000', '2 ok unicast fd00::9 confirmed 60000']);
  });

  it('gets quick answers while slow ones wait', async () => {
    const resolver = members();
    resolver.held = true;
    await daemon(resolver);
    const asking = await client();
    asking.send('1 resolve fd00::53', '2 hello 1');
    expect(await asking.take(1)).toEqual(['2 ok 1 mobisock/test']);
    resolver.release();
    expect(await asking.take(1)).toEqual(['1 ok anycast 2001:db8::1 confirmed 60000']);
  });

  it('may watch once, and is told by that id', async () => {
    await daemon(members());
    const asking = await client();
    expect(await asking.ask('w1 watch')).toBe('w1 ok');
    expect(await asking.ask('w2 watch')).toBe('w2 error busy watched already, as w1');
  });
});

describe('many clients', () => {
  it('10 000 questions at once on 100 connections get 10 000 answers', async () => {
    const resolver = members();
    resolver.held = true;
    const running = await daemon(resolver);
    const clients = await Promise.all(Array.from({ length: 100 }, client));
    for (const asking of clients) {
      asking.send(...Array.from({ length: 100 }, (_, i) => `${i} resolve ${i % 2 === 0 ? 'fd00::53' : 'fd00::9'}`));
    }
    // As many as may be in flight; the others wait in the sockets.
    while (resolver.asked.length < 6_400) await new Promise(setImmediate);
    expect(resolver.asked).toHaveLength(6_400);
    resolver.release();
    for (const asking of clients) {
      const answers = await asking.take(100);
      expect(new Set(answers.map((line) => line.split(' ')[0])).size).toBe(100);
      expect(answers.every((line) => /^\d+ ok (?:anycast 2001:db8::1|unicast fd00::9) confirmed /.test(line))).toBe(
        true,
      );
    }
    expect(count(running, 'aarpd_requests_total{verb="resolve"}')).toBe(10_000);
  });

  it('beyond the limit are turned away, or take the place of one that is idle', async () => {
    const running = await daemon(members(), { limits: { clients: 2, idleMs: 200 } });
    const [first, second] = [await client(), await client()];
    await first.ask('1 hello 1');
    await second.ask('1 watch');
    const third = await client();
    expect(await third.take(1)).toEqual(['- error busy too many clients']);
    await third.closed;
    expect(count(running, 'aarpd_clients_refused_total')).toBe(1);
    await expect
      .poll(async () => {
        const next = await client();
        const answer = await next.ask('1 hello 1').catch(() => 'refused');
        if (answer !== '1 ok 1 mobisock/test') next.close();
        return answer;
      })
      .toBe('1 ok 1 mobisock/test');
    await first.closed;
    expect(await second.ask('2 hello 1')).toBe('2 ok 1 mobisock/test');
    expect(count(running, 'aarpd_clients_dropped_total{reason="idle"}')).toBe(1);
  });

  it('one that does not read its answers is not read either, and let go', async () => {
    const running = await daemon(members(), { limits: { stallMs: 400 } });
    const asking = await client();
    for (let i = 0; i < 200; i++) {
      asking.send(`${i} verdict put mobility [2001:db8::${i.toString(16)}]:443 plain 60000`);
    }
    await asking.take(200);
    asking.socket.pause();
    // Two hundred lines each: 300 MB, were they all answered.
    const flood = Array.from({ length: 20_000 }, (_, i) => `${i} list`);
    asking.send(...flood);
    await expect
      .poll(() => count(running, 'aarpd_clients_dropped_total{reason="slow-reader"}'), { timeout: 20_000 })
      .toBe(1);
    expect(count(running, 'aarpd_requests_total{verb="list"}')).toBeLessThan(200);
    expect(await (await client()).ask('1 hello 1')).toBe('1 ok 1 mobisock/test');
  });

  it('that do not read their lists leave a place for those who do', async () => {
    const running = await daemon(members(), { limits: { stallMs: 400 } });
    const asking = await client();
    // 2 MB of list, more than a socket holds.
    for (let i = 0; i < 16_384; i += 64) {
      const line = (_: unknown, k: number): string => `${k} verdict put mobility 10.1.${i >> 6}.${k}:80 plain 60000`;
      asking.send(...Array.from({ length: 64 }, line));
      await asking.take(64);
    }
    const deaf = await Promise.all(Array.from({ length: 8 }, client));
    for (const one of deaf) {
      one.socket.pause();
      one.send('1 list');
    }
    await expect.poll(() => count(running, 'aarpd_requests_total{verb="list"}')).toBe(8);
    expect(await asking.ask('1 list')).toBe('1 error busy too many lists at a time');
    await expect.poll(() => count(running, 'aarpd_clients_dropped_total{reason="slow-reader"}')).toBe(8);
    asking.send('2 list');
    expect(await asking.take(16_385)).toContain('2 ok 16384');
  });

  it('one that never ends its line is let go, one that is only silent is not', async () => {
    const running = await daemon(members(), { limits: { stallMs: 400 } });
    const [half, silent] = [await client(), await client()];
    half.socket.write('1 resolve fd00');
    await half.closed;
    expect(count(running, 'aarpd_clients_dropped_total{reason="half-line"}')).toBe(1);
    expect(await silent.ask('1 hello 1')).toBe('1 ok 1 mobisock/test');
  });
});

describe('the socket', () => {
  it('has its mode, and is gone after the end', async () => {
    const running = await daemon(members(), { listen: { path, mode: 0o600 } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await running.close();
    expect(existsSync(path)).toBe(false);
  });

  it('that nobody answers is taken over', async () => {
    const left = net.createServer().listen(path);
    await once(left, 'listening');
    // As SIGKILL leaves it: the file is there, and nobody listens.
    const spare = `${path}.spare`;
    linkSync(path, spare);
    left.close();
    await once(left, 'close');
    linkSync(spare, path);
    await daemon(members());
    expect(await (await client()).ask('1 hello 1')).toBe('1 ok 1 mobisock/test');
  });

  it('of a daemon that answers is left to it', async () => {
    await daemon(members());
    await expect(daemon(members())).rejects.toMatchObject({
      code: 'ERR_MOBISOCK_USAGE',
      message: `${path}: another aarpd answers there`,
    });
    expect(await (await client()).ask('1 hello 1')).toBe('1 ok 1 mobisock/test');
  });

  it('is no other file', async () => {
    writeFileSync(path, 'mine');
    await expect(daemon(members())).rejects.toThrow(`${path}: there already, and not a socket`);
  });

  it('is refused where its path cannot be one', async () => {
    writeFileSync(join(directory, 'file'), '');
    const listen = { path: join(directory, 'file', 'a.sock'), mode: 0o660 };
    await expect(daemon(members(), { listen })).rejects.toThrow(/: there is no directory .* and none can be made \(E/);
    await expect(daemon(members(), { listen: { path: `/${'x'.repeat(120)}`, mode: 0o660 } })).rejects.toThrow(
      'longer than the',
    );
  });
});

describe('the end', () => {
  it('takes no more questions and answers those that wait', async () => {
    const resolver = members();
    resolver.held = true;
    const running = await daemon(resolver);
    const asking = await client();
    asking.send('1 resolve fd00::53');
    while (resolver.asked.length < 1) await new Promise(setImmediate);
    const closed = running.close();
    await expect(LineClient.connect(path)).rejects.toMatchObject({ code: /ENOENT|ECONNREFUSED/ });
    asking.send('2 hello 1');
    resolver.release();
    await Promise.all([closed, asking.closed]);
    expect(asking.lines).toEqual(['1 ok anycast 2001:db8::1 confirmed 60000']);
    expect(resolver.closed).toBe(true);
  });
});
