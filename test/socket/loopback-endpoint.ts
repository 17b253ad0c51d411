/**
 * A stand-in for the mobility endpoint, for tests of the socket layer alone: sessions over loopback TCP, found through
 * files, with no security and no mobility. A session begins with one line that names the listener, and one byte that says
 * yes; then come the application's bytes as they are.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TransportAddress } from '../../src/core/address.ts';
import { nativeConnect, nativeListen } from '../../src/host/native.ts';
import type { DatagramEndpoint, DatagramService, DatagramServiceOptions } from '../../src/l4mob/io/mobile-datagrams.ts';
import type {
  EndpointCounters,
  ListenHandle,
  ListenRequest,
  MobileStream,
  MobilityEndpoint,
  OpenHandlers,
  OpenRequest,
  PathInfo,
  PendingOpen,
  SessionInfo,
  StreamOwner,
  Verdict,
} from '../../src/l4mob/io/mobile-stream.ts';
import { NOTHING_CAME } from '../../src/socket/install.ts';
import { LoopbackDatagrams } from './dgram/loopback-datagrams.ts';

export interface LoopbackEndpointOptions {
  /** Where listeners are announced; a directory that the processes of one test share. */
  readonly directory?: string;
  /** What `verdict` says where nothing is remembered. */
  readonly verdict?: Verdict;
  /** Called in place of looking for a listener. */
  readonly intercept?: (request: OpenRequest, handlers: OpenHandlers) => PendingOpen | undefined;
}

interface Announcement {
  readonly address: string;
  readonly ipv6Only?: boolean;
  readonly sessionPort: number;
}

interface Greeting {
  readonly port: number;
  readonly address: string;
  readonly client: string;
}

let sessions = 0;

export class LoopbackEndpoint implements MobilityEndpoint, DatagramEndpoint {
  readonly datagrams: LoopbackDatagrams = new LoopbackDatagrams();
  readonly streams: Set<LoopbackStream> = new Set();
  readonly requests: OpenRequest[] = [];
  readonly plain: Set<string> = new Set();
  readonly yielded: number[] = [];
  readonly #options: LoopbackEndpointOptions;
  readonly #directory: string;
  readonly #listeners = new Map<number, ListenRequest[]>();
  #server: net.Server | undefined;
  #announcements = 0;

