/**
 * Session port: where subflows arrive. One for each address that a listener of the application is bound to, so that a
 * listener is reachable for sessions exactly where it is for plain connections; TCP for subflows, UDP on the same
 * number for signalling. What comes first on a connection is a hello or an in-band L4_INIT; until it has come, the
 * connection costs little and not for long.
 */
import cluster from 'node:cluster';
import net, { type Socket } from 'node:net';
import { canonicalAddress, type TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { after } from '../../host/clock.ts';
import { nativeListen } from '../../host/native.ts';
import { SUBFLOW_SOCKET_OPTIONS } from '../../host/tcp-dialer.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import { helloLength } from '../wire/hello.ts';
import { signalLength, signalTypeOf } from '../wire/signal-header.ts';
import type { ListenRequest } from './mobile-stream.ts';

export interface SessionPortHost {
  /** Answers an L4_INIT that came in-band. */
  handleInBandInit(port: SessionPort, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined;
  /** Takes over the socket, or closes it. */
  handleHello(port: SessionPort, socket: Socket, hello: Buffer, rest: Buffer): void;
  handleSignal(bytes: Uint8Array, from: TransportAddress): void;
  malformedHello(): void;
  /** No port of those allowed can be had: no session reaches the listeners. */
  unavailable(port: SessionPort, error: Error): void;
}

export interface SessionPortInit {
  readonly address: string;
  readonly ipv6Only: boolean;
  /** First and last to try; 0 for any. */
  readonly ports: readonly [number, number];
  readonly host: SessionPortHost;
}

/** A hello follows the connection at once; slow links and loss included, this is long. */
const HELLO_WITHIN_MS = 5_000;
/** Connections without a hello; the oldest goes first. About 5 KB each. */
const MAX_WITHOUT_HELLO = 1_024;
/** L4_INITs on one connection before OPEN. */
const MAX_IN_BAND_ROUNDS = 8;

export class SessionPort {
  readonly address: string;
  /** The application's listeners that are reached through this port, by their own port number. */
  readonly listeners: Map<number, ListenRequest> = new Map();
  readonly #host: SessionPortHost;
  readonly #server: net.Server;
  readonly #withoutHello = new Set<Socket>();
  #udp: UdpPort | undefined;
  #port = 0;

  constructor({ address, ipv6Only, ports, host }: SessionPortInit) {
    const [first, last] = ports;
    let port = first;
    this.address = address;
    this.#host = host;
    this.#server = net.createServer(SUBFLOW_SOCKET_OPTIONS, (socket) => this.#accept(socket));
    this.#server.unref();
    const listen = (): void => {
      nativeListen.call(this.#server, { host: address, port, ipv6Only, exclusive: cluster.isWorker });
    };
    this.#server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' || port >= last) return host.unavailable(this, error);
      port += 1;
      listen();
    });
    this.#server.on('listening', () => {
      const bound = this.#server.address();
      if (bound === null || typeof bound === 'string') return;
      this.#port = bound.port;
      this.#udp = openUdpPort({
        address,
        port: bound.port,
        ipv6Only,
        onDatagram: (bytes, from) => this.#host.handleSignal(bytes, from),
      });
    });
    listen();
  }

  /** 0 until it listens. */
  get port(): number {
    return this.#port;
  }

  send(bytes: Uint8Array, to: TransportAddress): void {
    this.#udp?.send(bytes, to);
  }

  close(): void {
    this.#server.close();
    this.#udp?.close();
    for (const socket of this.#withoutHello) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#withoutHello.add(socket);
    if (this.#withoutHello.size > MAX_WITHOUT_HELLO) {
      for (const oldest of this.#withoutHello) {
        oldest.destroy();
        break;
      }
    }
    const cancelTimer = after(HELLO_WITHIN_MS, () => socket.destroy());
    const release = (): void => {
      cancelTimer();
      this.#withoutHello.delete(socket);
      socket.removeAllListeners('data');
    };
    const from = { ip: canonicalAddress(socket.remoteAddress ?? '') ?? '', port: socket.remotePort ?? 0 };
    let received: Buffer = Buffer.alloc(0);
    let rounds = 0;
    socket.on('error', () => socket.destroy());
    socket.on('end', () => {
      if (received.length > 0) this.#host.malformedHello();
      socket.destroy();
    });
    socket.on('close', release);
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      try {
        for (let message = takeMessage(received); message !== undefined; message = takeMessage(received)) {
          received = received.subarray(message.length);
          if (signalTypeOf(message) === undefined) {
            release();
            socket.removeAllListeners();
            return this.#host.handleHello(this, socket, message, received);
          }
          rounds += 1;
          if (rounds > MAX_IN_BAND_ROUNDS) throw new WireError('in-band: too many L4_INITs');
          const answer = this.#host.handleInBandInit(this, message, from);
          if (answer !== undefined) socket.write(answer);
        }
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        this.#host.malformedHello();
        socket.destroy();
      }
    });
  }
}

const MAGIC_FIRST_BYTE = 0x4c;

/** The first whole message, hello or signal; undefined while it is incomplete. */
function takeMessage(received: Buffer): Buffer | undefined {
  if (received.length === 0) return undefined;
  const length = received[0] === MAGIC_FIRST_BYTE ? signalLength(received) : helloLength(received);
  return length === undefined || received.length < length ? undefined : received.subarray(0, length);
}
