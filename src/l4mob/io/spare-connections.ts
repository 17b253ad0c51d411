/**
 * Spare connections: where sessions with one peer are opened in a row, the next one finds a connection to the session
 * port ready and begins with its OPEN, without the round trip that the three-way handshake takes. To the peer a spare
 * is a connection that has not said hello yet, of which it bounds number and age itself.
 */
import { after, monotonicNow } from '../../host/clock.ts';
import type { TcpConnection } from '../../host/tcp-connection.ts';
import { type Dial, dialTcp } from '../../host/tcp-dialer.ts';
import type { Peer } from './peer.ts';

/** Two sessions within this time are a row, and a spare waits as long for the next: well below what peers allow. */
const ROW_MS = 2_000;
const DIAL_MS = 1_000;
/** Peers with a spare at the same time. */
const MAX_SPARES = 64;

export interface SpareConnection {
  readonly connection: TcpConnection;
  readonly roundTripMs: number;
}

interface Spare {
  dial: Dial | undefined;
  ready: SpareConnection | undefined;
  readonly cancelTimer: () => void;
}

export class SpareConnections {
  readonly #spares = new Map<Peer, Spare>();
  /** When the last session was opened. */
  readonly #openedAt = new WeakMap<Peer, number>();

  /** Ready and under way. */
  get size(): number {
    return this.#spares.size;
  }

  /** The one for this peer, if it is ready. */
  take(peer: Peer): SpareConnection | undefined {
    const ready = this.#spares.get(peer)?.ready;
    if (ready !== undefined) this.#forget(peer);
    return ready;
  }

  /** A session with this peer was opened, which may be one of a row. */
  opened(peer: Peer): void {
    const now = monotonicNow();
    const before = this.#openedAt.get(peer);
    this.#openedAt.set(peer, now);
    if (before === undefined || now - before > ROW_MS) return;
    if (this.#spares.has(peer) || this.#spares.size >= MAX_SPARES) return;
    const spare: Spare = { dial: undefined, ready: undefined, cancelTimer: after(ROW_MS, () => this.drop(peer)) };
    this.#spares.set(peer, spare);
    spare.dial = dialTcp({
      candidates: peer.destinations(),
      timeoutMs: DIAL_MS,
      onFailed: () => this.#forget(peer),
      onConnected: (connection, roundTripMs) => {
        spare.ready = { connection, roundTripMs };
        connection.unref();
        const drop = (): void => this.drop(peer);
        connection.handler = { onBytes: drop, onEnd: drop, onError: drop, onDrain() {} };
      },
    });
  }

  /** The peer is elsewhere now, or of no use any more. */
  drop(peer: Peer): void {
    const spare = this.#spares.get(peer);
    spare?.dial?.cancel();
    spare?.ready?.connection.close();
    this.#forget(peer);
  }

  /** Our own addresses have changed. */
  dropAll(): void {
    for (const peer of [...this.#spares.keys()]) this.drop(peer);
  }

  #forget(peer: Peer): void {
    this.#spares.get(peer)?.cancelTimer();
    this.#spares.delete(peer);
  }
}
