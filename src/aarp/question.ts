/**
 * One question to one address: "who are you?", by all methods that there are, said again until it is answered or has
 * been said often enough. Its nonce is the same each time, so that late answers count too.
 */
import type { Instant } from '../core/time.ts';

/** `echo`: an ICMPv6 Echo Request. `aarp`: a datagram to the AARP port. */
export type ProbeMethod = 'echo' | 'aarp';

export interface Probe {
  readonly method: ProbeMethod;
  readonly to: string;
  /** What an answer has to bring back. */
  readonly nonce: Uint8Array;
}

export const NONCE_BYTES = 16;

/**
 * How long each saying is waited for. The first is above most round trips on earth; half a second would be felt where
 * the first probe is lost, as it is where a router has to find its neighbour first.
 */
const LADDER_MS = [250, 500, 1_000];

export class Question {
  readonly to: string;
  readonly nonce: Uint8Array;
  readonly #methods: Set<ProbeMethod>;
  /** Index into the ladder of the next saying. */
  #step = 0;
  #dueAt: Instant | undefined;
  #firstSentAt: Instant | undefined;
  /** Over, for whichever reason. */
  #over = false;
  #refused = false;

  /** First asked at `startAt`, a time to come where somebody has to wait for it. */
  constructor(to: string, nonce: Uint8Array, methods: readonly ProbeMethod[], startAt: Instant) {
    this.to = to;
    this.nonce = nonce;
    this.#methods = new Set(methods);
    this.#dueAt = methods.length === 0 ? undefined : startAt;
    this.#over = this.#refused = methods.length === 0;
  }

  get dueAt(): Instant | undefined {
    return this.#dueAt;
  }

  get isOver(): boolean {
    return this.#over;
  }

  get wasAsked(): boolean {
    return this.#firstSentAt !== undefined;
  }

  /** It could be sent by no method. */
  get isUnreachable(): boolean {
    return this.#refused;
  }

  /** At most this, since an answer says not which saying it belongs to. */
  roundTripMs(now: Instant): number {
    return now - (this.#firstSentAt ?? now);
  }

  /** What is to be sent at its due time: nothing when nobody answers any more. */
  say(now: Instant): Probe[] {
    const waitMs = LADDER_MS[this.#step];
    if (waitMs === undefined) {
      this.end();
      return [];
    }
    this.#step += 1;
    this.#firstSentAt ??= now;
    this.#dueAt = now + waitMs;
    return [...this.#methods].map((method) => ({ method, to: this.to, nonce: this.nonce }));
  }

  /** Says it later: the rate of all probes is at its bound. */
  postpone(until: Instant): void {
    this.#dueAt = until;
  }

  /** Nothing can be sent by this method. */
  drop(method: ProbeMethod): void {
    if (this.#over || !this.#methods.delete(method) || this.#methods.size > 0) return;
    this.#refused = true;
    this.end();
  }

  end(): void {
    this.#over = true;
    this.#dueAt = undefined;
  }
}
