/** Datagram flows on real loopback sockets: when they begin, what they do to names, and how they end. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatTransportAddress, type TransportAddress } from '../../../src/core/address.ts';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import type { SessionLifeEvent } from '../../../src/l4mob/io/mobile-stream.ts';
import { DATAGRAM_TYPE } from '../../../src/l4mob/wire/datagram.ts';
import { DatagramSocket, type SocketRules } from './datagram-socket.ts';

let endpoints: Endpoint[];
let sockets: DatagramSocket[];
let events: SessionLifeEvent[];

beforeEach(() => {
  endpoints = [];
  sockets = [];
  events = [];
});
afterEach(async () => {
  await Promise.all(sockets.map((socket) => socket.close()));
  for (const endpoint of endpoints) endpoint.close();
});

function endpoint(options: ConstructorParameters<typeof Endpoint>[0] = {}): Endpoint {
  const made = new Endpoint({ onLife: (event) => void events.push(event), ...options });
  endpoints.push(made);
  return made;
}

async function open(of?: Endpoint, rules?: SocketRules, port?: number): Promise<DatagramSocket> {
  const socket = await DatagramSocket.open(of, rules, port);
  sockets.push(socket);
  return socket;
}

/** Answers every datagram with the name of whoever sent it. */
function answering(socket: DatagramSocket): DatagramSocket {
  socket.onMessage = ({ text, from }) => socket.send(`${text} from ${from}`, parse(from));
  return socket;
}

function parse(text: string): TransportAddress {
  const [ip = '', port = ''] = text.split(':');
  return { ip, port: Number(port) };
}

function say(socket: DatagramSocket, text: string, to: TransportAddress): Promise<{ text: string; from: string }> {
  const answer = socket.next();
  socket.send(text, to);
  return answer;
}

const flowTypes = (socket: DatagramSocket): number[] =>
  socket.sent.map(({ bytes }) => bytes[0] as number).filter((type) => type >= 8 && type < 16);
const carriesData = (socket: DatagramSocket): boolean => flowTypes(socket).includes(DATAGRAM_TYPE.data);
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Client and server with a flow that carries data both ways. */
async function pair(): Promise<{ client: DatagramSocket; server: DatagramSocket }> {
  const server = answering(await open(endpoint()));
  const client = await open(endpoint());
  client.service.connected(server.address);
  await meet(client, server);
  return { client, server };
}

/** Says things until they go by the flow both ways. */
async function meet(client: DatagramSocket, server: DatagramSocket): Promise<void> {
  const at = client.sent.length;
  const meets = (): boolean =>
    client.calls.includes('openToAll') || client.sent.slice(at).some(({ bytes }) => bytes[0] === DATAGRAM_TYPE.data);
  await say(client, 'hello', server.address);
  await client.until(() => client.flows > 0);
  while (!meets()) await client.until(() => true).then(() => wait(1));
  await say(client, 'hello again', server.address);
}

describe('the beginning of a flow', () => {
  test('is asked for when the peer has answered, and data goes on meanwhile', async () => {
    const { client, server } = await pair();
    const name = formatTransportAddress(client.address);
    expect(server.received.map(({ text }) => text)).toEqual(['hello', 'hello again']);
    expect(server.received.every(({ from }) => from === name)).toBe(true);
    expect(client.received.every(({ from }) => from === formatTransportAddress(server.address))).toBe(true);
    expect(carriesData(client)).toBe(true);
    expect(carriesData(server)).toBe(true);
    expect(client.calls).toEqual(['openToAll']);
    expect(events.map(({ name, role }) => `${name} ${role}`).sort()).toEqual(['open initiator', 'open responder']);
  });
});
