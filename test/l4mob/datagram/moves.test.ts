/** The address update rule of datagram flows, move by move. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DATAGRAM_TYPE } from '../../../src/l4mob/wire/datagram.ts';
import {
  CLIENT,
  CLIENT_ELSEWHERE,
  eventsOf,
  FlowPair,
  type OnTheWire,
  SERVER,
  SERVER_ELSEWHERE,
  STRANGER,
  same,
} from './flow-pair.ts';

let pair: FlowPair;
beforeEach(() => {
  pair = new FlowPair().confirmed();
});

function only(packets: readonly OnTheWire[], type: number, to?: OnTheWire['to']): OnTheWire[] {
  return packets.filter((packet) => packet.bytes[0] === type && (to === undefined || same(packet.to, to)));
}

describe('a client that moves', () => {
  it('tells at once, large enough to be answered with data, and until it is answered', () => {
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    const [first] = pair.drain(pair.client);
    expect([first?.bytes[0], first?.bytes.length]).toEqual([DATAGRAM_TYPE.challenge, 1_200]);
    const at: number[] = [];
    const start = pair.now;
    while (at.length < 4) {
      pair.now = pair.client.pollTimeout() ?? Number.NaN;
      pair.client.handleTimeout(pair.now);
      at.push(...pair.drain(pair.client).map(() => pair.now - start));
    }
    expect(at).toEqual([40, 120, 280, 600]);
    pair.pass(700);
    expect(eventsOf(pair.client).map(({ type }) => type)).toEqual(['moved']);
    expect(pair.client.unansweredSince).toBeUndefined();
  });

  it('is followed at once, and sent no more than three times what came until it has answered', () => {
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    const [announcement] = pair.drain(pair.client);
    if (announcement === undefined) throw new Error('no announcement');
    pair.toServer(announcement.bytes);
    expect(eventsOf(pair.server)).toEqual([{ type: 'peer-moved', remote: CLIENT_ELSEWHERE, announced: true }]);
    expect([pair.server.remote, pair.server.remoteValidated]).toEqual([
      expect.objectContaining(CLIENT_ELSEWHERE),
      false,
    ]);
    const own = pair.drain(pair.server);
    expect(only(own, DATAGRAM_TYPE.challenge, CLIENT_ELSEWHERE)).toHaveLength(1);
    expect(only(own, DATAGRAM_TYPE.challenge, CLIENT)).toHaveLength(1);
    expect(only(own, DATAGRAM_TYPE.answer, CLIENT_ELSEWHERE)).toHaveLength(1);
    let sent = own.filter(({ to }) => same(to, CLIENT_ELSEWHERE)).reduce((sum, { bytes }) => sum + bytes.length, 0);
    for (let i = 0; i < 100; i++) sent += pair.server.send(pair.now, Buffer.alloc(1_000))?.length ?? 0;
    expect(sent).toBeGreaterThan(2_000);
    expect(sent).toBeLessThanOrEqual(3_600);
    for (const { bytes, to } of own) if (same(to, CLIENT_ELSEWHERE)) pair.toClient(bytes);
    pair.settle();
    expect(eventsOf(pair.server)).toEqual([{ type: 'validated', remote: CLIENT_ELSEWHERE }]);
    expect(pair.server.send(pair.now, Buffer.alloc(1_000))).toHaveLength(1_037);
  });

  it('and is a sender need say nothing more than its data', () => {
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    pair.drain(pair.client); // lost
    expect(pair.toServer(pair.send(pair.client))).toBe('data');
    expect(pair.server.remote).toMatchObject(CLIENT_ELSEWHERE);
  });

  it('and comes back is followed back', () => {
    for (const place of [CLIENT_ELSEWHERE, CLIENT, CLIENT_ELSEWHERE, CLIENT]) {
      pair.clientAt = place;
      pair.client.handleNetworkChange(pair.now);
      pair.settle();
      expect([pair.server.remote, pair.server.remoteValidated]).toEqual([expect.objectContaining(place), true]);
      pair.pass(30);
    }
  });

  it('is not followed by what it had sent before', () => {
    const late = pair.send(pair.client, 'late');
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    pair.settle();
    eventsOf(pair.server);
    expect(pair.toServer(late, CLIENT)).toBe('late');
    expect(pair.server.remote).toMatchObject(CLIENT_ELSEWHERE);
    expect(eventsOf(pair.server)).toEqual([]);
  });
});

describe('a NAT that forgets', () => {
  it('is seen by the newest packet: the flow goes on, and the old path is challenged too', () => {
    pair.clientAt = { ip: CLIENT.ip, port: 61_000 };
    pair.toServer(pair.send(pair.client));
    expect(eventsOf(pair.server)).toEqual([{ type: 'peer-moved', remote: pair.clientAt, announced: false }]);
    pair.settle();
    expect(eventsOf(pair.server)).toEqual([{ type: 'validated', remote: pair.clientAt }]);
    pair.pass(20_000);
    expect(pair.server.remote).toMatchObject(pair.clientAt);
  });
});

describe('packets that were overtaken', () => {
  it('are delivered, and move nothing whatever address they come from', () => {
    const [old, older] = [pair.send(pair.client, 'old'), pair.send(pair.client, 'older')];
    pair.clientAt = { ip: CLIENT.ip, port: 61_000 };
    pair.toServer(pair.send(pair.client));
    eventsOf(pair.server);
    expect([pair.toServer(older, CLIENT), pair.toServer(old, STRANGER)]).toEqual(['older', 'old']);
    expect(pair.server.remote).toMatchObject(pair.clientAt);
    expect(eventsOf(pair.server)).toEqual([]);
  });
});

describe('somebody who copies packets and is faster', () => {
  it('gets three times what he sent, until the next packet from the old place', () => {
    const bytes = pair.send(pair.client);
    expect(pair.toServer(bytes, STRANGER)).toBe('data');
    expect(pair.toServer(bytes)).toBeUndefined();
    const own = pair.drain(pair.server);
    let got = only(own, DATAGRAM_TYPE.challenge, STRANGER).reduce((sum, packet) => sum + packet.bytes.length, 0);
    for (let i = 0; i < 100; i++) got += pair.server.send(pair.now, Buffer.alloc(10))?.length ?? 0;
    expect(got).toBeLessThanOrEqual(3 * bytes.length);
    expect(pair.toServer(pair.send(pair.client))).toBe('data');
    expect(eventsOf(pair.server).map(({ type }) => type)).toEqual(['peer-moved', 'move-undone']);
    expect([pair.server.remote, pair.server.remoteValidated]).toEqual([expect.objectContaining(CLIENT), true]);
  });

  it('is found out by the old path when that is silent otherwise, and then not believed for a while', () => {
    pair.toServer(pair.send(pair.client), STRANGER);
    for (const { bytes, to } of pair.drain(pair.server)) if (same(to, CLIENT)) pair.toClient(bytes);
    // The answer is copied and raced as well.
    for (const { bytes } of pair.drain(pair.client)) pair.toServer(bytes, STRANGER);
    expect(eventsOf(pair.server).map(({ type }) => type)).toEqual(['peer-moved', 'move-undone']);
    expect(pair.server.remote).toMatchObject(CLIENT);
    expect(pair.toServer(pair.send(pair.client), STRANGER)).toBe('data');
    expect(pair.server.remote).toMatchObject(CLIENT);
    expect(eventsOf(pair.server)).toEqual([]);
    expect(pair.servers.counters).toMatchObject({ undoneMoves: 1, refusedMoves: 1 });
  });

  it('cannot keep the flow when the peer announces a move', () => {
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    const [announcement] = pair.drain(pair.client);
    pair.toServer(announcement?.bytes ?? Buffer.alloc(0), STRANGER);
    expect(pair.server.remote).toMatchObject(STRANGER);
    pair.pass(50);
    expect([pair.server.remote, pair.server.remoteValidated]).toEqual([
      expect.objectContaining(CLIENT_ELSEWHERE),
      true,
    ]);
    expect(pair.client.unansweredSince).toBeUndefined();
  });

  it('cannot push out a validation by any number of apparent moves', () => {
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.client.handleNetworkChange(pair.now);
    const [announcement] = pair.drain(pair.client);
    pair.toServer(announcement?.bytes ?? Buffer.alloc(0));
    const challenges = only(pair.drain(pair.server), DATAGRAM_TYPE.challenge, CLIENT_ELSEWHERE);
    for (let port = 1; port < 50; port++) pair.toServer(pair.send(pair.client), { ...STRANGER, port });
    expect(pair.server.remoteValidated).toBe(false);
    for (const { bytes } of challenges) pair.toClient(bytes);
    for (const { bytes } of only(pair.drain(pair.client), DATAGRAM_TYPE.answer)) pair.toServer(bytes);
    expect([pair.server.remote, pair.server.remoteValidated]).toEqual([
      expect.objectContaining(CLIENT_ELSEWHERE),
      true,
    ]);
  });

  it('and relays the challenge too is on the path, but loses the flow to the next packet from the old place', () => {
    pair.toServer(pair.send(pair.client), STRANGER);
    for (const { bytes } of pair.drain(pair.server)) pair.toClient(bytes);
    for (const { bytes } of pair.drain(pair.client)) pair.toServer(bytes, STRANGER);
    pair.toServer(pair.send(pair.client));
    expect(pair.server.remote).toMatchObject(CLIENT);
  });

  it('moves nothing before the flow is confirmed, and nothing with an answer alone', () => {
    pair.client.handleNetworkChange(pair.now);
    const [announcement] = pair.drain(pair.client);
    pair.toServer(announcement?.bytes ?? Buffer.alloc(0));
    const [answer] = only(pair.drain(pair.server), DATAGRAM_TYPE.answer);
    pair.toClient(answer?.bytes ?? Buffer.alloc(0), STRANGER);
    expect(pair.client.remote).toMatchObject(SERVER);
    expect(eventsOf(pair.client).map(({ type }) => type)).toEqual(['moved']);
  });
});

describe('a peer that is looked for', () => {
  const OWN = { port: SERVER.port, addresses: [SERVER.ip, SERVER_ELSEWHERE.ip] } as const;

  it('is asked at the addresses that it told, and found there', () => {
    pair.server.handleNetworkChange(pair.now, OWN);
    pair.settle();
    eventsOf(pair.client);
    pair.serverAt = SERVER_ELSEWHERE; // and the server doesn't know
    pair.send(pair.client);
    pair.pass(8_000);
    expect(pair.client.remote).toMatchObject(SERVER_ELSEWHERE);
    expect(eventsOf(pair.client).map(({ type }) => type)).toContain('peer-moved');
    expect(pair.client.unansweredSince).toBeUndefined();
  });

  it('is asked again when it falls silent, though it never confirmed our list', () => {
    pair.client.handleNetworkChange(pair.now, { port: CLIENT.port, addresses: [CLIENT.ip] });
    const lists = only(pair.drain(pair.client), DATAGRAM_TYPE.challenge);
    for (const { bytes } of lists) pair.toServer(bytes);
    for (const { bytes } of pair.drain(pair.server)) pair.toClient(bytes);
    expect(pair.client.unansweredSince).toBeUndefined();
    pair.send(pair.client);
    const told: string[] = [];
    let listed = 0;
    for (let i = 0; i < 60; i++) {
      pair.now = pair.client.pollTimeout() ?? pair.now;
      pair.client.handleTimeout(pair.now);
      listed += only(pair.drain(pair.client), DATAGRAM_TYPE.addresses).length;
      told.push(...eventsOf(pair.client).map(({ type }) => type));
    }
    expect(told).toContain('lost');
    expect(listed).toBeGreaterThan(5);
  });

  it('both having moved at once, is found with the help of a rendezvous', () => {
    pair.serverAt = SERVER_ELSEWHERE;
    pair.clientAt = CLIENT_ELSEWHERE;
    pair.server.handleNetworkChange(pair.now);
    pair.client.handleNetworkChange(pair.now);
    pair.pass(1_600);
    expect(eventsOf(pair.client)).toEqual([{ type: 'lost' }]);
    pair.client.learnPeerAddresses(pair.now, [SERVER_ELSEWHERE]);
    pair.pass(100);
    expect(eventsOf(pair.client).map(({ type }) => type)).toEqual(
      expect.arrayContaining(['peer-moved', 'found', 'moved']),
    );
    expect([pair.client.remote, pair.server.remote]).toEqual([
      expect.objectContaining(SERVER_ELSEWHERE),
      expect.objectContaining(CLIENT_ELSEWHERE),
    ]);
    expect(pair.toServer(pair.send(pair.client))).toBe('data');
    expect(pair.toClient(pair.send(pair.server))).toBe('data');
  });

  it('is not asked for ever where only its list says that it may be', () => {
    pair.server.handleNetworkChange(pair.now, { port: 666, addresses: [STRANGER.ip] });
    pair.settle();
    pair.send(pair.client);
    let asked = 0;
    for (let i = 0; i < 200; i++) {
      pair.now = Math.max(pair.now, pair.client.pollTimeout() ?? pair.now);
      pair.client.handleTimeout(pair.now);
      asked += pair.drain(pair.client).filter(({ to }) => same(to, STRANGER)).length;
    }
    expect(asked).toBeGreaterThan(0);
    expect(asked).toBeLessThanOrEqual(8);
  });

  it('is where its newest list says, whatever comes late', () => {
    pair.server.handleNetworkChange(pair.now, OWN);
    const [old] = only(pair.drain(pair.server), DATAGRAM_TYPE.addresses);
    pair.server.handleNetworkChange(pair.now, { port: 666, addresses: [] });
    pair.settle();
    pair.toClient(old?.bytes ?? Buffer.alloc(0));
    pair.send(pair.client);
    pair.now += 10_000;
    pair.client.handleTimeout(pair.now);
    pair.now += 1_000;
    pair.client.handleTimeout(pair.now);
    expect(pair.drain(pair.client).filter(({ to }) => to.ip === SERVER_ELSEWHERE.ip)).toEqual([]);
  });
});
