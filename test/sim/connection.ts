/**
 * Virtual TCP: reliable bytes in order, cut into arbitrary pieces, that wait out what the network does to them;
 * refused, unreachable and timed-out connects; FIN, RST, and connections that die without a word when an address or a
 * NAT's memory of them is gone. What is written is kept by reference until it is delivered, as the kernel's user does.
 */
import type { TransportAddress } from '../../src/core/address.ts';
import type { ConnectHandlers, Host, Network, Pending } from './network.ts';

/** Bytes on their way at a time. */
const FLIGHT_BYTES = 96 << 10;
/** Waiting bytes from which on a writer should wait. */
const BLOCKED_BYTES = 128 << 10;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 1600;

type Item = Uint8Array | 'fin';

export class ConnectionEnd {
  readonly connection: Connection;
  readonly host: Host;
  readonly local: TransportAddress;
  readonly remote: TransportAddress;
  peer: ConnectionEnd | undefined;
  onBytes: ((chunk: Buffer) => void) | undefined;
  onEnd: ((how: 'closed' | 'reset') => void) | undefined;
  onDrain: (() => void) | undefined;
  #queue: Item[] = [];
  #queued = 0;
  #flying = false;
  #retryMs = FIRST_RETRY_MS;
  #finQueued = false;
  #finReceived = false;
  #open = true;

  constructor(connection: Connection, host: Host, local: TransportAddress, remote: TransportAddress) {
    this.connection = connection;
    this.host = host;
    this.local = local;
    this.remote = remote;
    host.ends.add(this);
  }

  get open(): boolean {
    return this.#open;
  }

