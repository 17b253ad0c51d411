/**
 * Liveness: when to ask whether a path still works, and when to stop believing in it. TCP alone takes minutes to say
 * that a NAT has forgotten the connection or that packets go nowhere.
 *
 * Nothing here closes anything: the verdict `dead` makes the initiator try another subflow beside the present one.
 */
import type { Instant } from '../core/time.ts';

/** Silence after activity before asking: a receiver in mid-transfer can't tell idle from dead otherwise. */
const QUIET_AFTER_ACTIVITY_MS = 500;
/** Silence on an idle path before asking; below the 30 s after which common NATs forget (RFC 4787, section 4.3). */
export const KEEPALIVE_MS = 25_000;
/** Unanswered for this long is dead. Above the kernel's first two retransmissions, so that plain loss isn't. */
const UNANSWERED_MS = 1_000;
const UNANSWERED_ROUND_TRIPS = 4;

export type LivenessVerdict = 'ask' | 'dead' | undefined;

export class Liveness {
  #heardAt: Instant;
  /** Since when the peer owes an answer: an acknowledgement, or a PONG. */
  #owedSince: Instant | undefined;
  #askedSinceHeard = false;
  #active = false;
  #unansweredMs: number;

  constructor(now: Instant, roundTripMs: number) {
    this.#heardAt = now;
    this.#unansweredMs = Math.max(UNANSWERED_MS, UNANSWERED_ROUND_TRIPS * roundTripMs);
  }

  /** A new path: start over. */
  restart(now: Instant, roundTripMs: number): void {
    this.#heardAt = now;
    this.#owedSince = undefined;
    this.#askedSinceHeard = false;
    this.#unansweredMs = Math.max(UNANSWERED_MS, UNANSWERED_ROUND_TRIPS * roundTripMs);
  }

  /** A verified record came. `data`: it carried stream bytes; `owing`: we still wait for an acknowledgement. */
  heard(now: Instant, data: boolean, owing: boolean): void {
    this.#heardAt = now;
    this.#askedSinceHeard = false;
    this.#active = data;
    this.#owedSince = owing ? now : undefined;
  }

  /** Something went out that the peer will answer. */
  sent(now: Instant): void {
    this.#owedSince ??= now;
  }

  asked(now: Instant): void {
    this.#askedSinceHeard = true;
    this.#owedSince ??= now;
  }

  deadline(): Instant {
    if (this.#owedSince !== undefined) return this.#owedSince + this.#unansweredMs;
    return this.#heardAt + (this.#active ? QUIET_AFTER_ACTIVITY_MS : KEEPALIVE_MS);
  }

  verdict(now: Instant): LivenessVerdict {
    if (now < this.deadline()) return undefined;
    if (this.#owedSince !== undefined) return 'dead';
    return this.#askedSinceHeard ? undefined : 'ask';
  }
}
