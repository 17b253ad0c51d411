/**
 * Dials one peer at several addresses, and from several where some are preferred: attempts start one after the other,
 * at once where the one before has failed (RFC 8305, section 5), and are repeated, because the kernel waits a whole
 * second before it sends a lost SYN again. The first to be connected wins; the others are dropped before anything was
 * sent on them.
 */
import { familyOf, formatTransportAddress, type TransportAddress } from '../core/address.ts';
import { after, monotonicNow } from './clock.ts';
import { connectTcp, type TcpConnection } from './tcp-connection.ts';

/** When attempts start: a first round over all candidates, then further rounds. */
const STAGGER_MS = 40;
const ROUND_MS = [0, 200, 600, 1400] as const;
/** How long a source waits for a better one to connect: the connection attempt delay that RFC 8305 recommends. */
const RANK_MS = 250;
/** While this many connections are under way for one dial no attempt is repeated. */
const MAX_ATTEMPTS = 8;

export interface DialCandidate extends TransportAddress {
  /** Absent: as the kernel chooses. */
  readonly localAddress?: string | undefined;
  /** How many sources are better than this one. */
  readonly rank?: number;
}

export interface DialOptions {
  /** In order of preference, and of rank. */
  readonly candidates: readonly DialCandidate[];
  readonly timeoutMs: number;
  readonly localAddress?: string | undefined;
  /** `roundTripMs` is what the three-way handshake took. */
  onConnected(connection: TcpConnection, roundTripMs: number): void;
  /** `refused`: the host at every address answered that the port is closed. */
  onFailed(reason: 'refused' | 'unreachable'): void;
}

export interface Dial {
  cancel(): void;
}

export function dialTcp(options: DialOptions): Dial {
  const dial = new TcpDial(options);
  dial.run();
  return dial;
}

interface Step {
  readonly atMs: number;
  readonly candidate: DialCandidate;
  readonly isFirst: boolean;
}

function planOf(candidates: readonly DialCandidate[], timeoutMs: number): Step[] {
  const plan: Step[] = [];
  for (const roundMs of ROUND_MS) {
    let place = 0;
    for (const [i, candidate] of candidates.entries()) {
      const { rank = 0 } = candidate;
      place = rank === (candidates[i - 1]?.rank ?? 0) ? place : 0;
      const atMs = roundMs + rank * RANK_MS + place * STAGGER_MS;
      place += 1;
      if (atMs < timeoutMs) plan.push({ atMs, candidate, isFirst: roundMs === 0 });
    }
  }
  return candidates.length === 1 ? plan : plan.sort((a, b) => a.atMs - b.atMs);
}

class TcpDial implements Dial {
  readonly #options: DialOptions;
  readonly #startedAt = monotonicNow();
  /** When which candidate is tried, in order of time. */
  readonly #plan: Step[];
  /** How each attempt under way is given up, and its rank. */
  readonly #attempts = new Map<() => void, number>();
  /** Destinations: a port that is closed is so whoever asks. */
  readonly #refused = new Set<string>();
  readonly #destinations: number;
  #step = 0;
  #cancelTimer: (() => void) | undefined;
  #done = false;

  constructor(options: DialOptions) {
    this.#options = options;
    this.#plan = planOf(options.candidates, options.timeoutMs);
    this.#destinations = new Set(options.candidates.map(formatTransportAddress)).size;
  }

  cancel(): void {
    this.#stop();
  }

  /** Starts what is due, and waits for the next step with the one timer there is. */
  run(): void {
    if (this.#done) return;
    const elapsedMs = monotonicNow() - this.#startedAt;
    let next = this.#plan[this.#step];
    for (; next !== undefined && next.atMs <= elapsedMs; next = this.#plan[this.#step]) {
      this.#step += 1;
      this.#attempt(next);
    }
    if (elapsedMs >= this.#options.timeoutMs || this.#destinations === 0) return this.#failSoon('unreachable');
    const wakeMs = next?.atMs ?? this.#options.timeoutMs;
    this.#cancelTimer = after(Math.max(1, wakeMs - elapsedMs), () => this.run());
    this.#failWhenHopeless();
  }

  #attempt({ candidate, isFirst }: Step): void {
    const destination = formatTransportAddress(candidate);
    if (this.#refused.has(destination) || (!isFirst && this.#attempts.size >= MAX_ATTEMPTS)) return;
    const startedAt = monotonicNow();
    const { localAddress = this.#options.localAddress, rank = 0 } = candidate;
    const sameFamily = localAddress !== undefined && familyOf(localAddress) === familyOf(candidate.ip);
    const giveUp = connectTcp({
      remote: candidate,
      localAddress: sameFamily ? localAddress : undefined,
      onConnected: (connection) => {
        this.#attempts.delete(giveUp);
        this.#stop();
        this.#options.onConnected(connection, monotonicNow() - startedAt);
      },
      onFailed: ({ code }) => {
        this.#attempts.delete(giveUp);
        if (code === 'ECONNREFUSED') this.#refused.add(destination);
        this.#hurry();
        this.#failWhenHopeless();
      },
    });
    this.#attempts.set(giveUp, rank);
  }

  /** After a failure: the next candidate that had no attempt yet, without waiting for its time; not beside better ones. */
  #hurry(): void {
    const at = this.#plan.findIndex(({ isFirst }, i) => isFirst && i >= this.#step);
    const next = this.#plan[at];
    if (this.#done || next === undefined) return;
    const { rank = 0 } = next.candidate;
    if ([...this.#attempts.values()].some((better) => better < rank)) return;
    this.#plan.splice(at, 1);
    this.#attempt(next);
  }

  #failWhenHopeless(): void {
    if (this.#refused.size === this.#destinations) this.#failSoon('refused');
    else if (this.#attempts.size === 0 && this.#step === this.#plan.length) this.#failSoon('unreachable');
  }

  /** Not inside the call that began the dial. */
  #failSoon(reason: 'refused' | 'unreachable'): void {
    if (this.#done) return;
    this.#stop();
    process.nextTick(() => this.#options.onFailed(reason));
  }

  #stop(): void {
    this.#done = true;
    this.#cancelTimer?.();
    for (const giveUp of this.#attempts.keys()) giveUp();
    this.#attempts.clear();
  }
}
