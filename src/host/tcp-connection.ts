/**
 * A TCP connection as subflows need it: node's own TCP handle without node's stream above it. What arrives is read into
 * one buffer that all connections of the process share, what is written goes to the kernel in the same call. ADR 5.
 *
 * The handle's interface is the one that node's own `net` uses; it is the same in node 20, 22, 24 and 26.
 */
import { familyOf, kernelAddress, type TransportAddress } from '../core/address.ts';
import { nodeBinding } from './node-binding.ts';
import { type SystemError, systemError } from './system-error.ts';

/** What a connection tells. Nothing comes after `onEnd` and `onError` but what is said there. */
export interface TcpConnectionHandler {
  /** The bytes stand in a shared buffer: they are there until this returns. */
  onBytes(bytes: Buffer): void;
  /** The peer sends no more. */
  onEnd(): void;
  /** The connection is closed. `reset` by our own side is not told. */
  onError(error: SystemError): void;
  /** It was {@link TcpConnection.blocked} and takes bytes again. */
  onDrain(): void;
}

interface AddressOut {
  address?: string;
  port?: number;
}

/** TCPWrap. */
export interface TcpHandle {
  connection?: TcpConnection;
  onread?: (this: TcpHandle) => void;
  readStart(): number;
  readStop(): number;
  useUserBuffer(buffer: Uint8Array): void;
  writeBuffer(request: object, bytes: Uint8Array): number;
  writev(request: object, chunks: readonly Uint8Array[], allBuffers: boolean): number;
  shutdown(request: object): number;
  connect(request: object, ip: string, port: number): number;
  connect6(request: object, ip: string, port: number): number;
  bind(ip: string, port: number): number;
  bind6(ip: string, port: number, flags: number): number;
  getsockname(out: AddressOut): number;
  getpeername(out: AddressOut): number;
  setNoDelay(enable: boolean): number;
  close(callback?: () => void): void;
  reset(callback?: () => void): number;
  ref(): void;
  unref(): void;
}

interface WriteWrap {
  oncomplete?: (status: number) => void;
  /** Keeps what the kernel has still to take. */
  chunks?: readonly Uint8Array[];
}

interface ConnectWrap {
  oncomplete?: (status: number) => void;
}

interface TcpBinding {
  readonly TCP: new (kind: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectWrap;
}

interface StreamBinding {
  readonly WriteWrap: new () => WriteWrap;
  readonly ShutdownWrap: new () => object;
  /** What the last read or write came to, by the indices below. */
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

type Bindings = TcpBinding & StreamBinding;

/** TCPWrap's kind for a connection, in contrast to a listener. */
const KIND_SOCKET = 0;
const UV_EOF = -4095;
/** Several records of the largest size, and still in the processor's second-level cache. */
const READ_BUFFER_BYTES = 256 << 10;

let bindings: Bindings | undefined;
let readBuffer: Buffer | undefined;
/** Untouched by a write that the kernel takes at once, so most of them need no other. */
let spareWrite: WriteWrap | undefined;

/** Node hides its handles under the permission model. */
function loadBindings(): Bindings {
  return { ...nodeBinding<TcpBinding>('tcp_wrap'), ...nodeBinding<StreamBinding>('stream_wrap') };
}

/** Throws where there can't be connections: better asked once than found out at the first of them. */
export function requireTcpHandles(): void {
  native();
}

function native(): Bindings {
  bindings ??= loadBindings();
  return bindings;
}

/** For whoever is heard no more: its bytes are read and forgotten. */
export const UNHEARD: TcpConnectionHandler = { onBytes() {}, onEnd() {}, onError() {}, onDrain() {} };

export class TcpConnection {
  readonly #handle: TcpHandle;
  #handler: TcpConnectionHandler = UNHEARD;
  #local: TransportAddress | undefined;
  #remote: TransportAddress | undefined;
  #reading = false;
  #closed = false;
  /** Writes that the kernel has not taken yet. */
  #waitingWrites = 0;

  /** Takes over a handle that is connected, to `remote` where that is known. */
  constructor(handle: TcpHandle, remote?: TransportAddress) {
    this.#handle = handle;
    this.#remote = remote;
    handle.connection = this;
    handle.setNoDelay(true);
    readBuffer ??= Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
    handle.useUserBuffer(readBuffer);
    handle.onread = onRead;
  }

  get local(): TransportAddress {
    this.#local ??= addressOf((out) => this.#handle.getsockname(out));
    return this.#local;
  }

  /** The unspecified address where the peer was gone before anybody asked. */
  get remote(): TransportAddress {
    this.#remote ??= addressOf((out) => this.#handle.getpeername(out));
    return this.#remote;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The kernel takes no more for now: whatever is written meanwhile is kept in memory. */
  get blocked(): boolean {
    return this.#waitingWrites > 0;
  }

  /** Who hears of what comes from now on. The first one starts the reading. */
  set handler(handler: TcpConnectionHandler) {
    this.#handler = handler;
    this.resume();
  }

  resume(): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    const status = this.#handle.readStart();
    if (status !== 0) this.#failSoon(systemError(status, 'read'));
  }

