/**
 * Node's `net` module on mobile sockets, for programs that choose it by import and leave the global modules alone. What
 * is not about connecting or listening is node's own, by identity.
 */
import net from 'node:net';
import { nativeConnect, nativeListen } from '../host/native.ts';
import { type Connect, mobileConnect } from './connect/outgoing.ts';
import { Layer, type LayerOptions } from './layer.ts';
import { type Listen, type Listen2, mobileListen, mobileListen2 } from './server-hook.ts';

export type NetModule = Omit<typeof net, 'default'>;

/** A module like `node:net`; its own layer, and so its own endpoint. */
export function mobileNet(options: LayerOptions): NetModule {
  const layer = new Layer(options);
  const { _listen2 } = net.Server.prototype as unknown as { _listen2: Listen2 };

  class Socket extends net.Socket {}
  define(Socket.prototype, 'connect', mobileConnect(layer, nativeConnect as Connect));

  class Server extends net.Server {}
  define(Server.prototype, 'listen', mobileListen(nativeListen as Listen));
  define(Server.prototype, '_listen2', mobileListen2(layer, _listen2));

  const connect = (...args: unknown[]): net.Socket => {
    const [first] = args;
    const options = typeof first === 'object' && first !== null ? (first as net.NetConnectOpts) : undefined;
    const socket = new Socket(options as net.SocketConstructorOpts | undefined);
    if (options?.timeout) socket.setTimeout(options.timeout);
    return (socket.connect as (...args: unknown[]) => net.Socket).apply(socket, args);
  };
  const createServer = (...args: ConstructorParameters<typeof net.Server>): net.Server => new Server(...args);

  return { ...net, Socket, Server, Stream: Socket, connect, createConnection: connect, createServer } as NetModule;
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
}
