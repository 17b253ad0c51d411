/**
 * Runs L4_INIT/L4_OFFER: over UDP to the application's own port number at each of the destination's addresses, or
 * in-band on a configured peer's session port.
 */
import type { TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { connectUdp } from '../../host/connected-udp.ts';
import type { TcpConnection } from '../../host/tcp-connection.ts';
import { dialTcp } from '../../host/tcp-dialer.ts';
import type { Association } from '../association.ts';
import type { HandshakeOutcome, InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';
import { signalLength } from '../wire/signal-header.ts';
import type { PlainReason } from './mobile-stream.ts';

export interface Agreement {
  readonly association: Association;
  readonly portPair: PortPair;
  /** The address that answered. */
  readonly contactIp: string;
  readonly roundTripMs: number;
  /** In-band: the connection on which OPEN follows. */
  readonly connection?: TcpConnection;
}

export interface HandshakeHandlers {
  onAgreed(agreement: Agreement): void;
  onFailed(reason: PlainReason): void;
  /** So many answers were no answers. */
  onRejected?(count: number): void;
}

export interface RunningHandshake {
  /** Nobody waits for it any more: it may end in its own time, but keeps no process alive. */
  goOnUnreferenced(): void;
}

type MakeHandshake = (now: number) => InitiatorHandshake;

/** Addresses asked at the same time: the ones that resolution put first. */
const MAX_ADDRESSES_ASKED = 4;

export function runUdpHandshake(
  addresses: readonly string[],
  port: number,
  localAddress: string | undefined,
  make: MakeHandshake,
  handlers: HandshakeHandlers,
): RunningHandshake {
  const asked = addresses.slice(0, MAX_ADDRESSES_ASKED);
  const failures: PlainReason[] = [];
  const exchanges = asked.map((ip) => {
    const startedAt = monotonicNow();
    const exchange: Exchange = new Exchange(make(startedAt), {
      onAccepted: (accepted) => {
        udp.close();
        for (const other of exchanges) other.close();
        handlers.onAgreed({ ...accepted, contactIp: ip, roundTripMs: monotonicNow() - startedAt });
      },
      onFailed: (reason) => {
        failures.push(reason);
        if (failures.length < asked.length) return;
        handlers.onFailed(failures.find((r) => r !== 'unaware') ?? 'unaware');
      },
      onRejected: (count) => handlers.onRejected?.(count),
    });
    const udp = connectUdp({
      remote: { ip, port },
      ...(localAddress === undefined ? {} : { localAddress }),
      onDatagram: (bytes) => exchange.handleMessage(bytes),
      onUnreachable: () => exchange.fail('unaware'),
    });
    exchange.start(udp);
    return exchange;
  });
  return {
    goOnUnreferenced: () => {
      for (const exchange of exchanges) exchange.unref();
    },
  };
}

/** Over TCP to the session port that the policy names. */
export function runInBandHandshake(
  candidates: readonly TransportAddress[],
  timeoutMs: number,
  make: MakeHandshake,
  handlers: HandshakeHandlers,
): RunningHandshake {
  let exchange: Exchange | undefined;
  const dial = dialTcp({
    candidates,
    timeoutMs,
    onFailed: () => handlers.onFailed('session-port-unreachable'),
    onConnected: (connection, roundTripMs) => {
      exchange = new Exchange(make(monotonicNow()), {
        onAccepted: (accepted) =>
          handlers.onAgreed({ ...accepted, contactIp: connection.remote.ip, roundTripMs, connection }),
        onFailed: (reason) => handlers.onFailed(reason),
        onRejected: (count) => handlers.onRejected?.(count),
      });
      carryInBand(exchange, connection);
    },
  });
  return {
    goOnUnreferenced: () => {
      dial.cancel();
      exchange?.close();
    },
  };
}

function carryInBand(exchange: Exchange, connection: TcpConnection): void {
  // Nothing is lost here: the ladder only bounds the wait, and no L4_INIT is sent twice.
  let sent: Uint8Array | undefined;
  let received = Buffer.alloc(0);
  const unreachable = (): void => exchange.fail('session-port-unreachable');
  connection.handler = {
    onBytes: (bytes) => {
      received = Buffer.concat([received, bytes]);
      let length: number | undefined;
      try {
        length = signalLength(received);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        return exchange.fail('handshake-failed');
      }
      if (length === undefined || received.length < length) return;
      const message = received.subarray(0, length);
      received = received.subarray(length);
      exchange.handleMessage(message);
    },
    onEnd: unreachable,
    onError: unreachable,
    onDrain: () => {},
  };
  exchange.start({
    send: (bytes) => {
      if (bytes !== sent) connection.write([bytes]);
      sent = bytes;
    },
    close: () => connection.close(),
  });
}

/** What takes the messages of one handshake to the peer. */
interface Carrier {
  send(bytes: Uint8Array): void;
  close(): void;
}

interface ExchangeHandlers {
  /** The carrier is left open. */
  onAccepted(accepted: { readonly association: Association; readonly portPair: PortPair }): void;
  onFailed(reason: PlainReason): void;
  onRejected(count: number): void;
}

/** One handshake with one responder. Life-cycle: start, then accepted, failed or closed; behind that it says nothing. */
class Exchange {
  readonly #handshake: InitiatorHandshake;
  readonly #handlers: ExchangeHandlers;
  readonly #alarm: Alarm;
  #carrier: Carrier | undefined;
  #over = false;

  constructor(handshake: InitiatorHandshake, handlers: ExchangeHandlers) {
    this.#handshake = handshake;
    this.#handlers = handlers;
    this.#alarm = new Alarm((now) => {
      handshake.handleTimeout(now);
      this.#run();
    });
  }

  start(carrier: Carrier): void {
    this.#carrier = carrier;
    this.#run();
  }

  handleMessage(bytes: Uint8Array): void {
    this.#handshake.handleDatagram(monotonicNow(), bytes);
    this.#run();
  }

  fail(reason: PlainReason): void {
    if (this.#over) return;
    this.close();
    this.#handlers.onFailed(reason);
  }

  unref(): void {
    this.#alarm.unref();
  }

  close(): void {
    if (this.#over) return;
    this.#finish();
    this.#carrier?.close();
  }

  #run(): void {
    if (this.#over) return;
    const { outcome } = this.#handshake;
    if (outcome?.type === 'accepted') {
      this.#finish();
      const { association, portPair } = outcome;
      return this.#handlers.onAccepted({ association, portPair });
    }
    if (outcome !== undefined) return this.fail(plainReason(outcome));
    const bytes = this.#handshake.pollTransmit();
    if (bytes !== undefined) this.#carrier?.send(bytes);
    this.#alarm.set(this.#handshake.pollTimeout());
  }

  #finish(): void {
    this.#over = true;
    this.#alarm.set(undefined);
    if (this.#handshake.rejected > 0) this.#handlers.onRejected(this.#handshake.rejected);
  }
}

function plainReason(outcome: Exclude<HandshakeOutcome, { type: 'accepted' }>): PlainReason {
  if (outcome.type === 'refused') return outcome.reason === 'limit' ? 'limit' : 'refused';
  return outcome.reason === 'no-answer' ? 'unaware' : 'handshake-failed';
}
