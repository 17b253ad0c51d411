/**
 * The handle of a mobile socket: node's JSStream, fed by a {@link MobileStream} in place of a kernel socket. On top of
 * it node's own `net.Socket`, TLS, HTTP parser and HTTP/2 run unchanged.
 *
 * Life: made for a socket that is connecting (no stream yet) or for a new session; `attach()` gives it the stream;
 * `close()` or `reset()` ends it, and node's requests that are still open come back as cancelled, as libuv does.
 *
 * It doesn't decide anything (connect-race.ts and server-hook.ts do), and it must never reach a native call that
 * expects a kernel socket: child-guard.ts.
 */
import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import { constants } from 'node:os';
import { familyOf, type TransportAddress } from '../core/address.ts';
import type { MobileStream, StreamOwner } from '../l4mob/io/mobile-stream.ts';
import { shielded } from './application-call.ts';
import { type AddressOut, inside, type SocketInternals, type WriteRequest } from './node-internals.ts';
import { errnoOf, sessionError } from './socket-error.ts';

export interface MobileHandle extends StreamOwner {
  attach(stream: MobileStream, names: StreamNames): void;
  /** Sets the socket that errors go to, where node doesn't (below TLS). */
  own(socket: net.Socket): void;
  readonly stream: MobileStream | undefined;
  close(callback?: () => void): void;
  hasRef(): boolean;
  ref(): void;
  unref(): void;
}

/** The addresses as the application sees them. */
export interface StreamNames {
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
}

/** `abandoned` is called when the socket is destroyed before there is a stream. */
export type MobileHandleConstructor = new (abandoned?: () => void) => MobileHandle;

const { errno } = constants;
const ENOTCONN = -errno.ENOTCONN;
const ECANCELED = -errno.ECANCELED;
const EINVAL = -errno.EINVAL;
const EPIPE = -errno.EPIPE;
const EBADF = -errno.EBADF;

/** `write`: came through JSStream; `direct-write`: did not. */
interface PendingRequest {
  readonly kind: 'write' | 'direct-write' | 'shutdown';
  readonly bytes: number;
}

let defined: MobileHandleConstructor | undefined;

export function mobileHandleClass(internals: SocketInternals): MobileHandleConstructor {
  defined ??= defineMobileHandle(internals);
  return defined;
}

/** Whether a socket's handle is a mobile one. */
export function isMobileHandle(handle: unknown): handle is MobileHandle {
  return defined !== undefined && handle instanceof defined;
}

