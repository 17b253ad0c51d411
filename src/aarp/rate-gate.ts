/**
 * A bound on how often something is done: a burst at once, then one every so often (the generic cell rate algorithm,
 * ITU-T I.371: one number of state).
 */
import type { Instant } from '../core/time.ts';

export interface Rate {
  readonly burst: number;
  /** Between two, in the long run. */
  readonly intervalMs: number;
}

export class RateGate {
  readonly #rate: Rate;
  /** When all that was done would have been done, had it come evenly. */
  #evenAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** When the next one may be; not later than `now` where it may be now. */
  opensAt(): Instant {
    return this.#evenAt - (this.#rate.burst - 1) * this.#rate.intervalMs;
  }

  /** Counts one that was done at `now`, or is to be done at a time that has been waited for. */
  pass(now: Instant): void {
    this.#evenAt = Math.max(this.#evenAt, now) + this.#rate.intervalMs;
  }
}
