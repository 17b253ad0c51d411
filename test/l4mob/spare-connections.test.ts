/** Connections made ahead of the next session, on real sockets. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Peer } from '../../src/l4mob/io/peer.ts';
import { type SpareConnection, SpareConnections } from '../../src/l4mob/io/spare-connections.ts';

const accepted: Socket[] = [];
let server: net.Server;
let peer: Peer;
let spares: SpareConnections;

function peerAt(port: number): Peer {
  return { destinations: () => [{ ip: '127.0.0.1', port }] } as unknown as Peer;
}

beforeEach(async () => {
  server = net.createServer((socket) => accepted.push(socket.on('error', () => {})));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  peer = peerAt((server.address() as AddressInfo).port);
  spares = new SpareConnections();
});

afterEach(() => {
  spares.dropAll();
  for (const socket of accepted.splice(0)) socket.destroy();
  server.close();
});

async function makeOne(): Promise<Socket> {
  const connected = once(server, 'connection');
  spares.opened(peer);
  spares.opened(peer);
  const [socket] = (await connected) as [Socket];
  return socket;
}

function takeOne(): Promise<SpareConnection> {
  return vi.waitFor(() => {
    const spare = spares.take(peer);
    if (spare === undefined) throw new Error('not ready yet');
    return spare;
  });
}

test('two sessions in a row make one, which serves once', async () => {
  const socket = await makeOne();
  const { connection } = await takeOne();
  expect(spares.take(peer)).toBeUndefined();
  const received = once(socket, 'data');
  connection.write([Buffer.from('hello')]);
  expect(String((await received)[0])).toBe('hello');
  connection.close();
});

test('one session makes none', () => {
  spares.opened(peer);
  spares.opened(peerAt(1));
  expect(spares.size).toBe(0);
});

test('one that the peer closes is forgotten', async () => {
  const socket = await makeOne();
  await vi.waitFor(() => expect(accepted).toHaveLength(1));
  socket.end();
  await once(socket, 'close');
  expect(spares.take(peer)).toBeUndefined();
});

test('none outlives a change of addresses', async () => {
  const socket = await makeOne();
  socket.resume();
  const ended = once(socket, 'close');
  spares.dropAll();
  await ended;
  expect(spares.take(peer)).toBeUndefined();
});

test('none is left waiting where the port refuses', async () => {
  const port = (server.address() as AddressInfo).port;
  server.close();
  peer = peerAt(port);
  spares.opened(peer);
  spares.opened(peer);
  await vi.waitFor(() => expect(spares.size).toBe(0));
});
