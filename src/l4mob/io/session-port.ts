/**
 * Session port: where subflows arrive. One for each address that a listener of the application is bound to, so that a
 * listener is reachable for sessions exactly where it is for plain connections; TCP for subflows, UDP on the same
 * number for signalling. What comes first on a connection is a hello or an in-band L4_INIT; until it has come, the
 * connection costs little and not for long.
 */
import cluster from 'node:cluster';
import type { TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { after } from '../../host/clock.ts';
import type { TcpConnection } from '../../host/tcp-connection.ts';
import { listenTcp, type TcpListener } from '../../host/tcp-listener.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import { helloLength } from '../wire/hello.ts';
import { signalLength, signalTypeOf } from '../wire/signal-header.ts';
import type { ListenRequest } from './mobile-stream.ts';

export interface SessionPortHost {
  /** Answers an L4_INIT that came in-band. */
  handleInBandInit(port: SessionPort, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined;
  /** Takes over the connection, or closes it. */
  handleHello(port: SessionPort, connection: TcpConnection, hello: Buffer, rest: Buffer): void;
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
  readonly #listener: TcpListener;
  readonly #withoutHello = new Set<TcpConnection>();
  #udp: UdpPort | undefined;
  #port = 0;

  constructor({ address, ipv6Only, ports, host }: SessionPortInit) {
    this.address = address;
    this.#host = host;
    this.#listener = listenTcp({
      address,
      ports,
      ipv6Only,
      exclusive: cluster.isWorker,
      onConnection: (connection) => this.#accept(connection),
      onError: (error) => host.unavailable(this, error),
      onListening: (port) => {
        this.#port = port;
        this.#udp = openUdpPort({
          address,
          port,
          ipv6Only,
          onDatagram: (bytes, from) => this.#host.handleSignal(bytes, from),
        });
      },
    });
  }

  /** 0 until it listens. */
  get port(): number {
    return this.#port;
  }

  send(bytes: Uint8Array, to: TransportAddress): void {
    this.#udp?.send(bytes, to);
  }

  close(): void {
    this.#listener.close();
    this.#udp?.close();
    for (const connection of this.#withoutHello) connection.close();
  }

  #accept(connection: TcpConnection): void {
    this.#withoutHello.add(connection);
    if (this.#withoutHello.size > MAX_WITHOUT_HELLO) {
      const [oldest] = this.#withoutHello;
      oldest?.close();
      if (oldest !== undefined) this.#withoutHello.delete(oldest);
    }
    connection.unref();
    const release = (): void => {
      cancelTimer();
      this.#withoutHello.delete(connection);
    };
    const close = (): void => {
      release();
      connection.close();
    };
    const cancelTimer = after(HELLO_WITHIN_MS, close);
    let received: Buffer = Buffer.alloc(0);
    let rounds = 0;
    /** Returns whether it was a hello: then the connection is somebody else's. */
    const handle = (message: Buffer): boolean => {
      if (signalTypeOf(message) === undefined) {
        release();
        this.#host.handleHello(this, connection, message, received);
        return true;
      }
      rounds += 1;
      if (rounds > MAX_IN_BAND_ROUNDS) throw new WireError('in-band: too many L4_INITs');
      const answer = this.#host.handleInBandInit(this, message, connection.remote);
      if (answer !== undefined) connection.write([answer]);
      return false;
    };
    connection.handler = {
      onBytes: (bytes) => {
        received = received.length === 0 ? Buffer.from(bytes) : Buffer.concat([received, bytes]);
        try {
          for (let message = takeMessage(received); message !== undefined; message = takeMessage(received)) {
            received = received.subarray(message.length);
            if (handle(message)) return;
          }
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
          this.#host.malformedHello();
          close();
        }
      },
      onEnd: () => {
        if (received.length > 0) this.#host.malformedHello();
        close();
      },
      onError: release,
      onDrain: () => {},
    };
  }
}

const MAGIC_FIRST_BYTE = 0x4c;

/** The first whole message, hello or signal; undefined while it is incomplete. */
function takeMessage(received: Buffer): Buffer | undefined {
  if (received.length === 0) return undefined;
  const length = received[0] === MAGIC_FIRST_BYTE ? signalLength(received) : helloLength(received);
  return length === undefined || received.length < length ? undefined : received.subarray(0, length);
}