  /** Leaves what comes to the kernel. */
  pause(): void {
    if (!this.#reading || this.#closed) return;
    this.#reading = false;
    this.#handle.readStop();
  }

  /** In one call to the kernel. The parts must stay unchanged until the connection is no longer {@link blocked}. */
  write(parts: readonly Uint8Array[]): void {
    if (this.#closed) return;
    const { streamBaseState, kLastWriteWasAsync, WriteWrap } = native();
    const request = spareWrite ?? new WriteWrap();
    spareWrite = undefined;
    const [first] = parts;
    const status =
      parts.length === 1 && first !== undefined
        ? this.#handle.writeBuffer(request, first)
        : this.#handle.writev(request, parts, true);
    if (status !== 0) return this.#failSoon(systemError(status, 'write'));
    if (streamBaseState[kLastWriteWasAsync] === 0) {
      spareWrite = request;
      return;
    }
    this.#waitingWrites += 1;
    request.chunks = parts;
    request.oncomplete = (result) => this.#written(result);
  }

  #written(status: number): void {
    this.#waitingWrites -= 1;
    if (this.#closed) return;
    if (status !== 0) this.#fail(systemError(status, 'write'));
    else if (this.#waitingWrites === 0) this.#handler.onDrain();
  }

  /** No more from us, once what was written has gone out. */
  end(): void {
    if (this.#closed) return;
    const status = this.#handle.shutdown(new (native().ShutdownWrap)());
    if (status !== 0) this.#failSoon(systemError(status, 'shutdown'));
  }

  /** Silently: the handler hears nothing of it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
  }

  /** As `close()`, with RST. */
  reset(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#handle.reset() !== 0) this.#handle.close();
  }

  ref(): void {
    if (!this.#closed) this.#handle.ref();
  }

  unref(): void {
    if (!this.#closed) this.#handle.unref();
  }

  /** For {@link onRead} alone. */
  read(bytesOrError: number): void {
    if (this.#closed || bytesOrError === 0) return;
    if (bytesOrError > 0) this.#handler.onBytes((readBuffer as Buffer).subarray(0, bytesOrError));
    else if (bytesOrError === UV_EOF) this.#handler.onEnd();
    else this.#fail(systemError(bytesOrError, 'read'));
  }

  #fail(error: SystemError): void {
    if (this.#closed) return;
    this.close();
    this.#handler.onError(error);
  }

  /** Not inside the call that found it out. */
  #failSoon(error: SystemError): void {
    process.nextTick(() => this.#fail(error));
  }
}

function onRead(this: TcpHandle): void {
  const { streamBaseState, kReadBytesOrError } = native();
  this.connection?.read(streamBaseState[kReadBytesOrError] ?? 0);
}

function addressOf(ask: (out: AddressOut) => number): TransportAddress {
  const out: AddressOut = {};
  ask(out);
  return { ip: kernelAddress(out.address ?? ''), port: out.port ?? 0 };
}

export interface ConnectOptions {
  readonly remote: TransportAddress;
  readonly localAddress?: string | undefined;
  /** Never inside the call. */
  onConnected(connection: TcpConnection): void;
  onFailed(error: SystemError): void;
}

/** Connects to a literal address. The result gives it up, silently; the attempt keeps the process alive. */
export function connectTcp({ remote, localAddress, onConnected, onFailed }: ConnectOptions): () => void {
  const { TCP, TCPConnectWrap } = native();
  const handle = new TCP(KIND_SOCKET);
  let over = false;
  const giveUp = (): void => {
    if (over) return;
    over = true;
    handle.close();
  };
  const fail = (status: number, syscall: string): void => {
    if (over) return;
    giveUp();
    onFailed(systemError(status, syscall));
  };
  const isIpv6 = familyOf(remote.ip) === 6;
  let status = 0;
  if (localAddress !== undefined) {
    status = isIpv6 ? handle.bind6(localAddress, 0, 0) : handle.bind(localAddress, 0);
  }
  const request = new TCPConnectWrap();
  request.oncomplete = (result) => {
    if (over) return;
    if (result !== 0) return fail(result, 'connect');
    over = true;
    onConnected(new TcpConnection(handle, { ip: kernelAddress(remote.ip), port: remote.port }));
  };
  if (status === 0) {
    status = isIpv6
      ? handle.connect6(request, remote.ip, remote.port)
      : handle.connect(request, remote.ip, remote.port);
  }
  if (status !== 0) process.nextTick(fail, status, 'connect');
  return giveUp;
}
