/** Unconnected sockets, where nobody has said that their peers matter: which of them are asked for a flow. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TransportAddress } from '../../../src/core/address.ts';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import { DatagramSocket } from './datagram-socket.ts';

const GROUP: TransportAddress = { ip: '224.0.1.187', port: 5683 };
const LASTING_MS = 1_000;
const EVERY_MS = 100;

let endpoints: Endpoint[];
let sockets: DatagramSocket[];

beforeEach(() => {
  endpoints = [];
  sockets = [];
});
afterEach(async () => {
  await Promise.all(sockets.map((socket) => socket.close()));
  for (const endpoint of endpoints) endpoint.close();
});

function endpoint(): Endpoint {
  const made = new Endpoint({});
  endpoints.push(made);
  return made;
}

async function open(of?: Endpoint): Promise<DatagramSocket> {
  const socket = await DatagramSocket.open(of, { initiates: () => 'lasting' });
  sockets.push(socket);
  return socket;
}

async function answering(of?: Endpoint): Promise<DatagramSocket> {
  const socket = await open(of);
  socket.onMessage = ({ from }) => void socket.send('answer', addressOf(from));
  return socket;
}

function addressOf(text: string): TransportAddress {
  const [ip = '', port = ''] = text.split(':');
  return { ip, port: Number(port) };
}

/** Question after question, until that holds, or for so long. */
async function talk(from: DatagramSocket, to: DatagramSocket, until: (() => boolean) | number): Promise<void> {
  const startedAt = performance.now();
  const over = typeof until === 'number' ? () => performance.now() - startedAt > until : until;
  while (!over()) {
    const answer = from.next();
    from.send('question', to.address);
    await answer;
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

describe('a peer of an unconnected socket', () => {
  test('is asked once answers have come for some time, and not before', async () => {
    const server = await answering(endpoint());
    const client = await open(endpoint());
    const startedAt = performance.now();
    await talk(client, server, () => server.signals > 0);
    expect(performance.now() - startedAt).toBeGreaterThan(LASTING_MS);
    await talk(client, server, () => client.flows + server.flows === 2);
  });

  test('is asked too when one question has many answers', async () => {
    const server = await open(endpoint());
    const client = await open(endpoint());
    client.send('tell me all', server.address);
    await server.next();
    const telling = setInterval(() => server.send('news', client.address), EVERY_MS);
    await client.until(() => client.flows > 0).finally(() => clearInterval(telling));
  });

  test('is not asked while it is only sent to', async () => {
    const server = await open();
    const client = await open(endpoint());
    const sending = setInterval(() => client.send('a line for the log', server.address), EVERY_MS);
    await server
      .until(() => server.received.length > (2 * LASTING_MS) / EVERY_MS)
      .finally(() => clearInterval(sending));
    expect(server.signals).toBe(0);
  });

  test('is not asked where it came first, to another socket of the process', async () => {
    const of = endpoint();
    const [reception, transfer] = [await open(of), await open(of)];
    const plain = await answering();
    plain.send('a file, please', reception.address);
    await reception.next();
    await talk(transfer, plain, 2 * LASTING_MS);
    expect(plain.signals).toBe(0);
  });

  test('is asked where it has answered a call into a group', async () => {
    const server = await answering(endpoint());
    const client = await open(endpoint());
    client.service.send([Buffer.from('who is there?')], GROUP);
    await server.sendRaw('I am', client.address); // heard before anything was sent to it
    await client.until(() => client.received.length > 0);
    await talk(client, server, () => client.flows + server.flows === 2);
  });
});
