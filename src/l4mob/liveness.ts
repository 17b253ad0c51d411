/**
 * Liveness: when to ask whether a subflow still works, and when to stop believing in it. TCP alone takes minutes to
 * say that a NAT has forgotten the connection or that packets go nowhere. docs/protocol.md, "Liveness".
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
/** This share of it is reason enough to ask by other ways where the peer is. */
const SUSPECT_SHARE = 0.5;
const UNANSWERED_ROUND_TRIPS = 4;
/** Patience learnt on slow links ends here: a 64 KiB record takes 8 s at 64 kbit/s. */
export const MAX_UNANSWERED_MS = 8_000;
/** An answer may take twice as long as the one before, and what was learnt is forgotten by a quarter per answer. */
const ANSWER_SPREAD = 2;
const FORGETTING = 0.75;

export type LivenessVerdict = 'ask' | 'suspect' | 'dead' | undefined;

export class Liveness {
  #heardAt: Instant;
  /** Since when the peer owes an answer: an acknowledgement, or a PONG. */
  #owedSince: Instant | undefined;
  #askedSinceHeard = false;
  #suspected = false;
  #active = false;
  readonly #leastUnansweredMs: number;
  #unansweredMs: number;

  /**
   * `before`: of the subflow that this one replaces. If that was given up as dead we are twice as patient now: on a
   * slow link it may have been busy with one long record, which would never get through otherwise.
   */
  constructor(now: Instant, roundTripMs: number, before?: Liveness) {
    this.#heardAt = now;
    this.#leastUnansweredMs = Math.max(UNANSWERED_MS, UNANSWERED_ROUND_TRIPS * roundTripMs);
    const doubled = before?.verdict(now) === 'dead' ? Math.min(MAX_UNANSWERED_MS, 2 * before.#unansweredMs) : 0;
    this.#unansweredMs = Math.max(this.#leastUnansweredMs, doubled);
  }

  /** A verified record came. `data`: it carried stream bytes; `owing`: we still wait for an acknowledgement. */
  heard(now: Instant, data: boolean, owing: boolean): void {
    if (this.#owedSince !== undefined) this.#learn(now - this.#owedSince);
    this.#heardAt = now;
    this.#askedSinceHeard = false;
    this.#suspected = false;
    this.#active = data;
    this.#owedSince = owing ? now : undefined;
  }

  /** Bytes came, perhaps of a record that takes long to arrive: a sign of life, though no proof of who sent them. */
  stirred(now: Instant): void {
    this.#heardAt = now;
    this.#suspected = false;
    if (this.#owedSince !== undefined) this.#owedSince = now;
  }

  /** Something went out that the peer will answer. */
  sent(now: Instant): void {
    this.#owedSince ??= now;
  }

  asked(now: Instant): void {
    this.#askedSinceHeard = true;
    this.#owedSince ??= now;
  }

  /** The verdict `suspect` was acted upon. */
  suspected(): void {
    this.#suspected = true;
  }

  deadline(): Instant {
    if (this.#owedSince !== undefined) {
      return this.#owedSince + this.#unansweredMs * (this.#suspected ? 1 : SUSPECT_SHARE);
    }
    return this.#heardAt + (this.#active ? QUIET_AFTER_ACTIVITY_MS : KEEPALIVE_MS);
  }

  verdict(now: Instant): LivenessVerdict {
    if (now < this.deadline()) return undefined;
    if (this.#owedSince !== undefined) return now < this.#owedSince + this.#unansweredMs ? 'suspect' : 'dead';
    return this.#askedSinceHeard ? undefined : 'ask';
  }

  #learn(answerMs: number): void {
    const learnt = Math.max(ANSWER_SPREAD * answerMs, FORGETTING * this.#unansweredMs);
    this.#unansweredMs = Math.max(this.#leastUnansweredMs, Math.min(MAX_UNANSWERED_MS, learnt));
  }
}
