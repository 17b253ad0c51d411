/** The life of a datagram flow: opening, data, silence, end. Moves are in moves.test.ts. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_FLOW_TIMING } from '../../../src/l4mob/datagram/flow-timing.ts';
import { SUITES } from '../../../src/l4mob/suite.ts';
import { DATAGRAM_TYPE } from '../../../src/l4mob/wire/datagram.ts';
import { CLIENT, eventsOf, FlowPair, PORT_PAIR, SERVER, STRANGER } from './flow-pair.ts';

function flip(bytes: Uint8Array, at: number): Buffer {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] as number) ^ 1;
  return changed;
}

describe('opening', () => {
  it.each(SUITES)('carries data with the first packet, under $name', (suite) => {
    const pair = new FlowPair({ suite });
    const bytes = pair.send(pair.client, 'hello');
    expect([bytes[0], bytes.length]).toEqual([DATAGRAM_TYPE.openData, 45]);
    expect(pair.toServer(bytes)).toBe('hello');
    expect([pair.client.phase, pair.server.phase]).toEqual(['opening', 'opening']);
    pair.settle();
    expect([pair.client.phase, pair.server.phase]).toEqual(['confirmed', 'confirmed']);
    expect(pair.server.remoteValidated).toBe(true);
    expect(eventsOf(pair.client)).toEqual([{ type: 'confirmed' }]);
    expect(eventsOf(pair.server)).toEqual([{ type: 'confirmed' }, { type: 'validated', remote: CLIENT }]);
    expect(pair.send(pair.client)).toHaveLength(41);
  });

  it('is said again until it is answered, then given up', () => {
    const pair = new FlowPair();
    const at: number[] = [];
    for (let timeout = pair.client.pollTimeout(); timeout !== undefined; timeout = pair.client.pollTimeout()) {
      pair.now = timeout;
      pair.client.handleTimeout(timeout);
      for (const { bytes } of pair.drain(pair.client)) if (bytes[0] === DATAGRAM_TYPE.open) at.push(timeout - 1_000);
    }
    expect(at.slice(0, 7)).toEqual([0, 40, 120, 280, 600, 1_240, 2_520]);
    expect(eventsOf(pair.client)).toEqual([{ type: 'closed', reason: 'unconfirmed' }, { type: 'ended' }]);
  });

  it('is answered where it came from, and moves nothing', () => {
    const pair = new FlowPair();
    pair.client.handleTimeout(pair.now);
    const [open] = pair.drain(pair.client);
    if (open === undefined) throw new Error('no OPEN');
    pair.toServer(open.bytes, STRANGER); // a copy that was faster
    expect(pair.server.remote).toMatchObject(STRANGER);
    expect(pair.toServer(open.bytes)).toBeUndefined();
    pair.pass(100);
    expect(pair.server.remote).toMatchObject(CLIENT);
    expect([pair.server.phase, pair.client.phase]).toEqual(['confirmed', 'confirmed']);
    expect(eventsOf(pair.server).map(({ type }) => type)).not.toContain('peer-moved');
  });

  it('sends a source that may be forged three times what came from it at most', () => {
    const pair = new FlowPair();
    pair.toServer(pair.send(pair.client, 'x'.repeat(460)));
    const sent = [...pair.drain(pair.server).map(({ bytes }) => bytes.length)];
    for (let i = 0; i < 20; i++) sent.push(pair.server.send(pair.now, Buffer.alloc(100))?.length ?? 0);
    const total = sent.reduce((sum, bytes) => sum + bytes, 0);
    expect(total).toBeGreaterThan(900);
    expect(total).toBeLessThanOrEqual(1_500);
    expect(pair.servers.counters.limited).toBeGreaterThan(0);
    pair.pass(200);
    for (let i = 0; i < 20; i++) expect(pair.server.send(pair.now, Buffer.alloc(100))).toHaveLength(137);
  });

  it('happens once for an OPEN: copies are no second flow, also when it is over', () => {
    const pair = new FlowPair();
    const open = pair.send(pair.client);
    pair.settle();
    pair.toServer(open);
    expect(pair.toServer(open, STRANGER)).toBeUndefined();
    expect(pair.servers.size).toBe(1);
    pair.servers.delete(pair.server);
    expect(pair.toServer(open)).toBeUndefined();
    expect([pair.servers.size, pair.servers.counters.replayed > 0]).toEqual([0, true]);
  });

  it('late OPENs with data are delivered after it', () => {
    const pair = new FlowPair();
    const late = pair.send(pair.client, 'late');
    pair.confirmed();
    expect(pair.toServer(late)).toBe('late');
    expect(pair.toServer(late)).toBeUndefined();
  });

  it('of a forged, malformed or too frequent OPEN leaves nothing behind', () => {
    const pair = new FlowPair({ maxFlows: 1 });
    const open = pair.send(pair.client);
    for (let at = 0; at < open.length; at++) pair.toServer(flip(open, at));
    pair.toServer(open.subarray(0, 39));
    expect(pair.servers.size).toBe(0);
    expect(pair.servers.counters.forged).toBeGreaterThan(20);
    expect(pair.toServer(open)).toBe('data');
    const second = pair.clients.open(pair.now, pair.ours, PORT_PAIR, SERVER);
    expect(pair.toServer(second?.send(pair.now, Buffer.alloc(1)) ?? Buffer.alloc(0))).toBeUndefined();
    expect(pair.servers.size).toBe(1);
  });

  it('is for initiators only: an OPEN that is sent back opens nothing', () => {
    const pair = new FlowPair();
    const open = pair.send(pair.client);
    expect(pair.clients.find(open)).toBeUndefined();
    expect(pair.clients.accept(pair.now, pair.ours, open, SERVER)).toBeUndefined();
  });
});

describe('data', () => {
  it('goes both ways, empty datagrams too, in any order and each once', () => {
    const pair = new FlowPair().confirmed();
    const [a, b, c] = ['a', '', 'c'].map((payload) => pair.send(pair.client, payload));
    if (a === undefined || b === undefined || c === undefined) throw new Error('nothing sent');
    expect([c, a, b, a, b, c].map((bytes) => pair.toServer(bytes))).toEqual([
      'c',
      'a',
      '',
      undefined,
      undefined,
      undefined,
    ]);
    expect(pair.toClient(pair.send(pair.server, 'back'))).toBe('back');
    expect(pair.servers.counters.replayed).toBe(3);
  });

  it('that is forged, altered, reflected or of another flow changes nothing', () => {
    const pair = new FlowPair().confirmed();
    const before = JSON.stringify([pair.server.pollTimeout(), pair.server.remote, pair.server.phase]);
    const bytes = pair.send(pair.client);
    pair.now += 1;
    for (let at = 0; at < bytes.length; at++) expect(pair.toServer(flip(bytes, at), STRANGER)).toBeUndefined();
    expect(pair.clients.find(bytes)).toBeUndefined();
    expect(pair.client.handleDatagram(pair.now, bytes, SERVER)).toBeUndefined();
    expect(pair.drain(pair.server)).toEqual([]);
    expect(eventsOf(pair.server)).toEqual([]);
    expect(JSON.stringify([pair.server.pollTimeout(), pair.server.remote, pair.server.phase])).toBe(before);
    expect(pair.toServer(bytes)).toBe('data');
  });
});

describe('silence', () => {
  it('asks nothing where nothing was said', () => {
    const pair = new FlowPair().confirmed();
    const counted = JSON.stringify(pair.clients.counters);
    expect([pair.client.pollTimeout(), pair.server.pollTimeout()]).toEqual([undefined, undefined]);
    expect(JSON.stringify(pair.clients.counters)).toBe(counted);
  });

  it('after data that came steadily is asked about, and the answer settles it', () => {
    const pair = new FlowPair().confirmed();
    for (let i = 0; i < 50; i++) {
      pair.now += 20;
      pair.toClient(pair.send(pair.server));
    }
    const at = pair.client.pollTimeout();
    expect(at).toBe(pair.now + 700);
    pair.now = at ?? 0;
    pair.client.handleTimeout(pair.now);
    expect(pair.client.unansweredSince).toBe(pair.now);
    pair.settle();
    expect(pair.client.unansweredSince).toBeUndefined();
    pair.pass(10_000);
    expect(pair.client.pollTimeout()).toBeUndefined();
  });

  it('after data of ours is asked about, in one-way flows every 5 s', () => {
    const pair = new FlowPair().confirmed();
    let questions = 0;
    for (let i = 0; i < 600; i++) {
      pair.toServer(pair.send(pair.client));
      pair.client.handleTimeout(pair.now);
      questions += pair.drain(pair.client).map(({ bytes }) => pair.toServer(bytes)).length;
      for (const { bytes } of pair.drain(pair.server)) pair.toClient(bytes);
      pair.now += 100;
    }
    expect(questions).toBeGreaterThanOrEqual(11);
    expect(questions).toBeLessThanOrEqual(20);
  });

  it('that lasts is told to the owner, again and again, and then ends the flow', () => {
    const pair = new FlowPair().confirmed();
    pair.send(pair.client);
    const events: (readonly [number, string])[] = [];
    const start = pair.now;
    for (let at = pair.client.pollTimeout(); at !== undefined; at = pair.client.pollTimeout()) {
      pair.now = at;
      pair.client.handleTimeout(at);
      pair.drain(pair.client);
      for (const event of eventsOf(pair.client)) events.push([at - start, event.type]);
    }
    expect(events.slice(0, 4)).toEqual([
      [1_500, 'silent'],
      [2_500, 'lost'],
      [5_000, 'lost'],
      [7_500, 'lost'],
    ]);
    expect(events.slice(-2).map(([, type]) => type)).toEqual(['closed', 'ended']);
    expect(events.at(-2)?.[0]).toBe(1_000 + DEFAULT_FLOW_TIMING.sessionTimeoutMs);
  });

  it('is filled with empty data where a NAT has to be kept from forgetting', () => {
    const pair = new FlowPair({ timing: { ...DEFAULT_FLOW_TIMING, keepAliveMs: 25_000 } }).confirmed();
    const at = pair.client.pollTimeout() ?? 0;
    pair.now = at;
    pair.client.handleTimeout(at);
    const [packet] = pair.drain(pair.client);
    expect([packet?.bytes[0], packet?.bytes.length]).toEqual([DATAGRAM_TYPE.empty, 37]);
    expect(pair.toServer(packet?.bytes ?? Buffer.alloc(0))).toBeUndefined();
    expect(pair.client.pollTimeout()).toBe(at + 25_000);
  });

  it('of both for the idle time-out closes the flow', () => {
    const pair = new FlowPair({ timing: { ...DEFAULT_FLOW_TIMING, idleTimeoutMs: 60_000 } }).confirmed();
    pair.now = pair.client.pollTimeout() ?? 0;
    pair.client.handleTimeout(pair.now);
    pair.settle();
    expect(eventsOf(pair.client)).toContainEqual({ type: 'closed', reason: 'idle' });
    expect([pair.client.phase, pair.server.phase]).toEqual(['closed', 'closed']);
  });
});

describe('the end', () => {
  it('is told to the peer; what it overtook is delivered, nothing more is sent', () => {
    const pair = new FlowPair().confirmed();
    const overtaken = pair.send(pair.client, 'overtaken');
    pair.client.close(pair.now);
    pair.settle();
    expect(eventsOf(pair.client)).toEqual([{ type: 'closed', reason: 'local' }, { type: 'parted' }]);
    expect(eventsOf(pair.server)).toEqual([{ type: 'closed', reason: 'peer' }]);
    expect(pair.toServer(overtaken)).toBe('overtaken');
    expect(pair.server.send(pair.now, Buffer.alloc(1))).toBeUndefined();
    expect(pair.servers.counters.afterClose).toBe(1);
    pair.pass(10_000);
    expect([pair.client.phase, pair.server.phase]).toEqual(['ended', 'ended']);
    expect(eventsOf(pair.server)).toEqual([{ type: 'ended' }]);
    expect(pair.server.pollTimeout()).toBeUndefined();
  });

  it('is told again to a peer that has not heard of it', () => {
    const pair = new FlowPair().confirmed();
    pair.client.close(pair.now);
    pair.drain(pair.client); // lost
    pair.now += 50;
    expect(pair.toClient(pair.send(pair.server))).toBe('data');
    pair.settle();
    expect(eventsOf(pair.server)).toEqual([{ type: 'closed', reason: 'peer' }]);
  });

  it('frees the place in the table', () => {
    const pair = new FlowPair().confirmed();
    const bytes = pair.send(pair.client);
    expect(pair.servers.find(bytes)).toBe(pair.server);
    pair.servers.delete(pair.server);
    expect([pair.servers.find(bytes), pair.servers.size]).toEqual([undefined, 0]);
  });
});

it('packets that nobody polls are dropped beyond a limit', () => {
  const pair = new FlowPair().confirmed();
  for (let i = 0; i < 100; i++) pair.client.handleNetworkChange(pair.now + i);
  expect(pair.drain(pair.client).length).toBeLessThanOrEqual(32);
  expect(pair.clients.counters.overflowed).toBeGreaterThan(50);
});