  constructor(options: LoopbackEndpointOptions = {}) {
    this.#options = options;
    this.#directory = options.directory ?? join(tmpdir(), `mobisock-loopback-${process.pid}`);
    mkdirSync(this.#directory, { recursive: true });
  }

  verdict(address: string, port: number): Verdict {
    return this.plain.has(`${address} ${port}`) ? 'plain' : (this.#options.verdict ?? 'unknown');
  }

  rememberPlain(address: string, port: number): void {
    this.plain.add(`${address} ${port}`);
  }

  open(request: OpenRequest, handlers: OpenHandlers): PendingOpen {
    this.requests.push(request);
    const intercepted = this.#options.intercept?.(request, handlers);
    if (intercepted !== undefined) return intercepted;
    const address = request.addresses[0] ?? '';
    const sessionPort = this.#find(address, request.port);
    let over = false;
    if (sessionPort === undefined) {
      setImmediate(() => {
        if (!over) handlers.onPlain('unaware');
      });
      return { cancel: () => (over = true) };
    }
    const socket = new net.Socket({ allowHalfOpen: true });
    socket.on('error', () => {
      if (!over) handlers.onPlain('refused');
    });
    nativeConnect.call(socket, { port: sessionPort, host: '127.0.0.1', noDelay: true });
    socket.once('connect', () => {
      const client = request.localAddress ?? (address.includes(':') ? '::1' : '127.0.0.1');
      socket.write(`${JSON.stringify({ port: request.port, address, client } satisfies Greeting)}\n`);
      const local = { ip: client, port: socket.localPort ?? 0 };
      handlers.onOffer();
      socket.once('readable', () => {
        const answer: Buffer | null = socket.read(1);
        if (answer === null) return;
        socket.removeAllListeners();
        handlers.onOpen(this.#add(socket, local, { ip: address, port: request.port }));
      });
    });
    return {
      cancel: () => {
        over = true;
        socket.destroy();
      },
    };
  }

  listen(request: ListenRequest): ListenHandle {
    const { port, address, ipv6Only = false } = request;
    const sessionPort = this.#sessionPort();
    const file = join(this.#directory, `${port}-${process.pid}-${this.#announcements++}`);
    writeFileSync(file, JSON.stringify({ address, ipv6Only, sessionPort } satisfies Announcement));
    const requests = this.#listeners.get(port) ?? [];
    this.#listeners.set(port, requests);
    requests.push(request);
    process.on('exit', remove);
    function remove(): void {
      rmSync(file, { force: true });
    }
    return {
      close: () => {
        remove();
        process.off('exit', remove);
        requests.splice(requests.indexOf(request), 1);
      },
    };
  }

  yieldUdpPort(port: number): void {
    this.yielded.push(port);
  }

  openDatagrams(options: DatagramServiceOptions): DatagramService {
    return this.datagrams.openDatagrams(options);
  }

  counters(): EndpointCounters {
    return NOTHING_CAME;
  }

  sessions(): SessionInfo[] {
    return [...this.streams].map(({ id, local, remote, path, moves }) => ({
      id,
      transport: 'tcp',
      role: 'initiator',
      state: 'open',
      local,
      remote,
      path,
      suite: 'none',
      moves,
      bytesSent: 0,
      bytesReceived: 0,
      unacknowledged: 0,
    }));
  }

  close(): void {
    for (const stream of [...this.streams]) stream.reset();
    this.#server?.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #add(socket: net.Socket, local: TransportAddress, remote: TransportAddress): LoopbackStream {
    const stream = new LoopbackStream(socket, local, remote, () => this.streams.delete(stream));
    this.streams.add(stream);
    return stream;
  }

  #find(address: string, port: number): number | undefined {
    for (const name of readdirSync(this.#directory)) {
      if (!name.startsWith(`${port}-`)) continue;
      try {
        const found = JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as Announcement;
        if (listensOn(found, address)) return found.sessionPort;
      } catch {
        // Its process has just ended.
      }
    }
    return undefined;
  }

  /** Without a host the port is bound before `listen` returns. */
  #sessionPort(): number {
    if (this.#server === undefined) {
      this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#greet(socket));
      nativeListen.call(this.#server, { port: 0, exclusive: true });
      this.#server.unref();
    }
    return (this.#server.address() as net.AddressInfo).port;
  }

  #greet(socket: net.Socket): void {
    socket.on('error', () => socket.destroy());
    const greet = (): void => {
      const start: Buffer | null = socket.read();
      if (start === null) return;
      const line = start.indexOf(10);
      if (line < 0) return socket.unshift(start);
      socket.removeAllListeners();
      socket.unshift(start.subarray(line + 1));
      const { port, address, client } = JSON.parse(start.toString('utf8', 0, line)) as Greeting;
      const listener = this.#listeners.get(port)?.find((each) => listensOn(each, address));
      if (listener === undefined || listener.accepts?.(client) === false) {
        socket.resetAndDestroy();
        return;
      }
      socket.write('+');
      const stream = this.#add(socket, { ip: address, port }, { ip: client, port: socket.remotePort ?? 0 });
      listener.onSession(stream);
    };
    socket.on('readable', greet);
  }
}

function listensOn(bound: { readonly address: string; readonly ipv6Only?: boolean }, address: string): boolean {
  if (bound.address === '::') return !bound.ipv6Only || address.includes(':');
  return bound.address === address || (bound.address === '0.0.0.0' && !address.includes(':'));
}

export class LoopbackStream implements MobileStream {
  readonly id: string = `loopback-${++sessions}`;
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  readonly moves: number = 0;
  owner: StreamOwner | undefined;
  readonly #socket: net.Socket;
  readonly #gone: () => void;
  #wanted = false;
  #left = false;

  constructor(socket: net.Socket, local: TransportAddress, remote: TransportAddress, gone: () => void) {
    this.#socket = socket;
    this.local = local;
    this.remote = remote;
    this.#gone = gone;
    let error: NodeJS.ErrnoException | undefined;
    socket.pause();
    socket.on('data', (chunk: Buffer) => {
      if (this.#left) return;
      if (this.owner?.onData(chunk) !== true) {
        this.#wanted = false;
        socket.pause();
      }
    });
    socket.on('end', () => {
      if (!this.#left) this.owner?.onEnd();
    });
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      error = cause;
    });
    socket.on('close', () => {
      this.#gone();
      if (!this.#left) this.owner?.onClose(error);
    });
  }

  get path(): PathInfo {
    return { local: this.local, remote: this.remote };
  }

  write(chunks: readonly Uint8Array[], callback: (error?: Error | null) => void): void {
    const bytes = Buffer.concat(chunks);
    if (bytes.length === 0) return callback();
    let room = false;
    const ready = this.#socket.write(bytes, (error) => {
      if (!room) callback(error);
    });
    if (ready) {
      room = true;
      callback();
    }
  }

  end(callback: (error?: Error | null) => void): void {
    this.#socket.end(() => callback());
  }

  read(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    setImmediate(() => {
      if (this.#wanted) this.#socket.resume();
    });
  }

  close(): void {
    this.#left = true;
    this.#socket.resume();
    this.#socket.end(() => this.#socket.destroySoon());
  }

  reset(): void {
    this.#left = true;
    this.#socket.resetAndDestroy();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }
}
