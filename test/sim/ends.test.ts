/** How sessions end, and that no move in the middle of it hangs anybody. */
import { describe, expect, it } from 'vitest';
import { ELSEWHERE, expectComplete, world } from './scenario.ts';
import { CLIENT_IP, type World } from './world.ts';

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
