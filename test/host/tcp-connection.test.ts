/** TCP connections on node's handle, against node's own sockets. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectTcp, type TcpConnection, type TcpConnectionHandler } from '../../src/host/tcp-connection.ts';
import { listenTcp } from '../../src/host/tcp-listener.ts';

const HOST = '127.0.0.1';
let server: net.Server;
let port: number;

beforeEach(async () => {
  server = net.createServer({ allowHalfOpen: true });
  server.listen(0, HOST);
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  server.close();
});

function connect(remotePort = port, localAddress?: string): Promise<TcpConnection> {
  return new Promise((resolve, reject) => {
    connectTcp({ remote: { ip: HOST, port: remotePort }, localAddress, onConnected: resolve, onFailed: reject });
  });
}

async function pair(): Promise<[TcpConnection, Socket]> {
  const [connection, [socket]] = await Promise.all([connect(), once(server, 'connection')]);
  return [connection, socket as Socket];
}

/** What a connection tells, in order; `until` waits for one of these. */
function hear(connection: TcpConnection): { told: string[]; until(what: string): Promise<void> } {
  const told: string[] = [];
  let wake = (): void => {};
  const tell = (what: string): void => {
    told.push(what);
    wake();
  };
  const handler: TcpConnectionHandler = {
    onBytes: (bytes) => tell(String(bytes)),
    onEnd: () => tell('end'),
    onError: ({ code }) => tell(code),
    onDrain: () => tell('drain'),
  };
  connection.handler = handler;
  return {
    told,
    until: async (what) => {
      while (!told.includes(what)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

test('carries bytes both ways, and knows both ends', async () => {
  const [connection, socket] = await pair();
  expect([connection.local.ip, connection.remote]).toEqual([HOST, { ip: HOST, port }]);
  expect(connection.local.port).toBe(socket.remotePort);
  const heard = hear(connection);
  connection.write([Buffer.from('he'), Buffer.from('llo')]);
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
  socket.write('and back');
  await heard.until('and back');
  connection.end();
  await once(socket, 'end');
  socket.end();
  await heard.until('end');
  expect(heard.told).toEqual(['and back', 'end']);
  connection.close();
});

test('says when the kernel takes no more, and when it does again', async () => {
  const [connection, socket] = await pair();
  const heard = hear(connection);
  const chunk = Buffer.alloc(1 << 20, 'x');
  let written = 0;
  while (!connection.blocked) {
    connection.write([chunk]);
    written += chunk.length;
  }
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  await heard.until('drain');
  expect(connection.blocked).toBe(false);
  connection.end();
  await once(socket, 'end');
  expect(received).toBe(written);
  connection.close();
  socket.destroy();
});

test('hears a reset, once', async () => {
  const [connection, socket] = await pair();
  const heard = hear(connection);
  socket.resetAndDestroy();
  await heard.until('ECONNRESET');
  expect(heard.told).toEqual(['ECONNRESET']);
  expect(connection.closed).toBe(true);
  connection.write([Buffer.from('into the void')]);
  connection.close();
});

test('resets without a word of its own', async () => {
  const [connection, socket] = await pair();
  const heard = hear(connection);
  const error = once(socket, 'error');
  socket.resume();
  connection.reset();
  expect(await error).toMatchObject([{ code: 'ECONNRESET' }]);
  expect(heard.told).toEqual([]);
});

test('leaves what comes to the kernel while it is paused', async () => {
  const [connection, socket] = await pair();
  const heard = hear(connection);
  connection.pause();
  await new Promise((resolve) => socket.write('later', resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(heard.told).toEqual([]);
  connection.resume();
  await heard.until('later');
  connection.close();
  socket.destroy();
});

test.each([
  { what: 'a port that nobody serves', localAddress: undefined, code: 'ECONNREFUSED' },
  { what: 'an address that is not ours', localAddress: '203.0.113.77', code: 'EADDRNOTAVAIL' },
])('fails for $what, but not inside the call', async ({ localAddress, code }) => {
  server.close();
  await once(server, 'close');
  await expect(connect(port, localAddress)).rejects.toMatchObject({ code, syscall: 'connect' });
});

test('a connect that is given up says nothing', async () => {
  const told: string[] = [];
  const giveUp = connectTcp({
    remote: { ip: HOST, port },
    onConnected: () => told.push('connected'),
    onFailed: ({ code }) => told.push(code),
  });
  giveUp();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(told).toEqual([]);
});

test('is what a listener accepts, on the first port that is free', async () => {
  const accepted = new Promise<TcpConnection>((resolve, reject) => {
    const listener = listenTcp({
      address: HOST,
      ports: [port, port + 20],
      ipv6Only: false,
      exclusive: false,
      onListening: (found) => {
        expect(found).toBeGreaterThan(port);
        net.connect(found, HOST).on('connect', function (this: Socket) {
          this.end('hello');
          listener.close();
        });
      },
      onConnection: resolve,
      onError: reject,
    });
  });
  const connection = await accepted;
  const heard = hear(connection);
  await heard.until('end');
  expect(heard.told).toEqual(['hello', 'end']);
  connection.close();
});
