/** What somebody else on the network sends to sockets with flows changes nothing, and is counted by what was wrong. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import type { EndpointCounters } from '../../../src/l4mob/io/mobile-stream.ts';
import { REPLAY_WINDOW_NUMBERS } from '../../../src/l4mob/replay-window.ts';
import { DATAGRAM_TYPE } from '../../../src/l4mob/wire/datagram.ts';
import { DatagramSocket } from './datagram-socket.ts';

let endpoints: [Endpoint, Endpoint];
let client: DatagramSocket;
let server: DatagramSocket;
let stranger: DatagramSocket;

beforeEach(async () => {
  endpoints = [new Endpoint(), new Endpoint()];
  server = await DatagramSocket.open(endpoints[0]);
  client = await DatagramSocket.open(endpoints[1]);
  stranger = await DatagramSocket.open();
  server.onMessage = ({ text, from }) => {
    const [ip = '', port = ''] = from.split(':');
    server.send(text, { ip, port: Number(port) });
  };
  client.service.connected(server.address);
  while (endpoints[0].sessions()[0]?.state !== 'open' || !carriesData()) await exchange('hello');
});
afterEach(async () => {
  await Promise.all([client, server, stranger].map((socket) => socket.close()));
  for (const endpoint of endpoints) endpoint.close();
});

const carriesData = (): boolean => server.arrived.at(-1)?.[0] === DATAGRAM_TYPE.data;

async function exchange(text: string): Promise<void> {
  const answer = client.next();
  client.send(text, server.address);
  expect((await answer).text).toBe(text);
}

/** The last packet with data of the client's, as anybody on the path could have it. */
function captured(): Buffer {
  const packet = server.arrived.findLast(([type]) => type === DATAGRAM_TYPE.data);
  if (packet === undefined) throw new Error('no packet');
  return Buffer.from(packet);
}

/** What the server has counted more, after these have come. */
async function counted(packets: readonly Buffer[]): Promise<Partial<EndpointCounters>> {
  const before = endpoints[0].counters();
  const { length } = server.arrived;
  for (const bytes of packets) await stranger.sendRaw(bytes, server.address);
  await server.until(() => server.arrived.length >= length + packets.length);
  const after = Object.entries(endpoints[0].counters()) as [keyof EndpointCounters, number][];
  return Object.fromEntries(
    after.map(([name, count]) => [name, count - before[name]]).filter(([, more]) => more !== 0),
  );
}

function changedAt(packet: Buffer, at: number): Buffer {
  const changed = Buffer.from(packet);
  changed[at] = (changed[at] as number) ^ 0x55;
  return changed;
}

const PACKET_NUMBER_END = 20;

test('forged packets are counted, one by one, and move nothing', async () => {
  const packet = captured();
  const later = changedAt(packet, PACKET_NUMBER_END - 1); // fresh, so that the MAC has to tell
  const forged = [later, changedAt(later, packet.length - 1), changedAt(later, 22)];
  expect(await counted(forged)).toEqual({ forgedPackets: forged.length });
  await exchange('still here');
  expect(endpoints[0].sessions()).toMatchObject([{ moves: 0, remote: client.address }]);
});

test('copies are counted as replayed, and those of long ago as stale', async () => {
  const packet = captured();
  expect(await counted([packet, packet])).toEqual({ replayedPackets: 2 });
  server.onMessage = undefined;
  const { length } = server.received;
  for (let i = 0; i < REPLAY_WINDOW_NUMBERS + 32; i++) {
    client.send('more', server.address);
    if (i % 64 === 0) await server.until(() => server.received.length > length + i);
  }
  await server.until(() => server.received.length === length + REPLAY_WINDOW_NUMBERS + 32);
  expect(await counted([packet])).toEqual({ stalePackets: 1 });
});

test('packets of a form that there is not are counted as malformed', async () => {
  const packet = captured();
  packet[0] = DATAGRAM_TYPE.close; // whose payload has 8 bytes
  expect(await counted([packet])).toEqual({ malformedPackets: 1 });
});

test('packets of flows that nobody knows are counted from the second of each on, and not delivered', async () => {
  const unknown = changedAt(captured(), 1);
  const { length } = server.received;
  expect(await counted([unknown, changedAt(unknown, PACKET_NUMBER_END - 1)])).toEqual({ unknownPackets: 1 });
  expect(server.received.length - length).toBe(1);
});

test('a copy that is faster than the packet itself makes challenges, and a move that is taken back', async () => {
  const before = endpoints[0].counters();
  // The packet itself is held up: as if it came by a slow way.
  const held = client.holdNext();
  client.send('raced', server.address);
  const packet = await held;
  const arrived = server.next();
  await stranger.sendRaw(packet, server.address);
  expect((await arrived).text).toBe('raced');
  await exchange('from the old place');
  const after = endpoints[0].counters();
  expect(after.challenges).toBeGreaterThan(before.challenges);
  expect(after.undoneMoves - before.undoneMoves).toBe(1);
  expect(endpoints[0].sessions()[0]?.path?.remote).toEqual(client.address);
});

test('L4_INITs to a mobile UDP socket are counted with all others', () => {
  expect(endpoints[0].counters()).toMatchObject({ inits: 1, offers: 1 });
});

test('a copy of an OPEN brings nobody what the application sends', async () => {
  const opens: Buffer[] = [];
  const victim = await DatagramSocket.open(endpoints[1]);
  victim.holdFlows(opens);
  server.onMessage = undefined;
  victim.service.connected(server.address);
  const hello = server.next();
  victim.send('hello', server.address);
  await hello;
  server.send('welcome', victim.address);
  await victim.until(() => opens.length >= 2);
  const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = opens;
  await victim.sendRaw(first, server.address);
  await server.until(() => server.flows === 2);
  expect(server.send('plain', victim.address)).toBe('sent');
  await victim.until(() => victim.received.at(-1)?.text === 'plain');
  await stranger.sendRaw(second, server.address);
  await server.until(() => server.arrived.at(-1)?.equals(second) === true);
  for (const bytes of [1, ...Array.from({ length: 20 }, () => 1_000)]) server.send('x'.repeat(bytes), victim.address);
  // Behind all that, from the same socket.
  await server.sendRaw('the end', stranger.address);
  await stranger.until(() => stranger.received.at(-1)?.text === 'the end');
  const got = stranger.arrived.slice(0, -1).reduce((sum, bytes) => sum + bytes.length, 0);
  expect(got).toBeGreaterThan(0);
  expect(got).toBeLessThanOrEqual(3 * second.length);
  await victim.close('crash');
});
