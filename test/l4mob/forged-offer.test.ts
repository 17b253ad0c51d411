/** Somebody between two endpoints forges L4_OFFERs, on real sockets: what was written waits, and goes to nobody else. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Endpoint } from '../../src/l4mob/io/endpoint.ts';
import type { MobileStream, StreamOwner } from '../../src/l4mob/io/mobile-stream.ts';

const HOST = '127.0.0.1';

let server: Endpoint;
let client: Endpoint;
let between: dgram.Socket;
/** At which the client asks: the one in between, who passes on to the server what it is asked. */
let port: number;
/** How many more L4_OFFERs are changed on the way. */
let forgeries: number;
let received: Promise<string>;

beforeEach(async () => {
  server = new Endpoint();
  client = new Endpoint();
  between = dgram.createSocket('udp4').bind(0, HOST);
  await once(between, 'listening');
  port = between.address().port;
  received = new Promise((resolve) => {
    const onSession = (stream: MobileStream): void => {
      stream.owner = { ...SILENT, onData: (chunk) => resolve(chunk.toString()) !== undefined };
      stream.read();
    };
    server.listen({ address: HOST, port, onSession });
  });
  const free = dgram.createSocket('udp4').bind(0, HOST);
  await once(free, 'listening');
  const askedPort = free.address().port;
  free.close();
  await once(free, 'close');
  server.listen({ address: HOST, port: askedPort, onSession: (stream) => stream.reset() });
  passOn(askedPort);
});

afterEach(() => {
  client.close();
  server.close();
  between.close();
});

function passOn(askedPort: number): void {
  let asker = 0;
  between.on('message', (bytes, from) => {
    if (from.port !== askedPort) {
      asker = from.port;
      between.send(bytes, askedPort, HOST);
      return;
    }
    if (forgeries > 0) bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    forgeries -= 1;
    between.send(bytes, asker, HOST);
  });
}

const SILENT: StreamOwner = { onData: () => true, onEnd() {}, onClose() {} };

function connect(): Promise<MobileStream> {
  return new Promise((resolve, reject) => {
    client.open(
      { addresses: [HOST], port },
      { onOffer() {}, onOpen: resolve, onPlain: (reason) => reject(new Error(reason)) },
    );
  });
}

test('a forged L4_OFFER is noticed before anything goes out, and a genuine one takes its place', async () => {
  forgeries = 1;
  const stream = await connect();
  stream.owner = SILENT;
  stream.write([Buffer.from('for the server alone')], () => {});
  expect(await received).toBe('for the server alone');
  expect(client.counters().rejectedOffers).toBe(1);
  const { unknownHellos, forgedHellos, malformedHellos } = server.counters();
  expect([unknownHellos, forgedHellos, malformedHellos]).toEqual([0, 0, 0]);
});

test('where all L4_OFFERs are forged the connection fails, and nobody got a byte', async () => {
  forgeries = Number.POSITIVE_INFINITY;
  const stream = await connect();
  const closed = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    stream.owner = { ...SILENT, onClose: resolve };
  });
  stream.write([Buffer.from('for the server alone')], () => {});
  expect((await closed)?.code).toBe('ECONNREFUSED');
  expect(client.counters().rejectedOffers).toBeGreaterThan(1);
  const { unknownHellos, forgedHellos, malformedHellos } = server.counters();
  expect([unknownHellos, forgedHellos, malformedHellos]).toEqual([0, 0, 0]);
  expect(client.sessions()).toEqual([]);
});
