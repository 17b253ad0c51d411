/**
 * Situations by name: one each that users of mobile sessions have complained about somewhere.
 */
import { describe, expect, it } from 'vitest';
import type { SessionEvent } from '../../src/l4mob/stream-session.ts';
import type { SimStream } from './stream.ts';
import { CLIENT_IP, SERVER_IP, World, type WorldInit } from './world.ts';

const ELSEWHERE = '192.0.2.200';
const SERVER_ELSEWHERE = '198.51.100.200';

function world(init: WorldInit = {}): World {
  return new World(init);
}

/** A transfer that takes some seconds. */
const LONG_TRANSFER = { bytes: 300_000, writeBytes: 1_000, pauseMs: 10 };

function eventsOf(stream: SimStream, type: SessionEvent['type']): SessionEvent[] {
  return stream.events.filter((event) => event.type === type);
}

function expectComplete(w: World): void {
  const { client, server } = w;
  expect([client.stream.error, server.stream.error]).toEqual([undefined, undefined]);
  expect([client.stream.complete, server.stream.complete]).toEqual([true, true]);
  expect(server.stream.readBytes).toBe(client.stream.written);
  expect(client.stream.readBytes).toBe(server.stream.written);
}

describe('moves', () => {
  it('a session opens, transfers both ways and ends without any', () => {
    const w = world();
    expect(w.runToEnd()).toBe(true);
    expectComplete(w);
    expect(eventsOf(w.client.stream, 'opened')).toHaveLength(1);
    expect(eventsOf(w.client.stream, 'moved')).toHaveLength(0);
  });

  it('in the middle of a transfer cost two round trips', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(500);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.until(() => w.client.stream.session.moves === 1)).toBe(true);
    const [moved] = eventsOf(w.client.stream, 'moved');
    expect(moved).toMatchObject({ wasSuspended: true });
    expect(moved?.type === 'moved' ? moved.gapMs : 0).toBeCloseTo(4 * 10, 0);
    w.runToEnd();
    expectComplete(w);
  });

  it.each([0, 5, 15, 25, 35, 45, 55])('during the handshake, after %i ms', (ms) => {
    const w = world();
    w.time.pass(ms);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    expectComplete(w);
  });

  it('in half-close', () => {
    const w = world({ client: { bytes: 100 }, server: { ...LONG_TRANSFER, endsFirst: false } });
    w.untilOpen();
    w.time.pass(300);
    expect(w.server.stream.peerEnded).toBe(true);
    w.client.host.moveTo([ELSEWHERE]);
    w.runToEnd();
    expectComplete(w);
    expect(w.client.stream.session.moves).toBe(1);
  });

  it.each([0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 50])('during the close, %i ms after the last write', (ms) => {
    for (const who of ['client', 'server'] as const) {
      const w = world({ client: { bytes: 2_000 }, server: { bytes: 2_000 } });
      w.until(() => w.client.streams[0]?.written === 2_000);
      w.time.pass(ms);
      if (who === 'client') w.client.host.moveTo([ELSEWHERE]);
      else w.server.host.moveTo([SERVER_ELSEWHERE]);
      expect(w.runToEnd()).toBe(true);
      expectComplete(w);
    }
  });

  it('with a full send buffer', () => {
    const limits = { replayLimitBytes: 64 << 10, initialWindowBytes: 256 << 10, maxWindowBytes: 256 << 10 };
    const w = world({
      client: { bytes: 1_000_000, writeBytes: 30_000 },
      server: { readFrom: 4_000 },
      clientOptions: { limits },
      serverOptions: { limits },
    });
    w.untilOpen();
    w.time.pass(1_000);
    expect(w.client.stream.session.hasRoom).toBe(false);
    w.client.host.moveTo([ELSEWHERE]);
    w.runToEnd();
    expectComplete(w);
  });

  it('of a receiver that sends nothing are told to the sender', () => {
    const w = world({ client: { bytes: 0 }, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(1_000);
    const before = w.client.stream.readBytes;
    w.client.host.moveTo([ELSEWHERE]);
    w.time.pass(200);
    expect(w.client.stream.readBytes).toBeGreaterThan(before);
    w.runToEnd();
    expectComplete(w);
  });

  it('from A to B and back to A', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    for (const ms of [5, 15, 30, 200]) {
      w.client.host.moveTo([ELSEWHERE]);
      w.time.pass(ms);
      w.client.host.moveTo([CLIENT_IP]);
      w.time.pass(ms);
    }
    w.runToEnd();
    expectComplete(w);
  });

  it('ten of them in ten seconds', () => {
    const w = world({ client: { ...LONG_TRANSFER, pauseMs: 40 }, server: { ...LONG_TRANSFER, pauseMs: 40 } });
    w.untilOpen();
    for (let i = 0; i < 10; i++) {
      w.client.host.moveTo([`192.0.2.${100 + i}`]);
      w.time.pass(1_000);
    }
    expect(w.client.stream.session.moves).toBe(10);
    w.runToEnd();
    expectComplete(w);
  });

  it('of the server, told by L4_UPDATE', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(500);
    w.client.resolve = undefined;
    w.server.host.moveTo([SERVER_ELSEWHERE]);
    expect(w.until(() => w.client.stream.session.moves === 1, 3_000)).toBe(true);
    w.runToEnd();
    expectComplete(w);
  });

  it('of both at once, found again by the resolver', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(500);
    w.client.host.moveTo([ELSEWHERE]);
    w.server.host.moveTo([SERVER_ELSEWHERE]);
    expect(w.until(() => w.client.stream.session.moves === 1, 5_000)).toBe(true);
    w.runToEnd();
    expectComplete(w);
  });

  it('are made before the old path breaks, where asked to', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.time.pass(500);
    w.client.host.moveTo([CLIENT_IP, ELSEWHERE]);
    w.client.stream.session.migrate();
    w.client.stream.pump();
    expect(w.until(() => w.client.stream.session.moves === 1)).toBe(true);
    expect(eventsOf(w.client.stream, 'moved')).toMatchObject([{ gapMs: 0, wasSuspended: false }]);
    expect(eventsOf(w.client.stream, 'suspended')).toHaveLength(0);
    w.runToEnd();
    expectComplete(w);
  });

  it('that are asked for and fail leave the old path alone', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    w.server.host.acceptHandlers.clear();
    w.client.stream.session.migrate();
    w.client.stream.pump();
    w.time.pass(2_500);
    expect(w.client.stream.session.state).toBe('open');
    w.runToEnd();
    expectComplete(w);
  });

  it('fall back to the old path where the new one is dead behind its connection', () => {
    const slow = { ...LONG_TRANSFER, pauseMs: 30 };
    const w = world({ client: slow, server: slow });
    w.untilOpen();
    w.time.pass(200);
    const before = w.client.stream.readBytes;
    const { session } = w.client.stream;
    // A middlebox takes the connection and then says nothing.
    const take = w.server.host.acceptHandlers.get(4433);
    w.server.host.acceptHandlers.set(4433, () => {});
    session.migrate();
    w.client.stream.pump();
    w.time.pass(4_000);
    expect(w.client.stream.readBytes).toBeGreaterThan(before + 1_000);
    expect(session.state).toBe('open');
    if (take !== undefined) w.server.host.acceptHandlers.set(4433, take);
    w.runToEnd();
    expectComplete(w);
  });
});

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

