/** Outages by name: the network is gone, or the peer is, and which of the two it was. */
import { describe, expect, it } from 'vitest';
import { ELSEWHERE, eventsOf, expectComplete, LONG_TRANSFER, SERVER_ELSEWHERE, world } from './scenario.ts';
import { SERVER_IP } from './world.ts';

describe('outages', () => {
  it('of 60 s without any network are survived, and the session is back at once with the network', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(500);
    w.client.host.moveTo([]);
    w.time.pass(60_000);
    expect(w.client.stream.session.state).toBe('suspended');
    const kept = w.client.stream.session.unacknowledged;
    expect(kept).toBeLessThanOrEqual(300_000);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.until(() => w.client.stream.session.state === 'open', 100)).toBe(true);
    w.runToEnd();
    expectComplete(w);
  });

  it('that nobody is told of end within three seconds of the path', () => {
    const w = world({ client: { ...LONG_TRANSFER, pauseMs: 60 }, server: LONG_TRANSFER });
    w.untilOpen();
    w.network.cut(SERVER_IP);
    w.time.pass(10_000);
    const before = w.server.stream.readBytes;
    w.network.mend(SERVER_IP);
    w.time.pass(3_000);
    expect(w.server.stream.readBytes).toBeGreaterThan(before);
    w.runToEnd();
    expectComplete(w);
  });

  it('by silent NAT rebinding end within three seconds, whoever sends', () => {
    for (const [client, server] of [
      [LONG_TRANSFER, { bytes: 0, endsFirst: false }],
      [{ bytes: 0, endsFirst: false }, LONG_TRANSFER],
    ] as const) {
      const w = world({ nat: true, client, server });
      w.untilOpen();
      w.time.pass(500);
      w.client.host.rebind();
      const read = (): number => w.client.stream.readBytes + w.server.stream.readBytes;
      w.time.pass(100);
      const before = read();
      w.time.pass(3_000);
      expect(read()).toBeGreaterThan(before);
      w.runToEnd();
      expectComplete(w);
    }
  });

  it('of an idle session behind a NAT are noticed by its keep-alive', () => {
    const w = world({ nat: true, client: { manual: true }, server: { manual: true } });
    w.untilOpen();
    w.time.pass(5_000);
    w.client.host.rebind();
    expect(w.until(() => w.client.stream.session.moves === 1, 30_000)).toBe(true);
  });

  it('longer than the session time-out end in ETIMEDOUT on both sides', () => {
    const limits = { sessionTimeoutMs: 20_000 };
    const w = world({
      client: LONG_TRANSFER,
      server: LONG_TRANSFER,
      clientOptions: { limits },
      serverOptions: { limits },
    });
    w.untilOpen();
    w.client.host.vanish();
    const vanishedAt = w.time.now;
    expect(w.runToEnd(120_000)).toBe(true);
    expect([w.client.stream.error, w.server.stream.error]).toEqual(['ETIMEDOUT', 'ETIMEDOUT']);
    expect(w.time.now - vanishedAt).toBeLessThan(60_000);
  });

  it('end an idle responder too, whose connection stands for ever', () => {
    const limits = { sessionTimeoutMs: 20_000 };
    const w = world({ client: { manual: true }, server: { manual: true }, serverOptions: { limits } });
    w.untilOpen();
    w.time.pass(100_000);
    expect(w.server.stream.ended).toBe(false);
    w.client.host.vanish();
    expect(w.until(() => w.server.stream.ended, 90_000)).toBe(true);
    expect(w.server.stream.error).toBe('ETIMEDOUT');
  });

  it('end a responder sooner whose data is not answered: it has no keep-alive to wait for', () => {
    const limits = { sessionTimeoutMs: 20_000 };
    const w = world({ client: { manual: true }, server: { manual: true }, serverOptions: { limits } });
    w.untilOpen();
    const say = (): void => {
      w.server.stream.write(10);
      w.server.stream.pump();
    };
    say();
    // That was answered, so this is an idle session like any other.
    w.time.pass(100_000);
    expect(w.server.stream.ended).toBe(false);
    say();
    w.time.pass(1_000);
    w.client.host.vanish();
    say();
    w.time.pass(20_000);
    expect(w.server.stream.ended).toBe(false);
    expect(w.until(() => w.server.stream.ended, 10_000)).toBe(true);
    expect(w.server.stream.error).toBe('ETIMEDOUT');
  });

  it('are not what a slow link is, however short the session time-out', () => {
    const w = world({
      client: { bytes: 10 },
      server: { bytes: 600_000, writeBytes: 100_000 },
      serverOptions: { limits: { sessionTimeoutMs: 1_000 } },
    });
    w.untilOpen();
    w.network.conditions.latencyMs = 2_500;
    expect(w.runToEnd(200_000)).toBe(true);
    expectComplete(w);
  });

  it('do not count where the peer does not read', () => {
    const limits = { replayLimitBytes: 300 << 10, initialWindowBytes: 256 << 10, maxWindowBytes: 256 << 10 };
    const w = world({
      client: { bytes: 1_000_000, writeBytes: 50_000 },
      server: { bytes: 0, readFrom: 90_000 },
      clientOptions: { limits },
      serverOptions: { limits },
    });
    w.untilOpen();
    w.time.pass(80_000);
    expect(eventsOf(w.client.stream, 'dial')).toHaveLength(1);
    expect(w.server.stream.mostUnread).toBe(256 << 10);
    w.runToEnd();
    expectComplete(w);
  });

  it('do not count where one record takes longer than a verdict', () => {
    // 64 KiB records in flights of 3 s: the link moves 30 KB/s.
    for (const [client, server] of [
      [{ bytes: 600_000, writeBytes: 100_000 }, { bytes: 10 }],
      [{ bytes: 10 }, { bytes: 600_000, writeBytes: 100_000 }],
    ] as const) {
      const w = world({ client, server });
      w.untilOpen();
      w.network.conditions.latencyMs = 2_500;
      expect(w.runToEnd(200_000)).toBe(true);
      expectComplete(w);
    }
  });
});

