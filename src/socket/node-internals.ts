/**
 * The few parts of node's socket internals that mobility rests on, found at run time and checked before use:
 *
 * - a socket's `_handle` and the requests passed to it. Node's own JavaScript does everything an application can see
 *   (events, states, errors, timeouts, counters); the handle only moves bytes. So mobility lives at the handle.
 * - `kReinitializeHandle`, by which node itself changes the handle of a socket that is still connecting
 *   (autoSelectFamily), TLS included.
 * - `JSStream`, the handle whose bytes come from JavaScript; node uses it for TLS over any Duplex, and TLS, the HTTP
 *   parser and HTTP/2 take it natively.
 *
 * The same in node 20, 22, 24 and 26. Where something is missing, `socketInternals()` says so and nothing is mobile.
 */
import net from 'node:net';
import { Duplex } from 'node:stream';
import { nodeBinding } from '../host/node-binding.ts';

export interface AddressOut {
  address?: string;
  family?: string;
  port?: number;
}

/** TCPConnectWrap. */
export interface ConnectRequest {
  oncomplete?: (
    status: number,
    handle: TransportHandle,
    request: ConnectRequest,
    readable: boolean,
    writable: boolean,
  ) => void;
  address?: string;
  port?: number;
  localAddress?: string | null | undefined;
  localPort?: number | undefined;
  addressType?: number;
}

type ConnectMethod = (request: ConnectRequest, address: string, port: number) => number;

/** TCPWrap, as far as it is used here. */
export interface TransportHandle {
  connect: ConnectMethod;
  connect6: ConnectMethod;
  bind(address: string, port: number, flags?: number): number;
  bind6(address: string, port: number, flags: number): number;
  close(callback?: () => void): void;
  getsockname(out: AddressOut): number;
  getpeername(out: AddressOut): number;
  hasRef?(): boolean;
  ref?(): void;
  unref?(): void;
}

/** TLSWrap: stands between the socket and its transport. */
export interface TlsHandle {
  readonly _parent?: TransportHandle;
  readonly _parentWrap?: unknown;
  readonly _secureContext?: { singleUse?: boolean };
  enableSessionCallbacks?(): void;
  enableKeylogCallback?(): void;
}

/** What a `net.Socket` has beyond its public face. */
export interface SocketInside {
  _handle: (TransportHandle & TlsHandle) | null;
  _parent: { connecting?: boolean } | null;
  connecting: boolean;
  _undestroy?: unknown;
  ssl?: unknown;
  autoSelectFamilyAttemptedAddresses?: string[];
}

/** What a `net.Server` has beyond its public face. */
export interface ServerInside {
  _handle: (TransportHandle & { onconnection?: (this: unknown, status: number, client: unknown) => void }) | null;
}

export interface JsStreamHandle {
  readBuffer(chunk: Uint8Array): void;
  emitEOF(): void;
  finishWrite(request: object, status: number): void;
  finishShutdown(request: object, status: number): void;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: WriteRequest | null, buffer: Uint8Array): number | WriteRequest;
  writev(request: WriteRequest | null, chunks: readonly unknown[], allBuffers: boolean): number | WriteRequest;
  writeUtf8String(request: WriteRequest | null, text: string): number | WriteRequest;
  writeLatin1String(request: WriteRequest | null, text: string): number | WriteRequest;
  writeAsciiString(request: WriteRequest | null, text: string): number | WriteRequest;
  writeUcs2String(request: WriteRequest | null, text: string): number | WriteRequest;
  readonly bytesWritten: number;
}

/** WriteWrap. */
export interface WriteRequest {
  /** Node 26: set when it ends before node has seen it. */
  writeStatus?: number | null;
  oncomplete?: (status: number) => void;
}

export type JsStreamConstructor = new () => JsStreamHandle;

export interface SocketInternals {
  readonly ownerSymbol: symbol;
  readonly reinitializeHandle: symbol;
  readonly JsStream: JsStreamConstructor;
  /** Tells node of a write what a native handle would; undefined where that can't be, and JSStream has to do it. */
  readonly writeResult: ((bytes: number, async: boolean) => void) | undefined;
}

let found: SocketInternals | string | undefined;

/** The internals, or in words what is missing. Looked for once. */
export function socketInternals(): SocketInternals | string {
  found ??= findInternals();
  return found;
}

export function inside(socket: net.Socket): SocketInside {
  return socket as unknown as SocketInside;
}

export function serverInside(server: net.Server): ServerInside {
  return server as unknown as ServerInside;
}

function findInternals(): SocketInternals | string {
  const reinitializeHandle = symbolOf(net.Socket.prototype, 'kReinitializeHandle');
  if (reinitializeHandle === undefined) return 'net.Socket has no kReinitializeHandle';
  const ownerSymbol = findOwnerSymbol();
  if (ownerSymbol === undefined) return 'socket handles have no owner_symbol';
  const JsStream = jsStreamOfBinding() ?? jsStreamOfTls();
  if (JsStream === undefined) return 'JSStream cannot be had';
  return { ownerSymbol, reinitializeHandle, JsStream, writeResult: findWriteResult() };
}

function symbolOf(object: object, description: string): symbol | undefined {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** A socket marks the handle that it is given; a plain object shows the mark. */
function findOwnerSymbol(): symbol | undefined {
  const handle = { close: (callback?: () => void) => callback?.(), readStart: () => 0, readStop: () => 0 };
  const socket = new net.Socket({ handle, manualStart: true } as unknown as net.SocketConstructorOpts);
  const symbol = symbolOf(handle, 'owner_symbol');
  socket.destroy();
  return symbol;
}

/** Refused under the permission model. */
function bindingOf(name: string): Record<string, unknown> {
  try {
    return nodeBinding(name);
  } catch {
    return {};
  }
}

function jsStreamOfBinding(): JsStreamConstructor | undefined {
  return bindingOf('js_stream').JSStream as JsStreamConstructor | undefined;
}

function findWriteResult(): SocketInternals['writeResult'] {
  const { streamBaseState, kBytesWritten, kLastWriteWasAsync, kLastWriteErr } = bindingOf('stream_wrap');
  if (!(streamBaseState instanceof Int32Array)) return undefined;
  if (typeof kBytesWritten !== 'number' || typeof kLastWriteWasAsync !== 'number') return undefined;
  return (bytes, async) => {
    streamBaseState[kBytesWritten] = bytes;
    streamBaseState[kLastWriteWasAsync] = async ? 1 : 0;
    if (typeof kLastWriteErr === 'number') streamBaseState[kLastWriteErr] = 0;
  };
}

/** What TLS wraps around a stream that is no socket. An empty `ca` spares the loading of the root certificates. */
function jsStreamOfTls(): JsStreamConstructor | undefined {
  const tls = process.getBuiltinModule('node:tls');
  const socket = new tls.TLSSocket(new Duplex({ read: () => {} }) as net.Socket, {
    secureContext: tls.createSecureContext({ ca: [] }),
  });
  const { _handle } = inside(socket);
  const JsStream = _handle?._parent?.constructor;
  socket.on('error', () => {}).destroy();
  return JsStream?.name === 'JSStream' ? (JsStream as unknown as JsStreamConstructor) : undefined;
}
