/**
 * Dials one peer at several addresses: attempts start one after the other, at once where the one before has failed
 * (RFC 8305, section 5), and are repeated, because the kernel waits a whole second before it sends a lost SYN again.
 * The first to be connected wins; the others are dropped before anything was sent on them.
 */
import { familyOf, type TransportAddress } from '../core/address.ts';
import { after, monotonicNow } from './clock.ts';
import { connectTcp, type TcpConnection } from './tcp-connection.ts';

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
  onConnected(connection: TcpConnection, roundTripMs: number): void;
  /** `refused`: every candidate's host answered that the port is closed. */
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
  /** Of the candidate. */
  readonly index: number;
}

function planOf(candidates: number, timeoutMs: number): Step[] {
  const plan: Step[] = [];
  for (const roundMs of ROUND_MS) {
    for (let index = 0; index < candidates; index++) {
      const atMs = roundMs + index * STAGGER_MS;
      if (atMs < timeoutMs) plan.push({ atMs, index });
    }
  }
  return candidates === 1 ? plan : plan.sort((a, b) => a.atMs - b.atMs);
}

class TcpDial implements Dial {
  readonly #options: DialOptions;
  readonly #startedAt = monotonicNow();
  /** When which candidate is tried, in order of time. */
  readonly #plan: readonly Step[];
  /** How each attempt under way is given up. */
  readonly #attempts = new Set<() => void>();
  readonly #refused = new Set<number>();
  #step = 0;
  #cancelTimer: (() => void) | undefined;
  #done = false;

  constructor(options: DialOptions) {
    this.#options = options;
    this.#plan = planOf(options.candidates.length, options.timeoutMs);
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
      this.#attempt(next.index);
    }
    if (elapsedMs >= this.#options.timeoutMs || this.#plan.length === 0) return this.#failSoon('unreachable');
    const wakeMs = next?.atMs ?? this.#options.timeoutMs;
    this.#cancelTimer = after(Math.max(1, wakeMs - elapsedMs), () => this.run());
    this.#failWhenHopeless();
  }

  #attempt(index: number): void {
    const candidate = this.#options.candidates[index];
    if (candidate === undefined || this.#refused.has(index) || this.#attempts.size >= MAX_ATTEMPTS) return;
    const startedAt = monotonicNow();
    const { localAddress } = this.#options;
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
        if (code === 'ECONNREFUSED') this.#refused.add(index);
        this.#hurry();
        this.#failWhenHopeless();
      },
    });
    this.#attempts.add(giveUp);
  }

  /** After a failure: the next candidate that had no attempt yet, without waiting for its time. */
  #hurry(): void {
    const next = this.#plan[this.#step];
    if (this.#done || next === undefined || next.atMs >= STAGGER_MS * this.#options.candidates.length) return;
    this.#step += 1;
    this.#attempt(next.index);
  }

  #failWhenHopeless(): void {
    if (this.#refused.size === this.#options.candidates.length) this.#failSoon('refused');
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
    for (const giveUp of this.#attempts) giveUp();
    this.#attempts.clear();
  }
}
