/**
 * Node's `dgram` module on mobile sockets, for programs that choose it by import and leave the global modules alone.
 */
import dgram from 'node:dgram';
import { nativeDgramBind } from '../../host/native.ts';
import { Layer, type LayerOptions } from '../layer.ts';
import { type Bind, mobileBind } from './bind-hook.ts';

export type DgramModule = Omit<typeof dgram, 'default'>;

/** A module like `node:dgram`; its own layer. */
export function mobileDgram(options: LayerOptions): DgramModule {
  const layer = new Layer(options);
  const { bindSync } = dgram.Socket.prototype as { bindSync?: Bind<unknown> };

  class Socket extends dgram.Socket {}
  define(Socket.prototype, 'bind', mobileBind(layer, nativeDgramBind as Bind<dgram.Socket>));
  if (bindSync !== undefined) define(Socket.prototype, 'bindSync', mobileBind(layer, bindSync));

  // The class is public, and takes what `createSocket` takes; its declaration leaves that out.
  const Constructor = Socket as unknown as new (...args: unknown[]) => dgram.Socket;
  const createSocket = (...args: unknown[]): dgram.Socket => new Constructor(...args);
  return { ...dgram, Socket, createSocket };
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
}
