/** UDP sockets of one test, closed at its end, and what they hear. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach } from 'vitest';
import { type DgramState, dgramState, type UdpHandle } from '../../../src/socket/dgram/dgram-internals.ts';
import { type MobileDgram, mobileDgramOf } from '../../../src/socket/dgram/mobile-dgram.ts';

const sockets: dgram.Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) if (handleOf(socket) !== null) socket.close();
});

/** To be closed at the end of the test, if it is not by then. */
export function kept<S extends dgram.Socket>(socket: S): S {
  sockets.push(socket);
  return socket;
}

export function udpSocket(options: dgram.SocketType | dgram.SocketOptions = 'udp4'): dgram.Socket {
  return kept(dgram.createSocket(options as dgram.SocketOptions));
}

export async function boundSocket(
  options: dgram.SocketType | dgram.SocketOptions = 'udp4',
  bind: dgram.BindOptions = { port: 0, address: '127.0.0.1' },
): Promise<dgram.Socket> {
  const socket = udpSocket(options);
  socket.bind(bind);
  await once(socket, 'listening');
  return socket;
}

export async function connectTo(socket: dgram.Socket, port: number, address = '127.0.0.1'): Promise<dgram.Socket> {
  socket.connect(port, address);
  await once(socket, 'connect');
  return socket;
}

export interface Heard {
  readonly text: string;
  readonly from: dgram.RemoteInfo;
}

/** The next datagram. Ask before it can come. */
export async function heard(socket: dgram.Socket): Promise<Heard> {
  const [bytes, from] = (await once(socket, 'message')) as [Buffer, dgram.RemoteInfo];
  return { text: bytes.toString(), from };
}

/** Sends, and gives what the callback got. */
export function sent(socket: dgram.Socket, ...args: unknown[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, bytes: number): void => (error ? reject(error) : resolve(bytes));
    (socket.send as (...args: unknown[]) => void)(...args, done);
  });
}

/** An answering pair: the first datagram of the client has come back. */
export async function echoPair(): Promise<{ server: dgram.Socket; client: dgram.Socket; port: number; flow: Heard }> {
  const server = await boundSocket();
  const { port } = server.address();
  const client = await connectTo(udpSocket(), port);
  const atServer = heard(server);
  const answer = heard(client);
  client.send('hello');
  const flow = await atServer;
  server.send('welcome', flow.from.port, flow.from.address);
  await answer;
  return { server, client, port, flow };
}

export function stateOf(socket: dgram.Socket): DgramState {
  const state = dgramState(socket);
  if (typeof state === 'string') throw new Error(state);
  return state;
}

export function handleOf(socket: dgram.Socket): UdpHandle | null {
  return stateOf(socket).handle;
}

export function mobileOf(socket: dgram.Socket): MobileDgram | undefined {
  return mobileDgramOf(handleOf(socket));
}

/** What the kernel says, whatever stands before it. */
export function kernelNames(socket: dgram.Socket): { local: object; remote: object | number } {
  const handle = handleOf(socket);
  const { constructor: Handle } = handle as unknown as { constructor: { prototype: UdpHandle } };
  const { getsockname, getpeername } = Handle.prototype;
  const local = {};
  const remote = {};
  getsockname.call(handle as UdpHandle, local);
  const status = getpeername.call(handle as UdpHandle, remote);
  return { local, remote: status === 0 ? remote : status };
}
