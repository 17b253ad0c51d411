/** Moves by name: one each that users of mobile sessions have complained about somewhere. */
import { describe, expect, it } from 'vitest';
import { ELSEWHERE, eventsOf, expectComplete, LONG_TRANSFER, SERVER_ELSEWHERE, world } from './scenario.ts';
import { PLAIN_PLAN } from './stream.ts';
import { CLIENT_IP } from './world.ts';

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

  it('take all sessions between two processes along, each with its own bytes', () => {
    const w = world({ client: LONG_TRANSFER, server: LONG_TRANSFER });
    w.untilOpen();
    for (let i = 0; i < 9; i++) w.client.open({ ...PLAIN_PLAN, ...LONG_TRANSFER });
    w.time.pass(500);
    for (const ip of [ELSEWHERE, '192.0.2.201', ELSEWHERE]) {
      w.client.host.moveTo([ip]);
      w.time.pass(700);
    }
    w.server.host.moveTo([SERVER_ELSEWHERE]);
    expect(w.runToEnd()).toBe(true);
    const streams = [...w.client.streams, ...w.server.streams];
    expect(streams).toHaveLength(20);
    for (const stream of streams) {
      expect([stream.name, stream.complete, stream.readBytes, stream.session.moves]).toEqual([
        stream.name,
        true,
        LONG_TRANSFER.bytes,
        4,
      ]);
    }
    expect(new Set(w.client.streams.map((s) => s.session.portPair.initiator)).size).toBe(10);
    expect(w.server.responder.counters.offers).toBe(1);
  });
});