describe('ends', () => {
  /** Both idle; the test acts. */
  function idle(): World {
    const w = world({ client: { manual: true }, server: { manual: true } });
    w.untilOpen();
    return w;
  }

  it('half-close lets the other side go on', () => {
    const w = idle();
    w.client.stream.session.end();
    w.client.stream.pump();
    w.time.pass(100);
    expect(w.server.stream.peerEnded).toBe(true);
    w.server.stream.write(5_000);
    w.server.stream.pump();
    w.time.pass(5_000);
    expect(w.client.stream.readBytes).toBe(5_000);
    w.server.stream.session.end();
    w.server.stream.pump();
    w.runToEnd();
    expectComplete(w);
  });

  it.each([
    ['client', 'server'],
    ['server', 'client'],
  ] as const)('a reset by the %s is ECONNRESET at the %s and silent at its own side', (actor, other) => {
    const w = idle();
    w[actor].stream.write(100);
    w[actor].stream.session.reset(w.time.now);
    w[actor].stream.pump();
    expect(w.runToEnd()).toBe(true);
    expect(w[actor].stream.error).toBeUndefined();
    expect(w[other].stream.error).toBe('ECONNRESET');
  });

  it.each([
    ['client', 'server'],
    ['server', 'client'],
  ] as const)('a reset by the %s in an outage reaches the %s when there is a path again', (actor, other) => {
    const w = idle();
    w.client.host.moveTo([]);
    w[actor].stream.session.reset(w.time.now);
    w[actor].stream.pump();
    w.time.pass(20_000);
    expect(w[other].stream.ended).toBe(false);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    expect([w[actor].stream.error, w[other].stream.error]).toEqual([undefined, 'ECONNRESET']);
  });

  it.each(['client', 'server'] as const)('a reset by the %s that is lost with its path is said again', (actor) => {
    const w = idle();
    w.network.cut(CLIENT_IP);
    w[actor].stream.session.reset(w.time.now);
    w[actor].stream.pump();
    w.time.pass(200);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    const other = actor === 'client' ? w.server : w.client;
    expect(other.stream.error).toBe('ECONNRESET');
  });

  it('bytes that nobody read make a close a reset', () => {
    const w = idle();
    const { session } = w.client.stream;
    w.server.stream.write(1_000);
    w.server.stream.pump();
    w.client.stream.stopReading();
    w.until(() => session.unread > 0);
    session.close(w.time.now);
    w.client.stream.pump();
    expect(w.runToEnd()).toBe(true);
    expect(w.server.stream.error).toBe('ECONNRESET');
  });

  it('bytes that come after a close make it a reset', () => {
    const w = idle();
    w.client.stream.session.close(w.time.now);
    w.client.stream.pump();
    w.time.pass(100);
    expect(w.client.stream.session.state).toBe('closing');
    w.server.stream.write(10);
    w.server.stream.pump();
    expect(w.runToEnd()).toBe(true);
    expect(w.server.stream.error).toBe('ECONNRESET');
  });

  it('close delivers what was written, even over a move', () => {
    const w = idle();
    w.client.stream.write(50_000);
    w.client.stream.session.close(w.time.now);
    w.client.stream.pump();
    w.client.host.moveTo([ELSEWHERE]);
    w.until(() => w.server.stream.peerEnded);
    expect(w.server.stream.readBytes).toBe(50_000);
    w.server.stream.session.end();
    w.server.stream.pump();
    expect(w.runToEnd()).toBe(true);
  });

  it('a close that reaches nobody is given up after a minute, and a peer that comes back gets a reset', () => {
    const w = idle();
    w.network.cut(CLIENT_IP);
    w.server.stream.write(1_000);
    w.server.stream.session.close(w.time.now);
    w.server.stream.pump();
    expect(w.until(() => w.server.stream.ended, 61_000)).toBe(true);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.until(() => w.client.stream.ended)).toBe(true);
    expect(w.client.stream.error).toBe('ECONNRESET');
  });

  it('the tombstone tells an initiator whose last acknowledgement was lost', () => {
    const w = idle();
    w.server.stream.session.end();
    w.server.stream.pump();
    w.until(() => w.client.stream.peerEnded);
    w.time.pass(100);
    // The client's end arrives, the answer to it doesn't.
    w.client.stream.session.end();
    w.client.stream.pump();
    w.time.pass(10);
    w.network.cut(CLIENT_IP);
    w.time.pass(1);
    expect(w.server.stream.ended).toBe(true);
    expect(w.client.stream.ended).toBe(false);
    w.time.pass(2_000);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    expectComplete(w);
  });

  it('an initiator waits for the responder to close, so that the responder never misses its last word', () => {
    const w = idle();
    w.client.stream.session.end();
    w.client.stream.pump();
    w.until(() => w.server.stream.peerEnded);
    w.time.pass(100);
    w.server.stream.session.end();
    w.server.stream.pump();
    w.time.pass(10.5);
    // The client has everything; its acknowledgement is on a path that dies now.
    expect(w.client.stream.peerEnded).toBe(true);
    w.network.cut(CLIENT_IP);
    w.time.pass(500);
    expect([w.client.stream.ended, w.server.stream.ended]).toEqual([false, false]);
    w.client.host.moveTo([ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    expectComplete(w);
  });

  it('no timer runs after the end, on either side', () => {
    const w = world();
    w.runToEnd();
    expect(w.client.stream.session.pollTimeout()).toBeUndefined();
    expect(w.server.stream.session.pollTimeout()).toBeUndefined();
    expect(w.client.stream.session.pollEvent()).toBeUndefined();
    w.time.pass(100_000);
    expect([w.client.stream.openEnds, w.server.stream.openEnds]).toEqual([0, 0]);
  });

  it('commands after the end do nothing', () => {
    const w = world();
    w.runToEnd();
    const { session } = w.client.stream;
    session.write([new Uint8Array(100)]);
    session.end();
    session.close(w.time.now);
    session.reset(w.time.now);
    session.migrate();
    session.handleNetworkChange(w.time.now);
    session.handleDialFailure(w.time.now, 'refused');
    session.handlePeerGone();
    session.fail('EPROTO');
    session.handleTimeout(w.time.now + 1e6);
    expect(session.unacknowledged).toBe(0);
    expect(session.pollTransmit(w.time.now)).toBeUndefined();
    expect(session.pollEvent()).toBeUndefined();
    expect(session.pollTimeout()).toBeUndefined();
  });
});