describe("the peer's process is gone", () => {
  it.each(['closed', 'reset'] as const)('with the server: the client sees ECONNRESET within 3 s (%s)', (how) => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(300);
    w.server.host.crashProcesses(how);
    expect(w.until(() => w.client.stream.ended, 3_000)).toBe(true);
    expect(w.client.stream.error).toBe('ECONNRESET');
  });

  it.each(['closed', 'reset'] as const)('with the client: the server sees ECONNRESET within 3 s (%s)', (how) => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(300);
    w.client.crashed = true;
    w.client.host.crashProcesses(how);
    expect(w.until(() => w.server.stream.ended, 3_000)).toBe(true);
    expect(w.server.stream.error).toBe('ECONNRESET');
  });

  it('is not believed for half a minute after a reset of an idle session: a NAT may have forgotten it', () => {
    const w = world({ client: { manual: true }, server: { manual: true } });
    w.untilOpen();
    w.time.pass(5_000);
    w.client.crashed = true;
    w.client.host.crashProcesses('reset');
    const at = w.time.now;
    expect(w.until(() => w.server.stream.ended, 60_000)).toBe(true);
    expect(w.time.now - at).toBeGreaterThan(25_000);
    expect(w.server.stream.error).toBe('ECONNRESET');
  });

  it('another process at the same address knows nothing of the session: ECONNRESET, but only after a second', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(300);
    w.server.host.crashProcesses('reset');
    // A fresh server on the same host.
    const restarted = w.restartServer();
    const at = w.time.now;
    expect(w.until(() => w.client.stream.ended, 3_000)).toBe(true);
    expect(w.time.now - at).toBeGreaterThan(900);
    expect(w.client.stream.error).toBe('ECONNRESET');
    expect(restarted.counters.unknown).toBeGreaterThan(1);
  });

  it('another host that has the old address by now does not end the session', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(300);
    const impostor = w.addServer('impostor', []);
    w.client.resolve = undefined;
    w.server.host.moveTo([]);
    impostor.host.moveTo([SERVER_IP]);
    w.time.pass(600);
    w.server.host.moveTo([SERVER_ELSEWHERE]);
    w.runToEnd();
    expectComplete(w);
  });

  it('after it had finished: nothing happens until the next write, which sees ECONNRESET', () => {
    const w = world({ client: { manual: true }, server: { bytes: 500 } });
    w.untilOpen();
    w.until(() => w.client.stream.peerEnded);
    w.time.pass(1_000);
    w.server.host.crashProcesses('closed');
    w.time.pass(60_000);
    expect(w.client.stream.ended).toBe(false);
    expect(w.client.stream.session.pollTimeout()).toBeUndefined();
    w.client.stream.write(10);
    w.client.stream.pump();
    expect(w.client.stream.error).toBe('ECONNRESET');
  });

  it('after it had finished: an end is a good end', () => {
    const w = world({ client: { manual: true }, server: { bytes: 500 } });
    w.untilOpen();
    w.until(() => w.client.stream.peerEnded);
    w.time.pass(1_000);
    w.server.host.crashProcesses('closed');
    w.time.pass(5_000);
    w.client.stream.session.end();
    w.client.stream.pump();
    expect([w.client.stream.ended, w.client.stream.error]).toEqual([true, undefined]);
  });
});
