/**
 * Gives a socket that is connecting another handle, as node does between the attempts of autoSelectFamily, TLS
 * included; and keeps what node would lose by it. Knows nothing of sessions.
 */
import type net from 'node:net';
import { type ConnectRequest, inside, type SocketInternals, type TransportHandle } from '../node-internals.ts';

export type TransportClass = new (kind: number) => TransportHandle;

/** The handle that moves the bytes: below TLS where there is TLS. */
export function transportOf(socket: net.Socket): TransportHandle | undefined {
  const outer = inside(socket)._handle;
  return outer?._parent ?? outer ?? undefined;
}

/** A handle for another connect of the same request: bound as the application wanted it. */
export function freshTransport(Transport: TransportClass, request: ConnectRequest): TransportHandle {
  const { localAddress, localPort = 0, addressType } = request;
  const transport = new Transport(0);
  if (localAddress || localPort) {
    if (addressType === 6) transport.bind6(localAddress || '::', localPort, 0);
    else transport.bind(localAddress || '0.0.0.0', localPort);
  }
  return transport;
}

/** Closes the old handle. What the application has asked of the socket so far (end, unref, onread) holds. */
export function exchangeHandle(socket: net.Socket, internals: SocketInternals, handle: TransportHandle): void {
  const old = transportOf(socket);
  const context = inside(socket)._handle?._secureContext;
  if (old?.hasRef?.() === false) handle.unref?.();
  if (old !== undefined && context?.singleUse) keepContext(old, context);
  const restore = keepStreamState(socket);
  try {
    reinitializeOf(socket, internals.reinitializeHandle).call(socket, handle);
  } finally {
    restore();
  }
  if (context !== undefined) afterTlsExchange(socket);
}

/** The method of the socket's class, past one on the instance. */
export function reinitializeOf(
  socket: net.Socket,
  symbol: symbol,
): (this: net.Socket, handle: TransportHandle) => void {
  return Object.getPrototypeOf(socket)[symbol];
}

/** Puts a property of the instance before a native method. By assignment: to define it takes five times as long. */
export function shadow<Name extends keyof TransportHandle>(
  handle: TransportHandle,
  name: Name,
  value: TransportHandle[Name],
): void {
  handle[name] = value;
}

/**
 * Takes a shadow back: the instance has the method of its class again. Not deleted, because that would make a
 * dictionary of the object, at 2 KB for each socket.
 */
export function unshadow(object: object, name: string | symbol): void {
  (object as Record<string | symbol, unknown>)[name] = Object.getPrototypeOf(object)[name];
}

/** TLS on a given socket takes over the `reading` of its handle. */
export function isBelowTls(handle: object | null): boolean {
  return handle !== null && Object.getOwnPropertyDescriptor(handle, 'reading')?.get !== undefined;
}

/** Node's symbol; the same for all sockets. */
let bufferGenerator: symbol | undefined;

/** Stops node from resetting the streams, and from asking the application for another `onread` buffer. */
function keepStreamState(socket: net.Socket): () => void {
  Object.defineProperty(socket, '_undestroy', { value: () => {}, configurable: true, writable: true });
  bufferGenerator ??= Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'kBufferGen');
  const symbol = bufferGenerator;
  const fields = socket as unknown as Record<symbol, unknown>;
  const generator = symbol && fields[symbol];
  if (symbol) fields[symbol] = null;
  return () => {
    unshadow(socket, '_undestroy');
    if (symbol) fields[symbol] = generator;
  };
}

/** What node forgets when it exchanges a handle below TLS. */
function afterTlsExchange(socket: net.Socket): void {
  const state = inside(socket);
  // Without it the new one would not be freed at the end.
  state.ssl = state._handle;
  // These were switched on at the old handle when the listener was added.
  if (socket.listenerCount('session') > 0) state._handle?.enableSessionCallbacks?.();
  if (socket.listenerCount('keylog') > 0) state._handle?.enableKeylogCallback?.();
}

/** Closing the old TLS handle would take the context with it that the new one lives on. */
function keepContext(old: TransportHandle, context: { singleUse?: boolean }): void {
  const { close } = old;
  shadow(old, 'close', (callback?: () => void) => close.call(old, sparingContext(context, callback ?? (() => {}))));
}

/** What TLS does after the close of a handle, but for the end of its context. */
export function sparingContext(context: { singleUse?: boolean } | undefined, onClosed: () => void): () => void {
  if (!context?.singleUse) return onClosed;
  return () => {
    context.singleUse = false;
    onClosed();
    context.singleUse = true;
  };
}
