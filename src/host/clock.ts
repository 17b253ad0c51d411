/**
 * The host's clock and timer, as drivers of sans-IO cores use them: one reading, one alarm per driver.
 *
 * The functions are taken at import, so that an application which replaces timers or `performance` (test frameworks
 * do) can't stop running sessions.
 */
import type { Instant } from '../core/time.ts';

const armTimer = globalThis.setTimeout;
const disarmTimer = globalThis.clearTimeout;
const readClock = globalThis.performance.now.bind(globalThis.performance);
const readWallClock = globalThis.Date.now;

/** Node turns longer delays into 1 ms; an alarm that far off is re-armed on the way. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** Now, on the monotonic clock. */
export function monotonicNow(): Instant {
  return readClock();
}

/** Milliseconds since 1970: goes on while the host sleeps, which the monotonic clock does not, and can be set. */
export function wallNow(): number {
  return readWallClock();
}

/**
 * One re-armable one-shot timer. `set` is called after every input, nearly always with the same or a later deadline:
 * then no timer is touched, and the one that runs re-arms itself when it finds that it is early.
 */
export class Alarm {
  readonly #onFire: (now: Instant) => void;
  #deadline: Instant | undefined;
  #timer: NodeJS.Timeout | undefined;
  #firesAt: Instant = 0;
  #referenced = true;

  /** `onFire` runs once per deadline set, never before it, and may call `set`. */
  constructor(onFire: (now: Instant) => void) {
    this.#onFire = onFire;
  }

  get deadline(): Instant | undefined {
    return this.#deadline;
  }

  /** Replaces the deadline; `undefined` is never. A deadline in the past fires soon, but not inside this call. */
  set(deadline: Instant | undefined): void {
    this.#deadline = deadline;
    if (deadline === undefined) this.#disarm();
    else if (this.#timer === undefined || deadline < this.#firesAt) {
      this.#disarm();
      this.#arm(readClock(), deadline);
    }
  }

  /** Whether a pending alarm keeps the process alive. Referenced at first. */
  ref(): void {
    this.#referenced = true;
    this.#timer?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#timer?.unref();
  }

  #arm(now: Instant, deadline: Instant): void {
    const delayMs = Math.min(Math.max(Math.ceil(deadline - now), 1), LONGEST_DELAY_MS);
    this.#firesAt = now + delayMs;
    this.#timer = armTimer(() => this.#wake(), delayMs);
    if (!this.#referenced) this.#timer.unref();
  }

  #disarm(): void {
    if (this.#timer === undefined) return;
    disarmTimer(this.#timer);
    this.#timer = undefined;
  }

  #wake(): void {
    this.#timer = undefined;
    const deadline = this.#deadline;
    if (deadline === undefined) return;
    const now = readClock();
    if (now < deadline) {
      this.#arm(now, deadline);
      return;
    }
    this.#deadline = undefined;
    this.#onFire(now);
  }
}

/** Calls `act` once after a delay, without keeping the process alive for it; the result cancels. */
export function after(delayMs: number, act: () => void): () => void {
  const timer = armTimer(act, delayMs);
  timer.unref();
  return () => disarmTimer(timer);
}
