/**
 * Silence watch: when to ask whether the peer is still there. Datagrams are acknowledged by nobody, so silence is
 * judged by the flow's own rhythm: data that came steadily and stops, or data that is sent and never answered. Where
 * nothing was said, nothing is asked.
 */
import { earliest, type Instant } from '../../core/time.ts';
import { ASK_EVERY_MS, LEAST_QUIET_MS, OWED_MS, QUIET_INTERVALS } from './flow-timing.ts';

/** Weight of the newest interval, which counts as this many of the usual at most: an outage is no new rhythm. */
const SMOOTHING = 1 / 8;
const LARGEST_STEP = 3;
/** What any interval may be, lest a burst make all that follows look like an outage. */
const ORDINARY_MS = 100;
/**
 * Questions that were answered but not followed by data, until we believe that there is none. A peer whose packets to
 * us were lost may have no allowance left to say so: each question gives it some.
 */
const MAX_FRUITLESS = 3;

export class SilenceWatch {
  // Numbers only, never undefined: these are written with every packet, and stay unboxed so.
  #dataAt = Number.NEGATIVE_INFINITY;
  #intervalMs = ORDINARY_MS;
  #owedSince = Number.POSITIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #heardDataSinceAsked = false;
  /** Questions since data came. */
  #fruitless = 0;

  /** Data came from the peer. */
  heardData(now: Instant): void {
    const most = LARGEST_STEP * this.#intervalMs + ORDINARY_MS;
    this.#intervalMs += (Math.min(now - this.#dataAt, most) - this.#intervalMs) * SMOOTHING;
    this.#dataAt = now;
    this.#heardDataSinceAsked = true;
    this.#fruitless = 0;
    this.#owedSince = Number.POSITIVE_INFINITY;
  }

  /** The peer has answered: its data should come now, if it has any. */
  answered(now: Instant): void {
    if (this.#fruitless >= MAX_FRUITLESS) return;
    this.#dataAt = now;
    this.#heardDataSinceAsked = true;
  }

  /** We are elsewhere: silence means something again. */
  moved(): void {
    this.#fruitless = 0;
  }

  /** Anything else genuine came. */
  heard(): void {
    this.#owedSince = Number.POSITIVE_INFINITY;
  }

  sentData(now: Instant): void {
    if (this.#owedSince === Number.POSITIVE_INFINITY) this.#owedSince = now;
  }

  asked(now: Instant): void {
    this.#askedAt = now;
    this.#fruitless += 1;
    this.#heardDataSinceAsked = false;
    this.#owedSince = Number.POSITIVE_INFINITY;
  }

  /** When to ask, if nothing happens before. */
  deadline(): Instant | undefined {
    const quiet = this.#heardDataSinceAsked
      ? this.#dataAt + Math.max(LEAST_QUIET_MS, QUIET_INTERVALS * this.#intervalMs)
      : undefined;
    if (this.#owedSince === Number.POSITIVE_INFINITY) return quiet;
    return earliest(quiet, Math.max(this.#owedSince + OWED_MS, this.#askedAt + ASK_EVERY_MS));
  }
}
