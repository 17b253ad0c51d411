/** Somebody between two sockets changes L4_OFFERs: the flow does not come about, and what the applications say goes on. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../../../src/l4mob/wire/signal-header.ts';
import { DatagramSocket } from './datagram-socket.ts';

const HOST = '127.0.0.1';
/** Of L4_OFFER: behind header, attempt and status. */
const A_NONCE_BYTE = 20;

let endpoints: [Endpoint, Endpoint];
let client: DatagramSocket;
let server: DatagramSocket;
let between: dgram.Socket;
let changed: number;

beforeEach(async () => {
  endpoints = [new Endpoint(), new Endpoint()];
  server = await DatagramSocket.open(endpoints[0]);
  client = await DatagramSocket.open(endpoints[1]);
  between = dgram.createSocket('udp4').bind(0, HOST);
  await once(between, 'listening');
  changed = 0;
  between.on('message', (bytes, { port }) => {
    const fromServer = port === server.address.port;
    if (fromServer && signalTypeOf(bytes) === SIGNAL_TYPE.offer) {
      bytes[A_NONCE_BYTE] = (bytes[A_NONCE_BYTE] as number) ^ 1;
      changed += 1;
    }
    between.send(bytes, fromServer ? client.address.port : server.address.port, HOST);
  });
  server.onMessage = ({ text, from }) => {
    const [ip = '', port = ''] = from.split(':');
    server.send(text, { ip, port: Number(port) });
  };
});
afterEach(async () => {
  await Promise.all([client, server].map((socket) => socket.close()));
  for (const endpoint of endpoints) endpoint.close();
  between.close();
});

test('OPENs are turned away and counted, and every datagram arrives once', async () => {
  const to = { ip: HOST, port: between.address().port };
  client.service.connected(to);
  const said: string[] = [];
  while (endpoints[0].counters().forgedPackets < 3) {
    const text = `${said.length + 1}`;
    said.push(text);
    const answer = client.next();
    client.send(text, to);
    expect((await answer).text).toBe(text);
  }
  expect(changed).toBe(1);
  expect([server, client].map(({ received }) => received.map(({ text }) => text))).toEqual([said, said]);
  expect([server.flows, endpoints[0].sessions().length]).toEqual([0, 0]);
});
