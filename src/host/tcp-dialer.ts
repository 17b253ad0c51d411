/**
 * Dials one peer at several addresses: attempts start one after the other without waiting for each other's failure
 * (RFC 8305, section 5) and are repeated, because the kernel waits a whole second before it sends a lost SYN again.
 * The first to be connected wins; the others are dropped before anything was sent on them.
 */
import net from 'node:net';
import { familyOf, type TransportAddress } from '../core/address.ts';
import { after, monotonicNow } from './clock.ts';
import { nativeConnect } from './native.ts';

/** When attempts start: a first round over all candidates, then further rounds. */
const STAGGER_MS = 40;
const ROUND_MS = [0, 200, 600, 1400] as const;
/** At most this many connections under way for one dial. */
const MAX_ATTEMPTS = 8;

export interface DialOptions {
  /** In order of preference. */
  readonly candidates: readonly TransportAddress[];
  readonly timeoutMs: number;
  readonly localAddress?: string | undefined;
  /** `roundTripMs` is what the three-way handshake took. */
  onConnected(socket: net.Socket, roundTripMs: number): void;
  /** `refused`: every candidate's host answered that the port is closed. */
  onFailed(reason: 'refused' | 'unreachable'): void;
}

export interface Dial {
  cancel(): void;
}

/** Fits the sockets that carry records: whole windows are in flight, and the reader decides when to end. */
export const SUBFLOW_SOCKET_OPTIONS: net.SocketConstructorOpts & { noDelay: boolean; writableHighWaterMark: number } = {
  allowHalfOpen: true,
  noDelay: true,
  writableHighWaterMark: 256 << 10,
};

export function dialTcp(options: DialOptions): Dial {
  const { candidates, timeoutMs, localAddress } = options;
  const attempts = new Map<net.Socket, number>();
  const refused = new Set<number>();
  const timers: (() => void)[] = [];
  let waiting = 0;
  let done = false;

  const stop = (keep?: net.Socket): void => {
    done = true;
    for (const cancelTimer of timers) cancelTimer();
    for (const socket of attempts.keys()) if (socket !== keep) socket.destroy();
    attempts.clear();
  };
  const fail = (reason: 'refused' | 'unreachable'): void => {
    if (done) return;
    stop();
    options.onFailed(reason);
  };
  const failWhenHopeless = (): void => {
    if (refused.size === candidates.length) fail('refused');
    else if (attempts.size === 0 && waiting === 0) fail('unreachable');
  };
  const start = (index: number): void => {
    const candidate = candidates[index];
    if (done || candidate === undefined || refused.has(index) || attempts.size >= MAX_ATTEMPTS) return;
    const startedAt = monotonicNow();
    const socket = new net.Socket(SUBFLOW_SOCKET_OPTIONS);
    attempts.set(socket, index);
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (!attempts.delete(socket)) return;
      if (error.code === 'ECONNREFUSED') refused.add(index);
      failWhenHopeless();
    });
    socket.once('connect', () => {
      if (done) return;
      stop(socket);
      socket.removeAllListeners('error');
      options.onConnected(socket, monotonicNow() - startedAt);
    });
    const sameFamily = localAddress !== undefined && familyOf(localAddress) === familyOf(candidate.ip);
    nativeConnect.call(socket, {
      host: candidate.ip,
      port: candidate.port,
      ...(sameFamily ? { localAddress } : {}),
    });
  };
  for (const roundMs of ROUND_MS) {
    for (let index = 0; index < candidates.length; index++) {
      const delayMs = roundMs + index * STAGGER_MS;
      if (delayMs === 0) start(index);
      else if (delayMs < timeoutMs) {
        waiting += 1;
        timers.push(
          after(delayMs, () => {
            waiting -= 1;
            start(index);
            failWhenHopeless();
          }),
        );
      }
    }
  }
  timers.push(after(timeoutMs, () => fail('unreachable')));
  return { cancel: () => stop() };
}
