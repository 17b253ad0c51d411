/** Somebody between two endpoints changes L4_INITs or L4_OFFERs, on real sockets: who has other keys gets no session. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Endpoint } from '../../src/l4mob/io/endpoint.ts';
import type { MobileStream, StreamOwner } from '../../src/l4mob/io/mobile-stream.ts';

const HOST = '127.0.0.1';
/** Of L4_INIT and of L4_OFFER: behind header, attempt and status. */
const A_NONCE_BYTE = 20;

let server: Endpoint;
let client: Endpoint;
let between: dgram.Socket;
/** At which the client asks: the one in between, who passes on to the server what it is asked. */
let port: number;
/** How many more messages of that kind are changed on the way. */
let forgeries: { readonly of: 'init' | 'offer'; left: number };
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
    const kind = from.port === askedPort ? 'offer' : 'init';
    if (kind === 'init') asker = from.port;
    if (forgeries.of === kind && forgeries.left > 0) {
      bytes[A_NONCE_BYTE] = (bytes[A_NONCE_BYTE] as number) ^ 1;
      forgeries.left -= 1;
    }
    between.send(bytes, kind === 'init' ? askedPort : asker, HOST);
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

test.each(['init', 'offer'] as const)(
  'one that was changed (%s) is found out with OPEN, and a new contact serves',
  async (of) => {
    forgeries = { of, left: 1 };
    const stream = await connect();
    stream.owner = SILENT;
    stream.write([Buffer.from('once and whole')], () => {});
    expect(await received).toBe('once and whole');
    const { unknownHellos, forgedHellos, malformedHellos } = server.counters();
    expect([unknownHellos, forgedHellos, malformedHellos]).toEqual([0, 1, 0]);
  },
);

test.each(['init', 'offer'] as const)(
  'where all are changed (%s) the connection fails, and no application got a byte',
  async (of) => {
    forgeries = { of, left: Number.POSITIVE_INFINITY };
    let delivered = false;
    void received.then(() => {
      delivered = true;
    });
    const stream = await connect();
    const closed = new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      stream.owner = { ...SILENT, onClose: resolve };
    });
    stream.write([Buffer.from('for nobody')], () => {});
    expect((await closed)?.code).toBe('ECONNREFUSED');
    const { unknownHellos, forgedHellos, malformedHellos, inits } = server.counters();
    expect([unknownHellos, forgedHellos, malformedHellos, inits]).toEqual([0, 2, 0, 2]);
    expect([client.sessions(), server.sessions(), delivered]).toEqual([[], [], false]);
  },
);