function defineMobileHandle({ JsStream, ownerSymbol, writeResult }: SocketInternals): MobileHandleConstructor {
  return class extends JsStream implements MobileHandle {
    #abandoned: (() => void) | undefined;
    #stream: MobileStream | undefined;
    #names: StreamNames | undefined;
    #owner: net.Socket | undefined;
    #referenced = true;
    #closed = false;
    #reading = false;
    /** Came after node had stopped reading: at most one chunk, because the stream stops at the first false. */
    #held: Buffer | undefined;
    #ended = false;
    #endEmitted = false;
    #error: NodeJS.ErrnoException | undefined;
    #flushing = false;
    #userBufferBytes = 0;
    /** Node's requests that are not finished; there are none most of the time, and then no map. */
    #requests: Map<object, PendingRequest> | undefined;
    #queuedBytes = 0;
    #directBytes = 0;
    #shutDown = false;

    constructor(abandoned?: () => void) {
      super();
      this.#abandoned = abandoned;
    }

    attach(stream: MobileStream, names: StreamNames): void {
      this.#stream = stream;
      this.#names = names;
      this.#abandoned = undefined;
      stream.owner = this;
      if (!this.#referenced) stream.unref();
      if (this.#reading) stream.read();
    }

    get stream(): MobileStream | undefined {
      return this.#stream;
    }

    own(socket: net.Socket): void {
      this.#owner = socket;
    }

    // Node marks the handle with its socket; only then is the socket known that will use it.
    get [ownerSymbol](): net.Socket | undefined {
      return this.#owner;
    }

    set [ownerSymbol](socket: net.Socket) {
      this.#owner = socket;
      if (isHandleOf(this, socket)) giveReset(socket);
    }

    // ---- From the session

    onData(chunk: Buffer): boolean {
      return shielded(() => {
        if (this.#closed) return true; // node drains no closed socket either, but the peer must not be blocked by it
        this.#held = chunk;
        this.#deliver();
        if (this.#held !== undefined) this.#held = Buffer.from(this.#held); // the memory was lent for the call
        return this.#reading && this.#held === undefined;
      }, false);
    }

    onEnd(): void {
      this.#ended = true;
      shielded(() => this.#deliver());
    }

    onClose(error: NodeJS.ErrnoException | undefined): void {
      this.#stream = undefined;
      if (this.#closed) return;
      if (error === undefined) this.#ended = true;
      else this.#error = error;
      shielded(() => this.#deliver());
    }

    #deliver(): void {
      while (this.#held !== undefined && this.#reading && !this.#closed) {
        const chunk = this.#held;
        // The application's own buffer is filled piece by piece, for it may stop after each.
        const bytes = this.#userBufferBytes === 0 ? chunk.length : Math.min(chunk.length, this.#userBufferBytes);
        this.#held = bytes < chunk.length ? chunk.subarray(bytes) : undefined;
        this.readBuffer(bytes < chunk.length ? chunk.subarray(0, bytes) : chunk);
      }
      if (this.#held !== undefined || this.#closed) return;
      if (this.#ended && !this.#endEmitted && this.#reading) {
        this.#endEmitted = true;
        this.emitEOF();
      }
      const error = this.#error;
      if (error === undefined || this.#closed) return;
      this.#error = undefined;
      this.#failWrites(error);
      this.#owner?.destroy(sessionError(error));
    }

    #deliverSoon(): void {
      if (this.#flushing) return;
      this.#flushing = true;
      process.nextTick(() => {
        this.#flushing = false;
        this.#deliver();
        if (this.#reading && !this.#closed) this.#stream?.read();
      });
    }

    // ---- From node: what JSStream calls. Errors are negative errno values, as libuv's.

    onreadstart(): number {
      this.#reading = true;
      if (this.#held !== undefined || (this.#ended && !this.#endEmitted) || this.#error !== undefined) {
        this.#deliverSoon();
      } else {
        this.#stream?.read();
      }
      return 0;
    }

    onreadstop(): number {
      this.#reading = false;
      return 0;
    }

    onwrite(request: object, buffers: readonly Uint8Array[]): number {
      const stream = this.#stream;
      if (this.#closed) return EBADF;
      if (stream === undefined || this.#shutDown) return EPIPE;
      this.#addRequest(request, { kind: 'write', bytes: lengthOf(buffers) });
      let inCall = true;
      stream.write(buffers, (error) => {
        const status = error ? errnoOf(error, EPIPE) : 0;
        // JSStream must not see the end of a request inside its beginning.
        if (inCall) process.nextTick(() => this.#finishRequest(request, status));
        else shielded(() => this.#finishRequest(request, status));
      });
      inCall = false;
      return 0;
    }

    onshutdown(request: object): number {
      const stream = this.#stream;
      if (stream === undefined) return ENOTCONN;
      this.#shutDown = true;
      this.#addRequest(request, { kind: 'shutdown', bytes: 0 });
      let inCall = true;
      stream.end((error) => {
        const status = error ? errnoOf(error, EPIPE) : 0;
        if (inCall) process.nextTick(() => this.#finishRequest(request, status));
        else shielded(() => this.#finishRequest(request, status));
      });
      inCall = false;
      return 0;
    }

    isClosing(): boolean {
      return this.#closed;
    }

    #addRequest(request: object, pending: PendingRequest): void {
      this.#requests ??= new Map();
      this.#requests.set(request, pending);
      this.#queuedBytes += pending.bytes;
    }

    #finishRequest(request: object, status: number): void {
      const pending = this.#requests?.get(request);
      if (pending === undefined) return;
      this.#requests?.delete(request);
      this.#queuedBytes -= pending.bytes;
      if (pending.kind === 'shutdown') this.finishShutdown(request, status);
      else if (pending.kind === 'direct-write') (request as WriteRequest).oncomplete?.(status);
      else this.finishWrite(request, status);
    }

    #finishRequests(status: number, ...kinds: readonly PendingRequest['kind'][]): void {
      for (const [request, { kind }] of [...(this.#requests ?? [])]) {
        if (kinds.includes(kind)) this.#finishRequest(request, status);
      }
    }

    #failWrites(error: Error): void {
      this.#finishRequests(errnoOf(error, EPIPE), 'write', 'direct-write');
    }

    // ---- From node: writes that come from a socket directly, not from TLS or HTTP/2. As with a kernel socket they are
    // done at once as long as there is room, which node tells applications by the order of its events.

    override writeBuffer(request: WriteRequest | null, buffer: Uint8Array): number | WriteRequest {
      return writeResult === undefined ? super.writeBuffer(request, buffer) : this.#write(request, [buffer]);
    }

    override writev(
      request: WriteRequest | null,
      chunks: readonly unknown[],
      allBuffers: boolean,
    ): number | WriteRequest {
      if (writeResult === undefined) return super.writev(request, chunks, allBuffers);
      if (allBuffers) return this.#write(request, chunks as Uint8Array[]);
      const buffers: Uint8Array[] = [];
      for (let i = 0; i < chunks.length; i += 2) {
        const chunk = chunks[i];
        buffers.push(
          typeof chunk === 'string' ? Buffer.from(chunk, chunks[i + 1] as BufferEncoding) : (chunk as Buffer),
        );
      }
      return this.#write(request, buffers);
    }

    override writeUtf8String(request: WriteRequest | null, text: string): number | WriteRequest {
      if (writeResult === undefined) return super.writeUtf8String(request, text);
      return this.#write(request, [Buffer.from(text, 'utf8')]);
    }

    override writeLatin1String(request: WriteRequest | null, text: string): number | WriteRequest {
      if (writeResult === undefined) return super.writeLatin1String(request, text);
      return this.#write(request, [Buffer.from(text, 'latin1')]);
    }

    override writeAsciiString(request: WriteRequest | null, text: string): number | WriteRequest {
      if (writeResult === undefined) return super.writeAsciiString(request, text);
      return this.#write(request, [Buffer.from(text, 'latin1')]);
    }

    override writeUcs2String(request: WriteRequest | null, text: string): number | WriteRequest {
      if (writeResult === undefined) return super.writeUcs2String(request, text);
      return this.#write(request, [Buffer.from(text, 'utf16le')]);
    }

    /** Node 26 gives no request; a write that takes longer has to bring its own. */
    #write(given: WriteRequest | null, buffers: readonly Uint8Array[]): number | WriteRequest {
      const stream = this.#stream;
      if (this.#closed) return EBADF;
      if (stream === undefined || this.#shutDown) return EPIPE;
      const bytes = lengthOf(buffers);
      this.#directBytes += bytes;
      let status: number | undefined;
      let later: ((status: number) => void) | undefined;
      stream.write(buffers, (error) => {
        status = error ? errnoOf(error, EPIPE) : 0;
        later?.(status);
      });
      writeResult?.(bytes, status === undefined);
      if (status !== undefined) return status;
      const request = given ?? { writeStatus: null };
      const context = new AsyncResource('WRITEWRAP');
      later = (result) => shielded(() => context.runInAsyncScope(() => this.#finishRequest(request, result)));
      this.#addRequest(request, { kind: 'direct-write', bytes });
      return given === null ? request : 0;
    }

    override get bytesWritten(): number {
      return super.bytesWritten + this.#directBytes;
    }

    // ---- From node: what it calls on a TCP handle

    close(callback?: () => void): void {
      this.#end(() => this.#stream?.close(), callback);
    }

    reset(callback?: () => void): number {
      this.#end(() => this.#stream?.reset(), callback);
      return 0;
    }

    #end(leave: () => void, callback: (() => void) | undefined): void {
      if (this.#closed) return;
      this.#closed = true;
      this.#held = undefined;
      const opened = this.#names !== undefined;
      leave();
      if (!opened) this.#abandoned?.();
      setImmediate(() => {
        this.#finishRequests(ECANCELED, 'write', 'direct-write', 'shutdown');
        callback?.();
      });
    }

    override useUserBuffer(buffer: Uint8Array): void {
      this.#userBufferBytes = buffer.length;
      super.useUserBuffer(buffer);
    }

    /** Bytes that node waits for; its idle timeout asks. */
    get writeQueueSize(): number {
      return this.#queuedBytes;
    }

    getsockname(out: AddressOut): number {
      return describe(out, this.#names?.local);
    }

    getpeername(out: AddressOut): number {
      return describe(out, this.#names?.remote);
    }

    hasRef(): boolean {
      return this.#referenced;
    }

    ref(): void {
      this.#referenced = true;
      this.#stream?.ref();
    }

    unref(): void {
      this.#referenced = false;
      this.#stream?.unref();
    }

    // Segmentation, probing and marking are the subflows' business.
    setNoDelay(): number {
      return 0;
    }

    setKeepAlive(): number {
      return 0;
    }

    setTypeOfService(): number {
      return 0;
    }

    getTypeOfService(): number {
      return 0;
    }

    setBlocking(): number {
      return EINVAL;
    }

    open(): number {
      return EINVAL;
    }

    bind(): number {
      return EINVAL;
    }

    bind6(): number {
      return EINVAL;
    }

    listen(): number {
      return EINVAL;
    }

    connect(): number {
      return EINVAL;
    }

    connect6(): number {
      return EINVAL;
    }
  };
}

function isHandleOf(handle: unknown, socket: net.Socket): boolean {
  return inside(socket)?._handle === handle;
}

/** Node's own version insists on a TCP handle. */
function giveReset(socket: net.Socket): void {
  Object.defineProperty(socket, 'resetAndDestroy', { value: resetAndDestroy, configurable: true, writable: true });
}

export function takeReset(socket: net.Socket): void {
  if (Object.hasOwn(socket, 'resetAndDestroy')) Reflect.deleteProperty(socket, 'resetAndDestroy');
}

function resetAndDestroy(this: net.Socket & { _reset(): void }): net.Socket {
  if (!isMobileHandle(inside(this)._handle)) {
    takeReset(this);
    return this.resetAndDestroy();
  }
  if (this.connecting) this.once('connect', () => this._reset());
  else this._reset();
  return this;
}

function describe(out: AddressOut, address: TransportAddress | undefined): number {
  if (address === undefined) return ENOTCONN;
  out.address = address.ip;
  out.family = familyOf(address.ip) === 6 ? 'IPv6' : 'IPv4';
  out.port = address.port;
  return 0;
}

function lengthOf(buffers: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const buffer of buffers) bytes += buffer.length;
  return bytes;
}