  /** Returns false where the writer should wait for `onDrain`. */
  write(parts: readonly Uint8Array[]): boolean {
    if (!this.#open || this.#finQueued) return true;
    for (const part of parts) {
      this.#queue.push(part);
      this.#queued += part.length;
    }
    this.#fly();
    return this.#queued < BLOCKED_BYTES;
  }

  /** FIN behind what was written; what still comes is read and dropped. */
  end(): void {
    this.onBytes = undefined;
    this.onEnd = undefined;
    if (!this.#open || this.#finQueued) return;
    this.#finQueued = true;
    this.#queue.push('fin');
    this.#fly();
  }

  /** RST. */
  destroy(): void {
    this.onBytes = undefined;
    this.onEnd = undefined;
    if (!this.#open) return;
    this.#close();
    this.#reset();
  }

  #reset(): void {
    const { network } = this.connection;
    network.time.after(network.oneWayMs(), () => {
      if (this.connection.carries(this)) this.peer?.arriveReset();
    });
  }

  arriveReset(): void {
    if (!this.#open) return;
    this.#close();
    this.onEnd?.('reset');
  }

  #close(): void {
    this.#open = false;
    this.#queue = [];
    this.#queued = 0;
    this.host.ends.delete(this);
  }

  #fly(): void {
    if (this.#flying || this.#queue.length === 0) return;
    this.#flying = true;
    const { network } = this.connection;
    const lost = network.random.chance(network.conditions.loss) ? FIRST_RETRY_MS : 0;
    network.time.after(network.oneWayMs() + lost, () => this.#land());
  }

  #land(): void {
    if (!this.#open) return;
    const { network } = this.connection;
    if (!this.connection.carries(this)) {
      if (this.connection.forgotten(this) && network.random.chance(0.5)) return this.arriveReset();
      network.time.after(this.#retryMs, () => this.#land());
      this.#retryMs = Math.min(LAST_RETRY_MS, 2 * this.#retryMs);
      return;
    }
    this.#retryMs = FIRST_RETRY_MS;
    this.#flying = false;
    const flight = this.#takeFlight();
    if (this.#queued < BLOCKED_BYTES >> 1) this.onDrain?.();
    this.#fly();
    for (const item of flight) {
      if (item === 'fin') this.peer?.arriveFin();
      else this.peer?.arrive(item);
    }
    if (this.#finQueued && this.#queue.length === 0 && this.#finReceived) this.#close();
  }

  #takeFlight(): Item[] {
    const flight: Item[] = [];
    for (let bytes = 0; bytes < FLIGHT_BYTES && this.#queue.length > 0; ) {
      const item = this.#queue.shift() as Item;
      flight.push(item);
      if (item === 'fin') break;
      bytes += item.length;
      this.#queued -= item.length;
    }
    return flight;
  }

  arrive(bytes: Uint8Array): void {
    if (!this.#open) return this.#reset();
    const { network } = this.connection;
    // The receiver owns what it gets, and gets it in pieces that mean nothing.
    const copy = Buffer.from(bytes);
    network.onWire?.(copy, this.remote.ip, this.local.ip);
    for (let at = 0; at < copy.length; ) {
      const most = network.random.chance(0.2) ? 40 : copy.length;
      const end = Math.min(copy.length, at + network.random.between(1, most));
      this.onBytes?.(copy.subarray(at, end));
      at = end;
    }
  }

  arriveFin(): void {
    if (!this.#open) return;
    this.#finReceived = true;
    if (this.#finQueued && this.#queue.length === 0) this.#close();
    this.onEnd?.('closed');
  }
}

export class Connection {
  readonly network: Network;
  readonly #initiator: Host;
  readonly #natGeneration: number | undefined;

  private constructor(network: Network, initiator: Host) {
    this.network = network;
    this.#initiator = initiator;
    this.#natGeneration = initiator.nat?.generation;
  }

  /** Whether the NAT on the way knows this connection no more. */
  forgotten(from: ConnectionEnd): boolean {
    return from.host === this.#initiator && this.#initiator.nat?.generation !== this.#natGeneration;
  }

  /** Whether what this end sends arrives at the other now. */
  carries(from: ConnectionEnd): boolean {
    if (this.#initiator.nat?.generation !== this.#natGeneration) return false;
    const end = from.host === this.#initiator ? from : from.peer;
    return end !== undefined && this.network.passes(this.#initiator, end.local.ip, end.remote.ip);
  }

  static open(
    network: Network,
    from: Host,
    localIp: string,
    to: TransportAddress,
    timeoutMs: number,
    handlers: ConnectHandlers,
  ): Pending {
    const { time } = network;
    const startedAt = time.now;
    let over = false;
    const finish = (act: () => void): void => {
      if (over) return;
      over = true;
      act();
    };
    const timeout = time.after(timeoutMs, () => finish(() => handlers.onFailed('unreachable')));
    const tryOnce = (retryMs: number): void => {
      if (over) return;
      const arrives = network.passes(from, localIp, to.ip) && !network.random.chance(network.conditions.loss);
      if (!arrives) {
        time.after(retryMs, () => tryOnce(2 * retryMs));
        return;
      }
      time.after(network.oneWayMs(), () => {
        const asked = network.ownerOf(to.ip);
        if (asked === undefined) return tryOnce(retryMs);
        const listener = asked.acceptHandlers.get(to.port);
        time.after(network.oneWayMs(), () =>
          finish(() => {
            timeout.cancel();
            const remoteHost = network.ownerOf(to.ip);
            if (!network.passes(from, localIp, to.ip) || remoteHost === undefined)
              return handlers.onFailed('unreachable');
            const accept = remoteHost.acceptHandlers.get(to.port);
            if (listener === undefined || accept === undefined) return handlers.onFailed('refused');
            const connection = new Connection(network, from);
            const local = { ip: localIp, port: 40_000 };
            const near = new ConnectionEnd(connection, from, local, to);
            const far = new ConnectionEnd(connection, remoteHost, to, {
              ip: from.nat?.publicIp ?? localIp,
              port: 40_000,
            });
            near.peer = far;
            far.peer = near;
            accept(far);
            handlers.onConnected(near, time.now - startedAt);
          }),
        );
      });
    };
    time.after(0, () => tryOnce(200));
    return {
      cancel: () => {
        over = true;
        timeout.cancel();
      },
    };
  }
}
