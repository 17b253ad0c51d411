/**
 * Runs L4_INIT/L4_OFFER: over UDP to the application's own port number at each of the destination's addresses, or
 * in-band on a configured peer's session port.
 */
import type { TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import type { TcpConnection } from '../../host/tcp-connection.ts';
import { dialTcp } from '../../host/tcp-dialer.ts';
import { type ConnectedUdp, connectUdp } from '../../host/udp-port.ts';
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
  const attempts: UdpAttempt[] = [];
  const failures: PlainReason[] = [];
  const asked = addresses.slice(0, MAX_ADDRESSES_ASKED);
  let done = false;
  const stop = (): void => {
    done = true;
    for (const attempt of attempts) attempt.close();
  };
  for (const ip of asked) {
    const attempt = new UdpAttempt({ ip, port }, localAddress, make, {
      onRejected: (count) => handlers.onRejected?.(count),
      onAgreed: (agreement) => {
        if (done) return;
        stop();
        handlers.onAgreed(agreement);
      },
      onFailed: (reason) => {
        failures.push(reason);
        if (done || failures.length < asked.length) return;
        stop();
        handlers.onFailed(failures.find((r) => r !== 'unaware') ?? 'unaware');
      },
    });
    attempts.push(attempt);
  }
  return {
    goOnUnreferenced: () => {
      for (const attempt of attempts) attempt.unref();
    },
  };
}

class UdpAttempt {
  readonly #remote: TransportAddress;
  readonly #handlers: HandshakeHandlers;
  readonly #handshake: InitiatorHandshake;
  readonly #startedAt = monotonicNow();
  readonly #udp: ConnectedUdp;
  readonly #alarm: Alarm;
  #closed = false;

  constructor(
    remote: TransportAddress,
    localAddress: string | undefined,
    make: MakeHandshake,
    handlers: HandshakeHandlers,
  ) {
    this.#remote = remote;
    this.#handlers = handlers;
    this.#handshake = make(this.#startedAt);
    this.#alarm = new Alarm((now) => {
      this.#handshake.handleTimeout(now);
      this.#pump();
    });
    this.#udp = connectUdp({
      remote,
      ...(localAddress === undefined ? {} : { localAddress }),
      onDatagram: (bytes) => {
        this.#handshake.handleDatagram(monotonicNow(), bytes);
        this.#pump();
      },
      onUnreachable: () => this.#fail('unaware'),
    });
    this.#pump();
  }

  unref(): void {
    this.#alarm.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#handshake.rejected > 0) this.#handlers.onRejected?.(this.#handshake.rejected);
    this.#alarm.set(undefined);
    this.#udp.close();
  }

  #fail(reason: PlainReason): void {
    if (this.#closed) return;
    this.close();
    this.#handlers.onFailed(reason);
  }

  #pump(): void {
    if (this.#closed) return;
    const { outcome } = this.#handshake;
    if (outcome !== undefined) {
      if (outcome.type !== 'accepted') return this.#fail(plainReason(outcome));
      this.close();
      const { association, portPair } = outcome;
      const roundTripMs = monotonicNow() - this.#startedAt;
      return this.#handlers.onAgreed({ association, portPair, contactIp: this.#remote.ip, roundTripMs });
    }
    const bytes = this.#handshake.pollTransmit();
    if (bytes !== undefined) this.#udp.send(bytes);
    this.#alarm.set(this.#handshake.pollTimeout());
  }
}

/** Over TCP to the session port that the policy names. */
export function runInBandHandshake(
  candidates: readonly TransportAddress[],
  timeoutMs: number,
  make: MakeHandshake,
  handlers: HandshakeHandlers,
): RunningHandshake {
  let connection: TcpConnection | undefined;
  let done = false;
  const finish = (act: () => void): void => {
    if (done) return;
    done = true;
    act();
  };
  const fail = (reason: PlainReason): void =>
    finish(() => {
      connection?.close();
      handlers.onFailed(reason);
    });
  const dial = dialTcp({
    candidates,
    timeoutMs,
    onFailed: () => fail('session-port-unreachable'),
    onConnected: (connected, roundTripMs) => {
      connection = connected;
      const handshake = make(monotonicNow());
      let received = Buffer.alloc(0);
      const alarm = new Alarm((now) => {
        handshake.handleTimeout(now);
        pump();
      });
      const release = (): void => {
        if (handshake.rejected > 0) handlers.onRejected?.(handshake.rejected);
        alarm.set(undefined);
      };
      // Over TCP nothing is lost: the ladder only bounds the wait, and no L4_INIT is sent twice.
      let sent: Uint8Array | undefined;
      const pump = (): void => {
        if (done) return release();
        const { outcome } = handshake;
        if (outcome?.type === 'accepted') {
          release();
          const { association, portPair } = outcome;
          const contactIp = connected.remote.ip;
          return finish(() =>
            handlers.onAgreed({ association, portPair, contactIp, roundTripMs, connection: connected }),
          );
        }
        if (outcome !== undefined) return fail(plainReason(outcome));
        const bytes = handshake.pollTransmit();
        if (bytes !== undefined && bytes !== sent) connected.write([bytes]);
        sent = bytes ?? sent;
        alarm.set(handshake.pollTimeout());
      };
      const unreachable = (): void => fail('session-port-unreachable');
      connected.handler = {
        onBytes: (bytes) => {
          received = Buffer.concat([received, bytes]);
          try {
            const length = signalLength(received);
            if (length === undefined || received.length < length) return;
            handshake.handleDatagram(monotonicNow(), received.subarray(0, length));
            received = received.subarray(length);
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
            return fail('handshake-failed');
          }
          pump();
        },
        onEnd: unreachable,
        onError: unreachable,
        onDrain: () => {},
      };
      pump();
    },
  });
  return {
    goOnUnreferenced: () =>
      finish(() => {
        dial.cancel();
        connection?.close();
      }),
  };
}

function plainReason(outcome: Exclude<HandshakeOutcome, { type: 'accepted' }>): PlainReason {
  if (outcome.type === 'refused') return outcome.reason === 'limit' ? 'limit' : 'refused';
  return outcome.reason === 'no-answer' ? 'unaware' : 'handshake-failed';
}
