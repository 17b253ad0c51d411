/**
 * The host's clock and timer, as drivers of sans-IO cores use them: one reading, one alarm per driver.
 *
 * The functions are taken at import, so that an application which replaces timers or `performance` (test frameworks
 * do) can't stop running sessions.
 */
import { type DueEntry, DueHeap } from '../core/due-heap.ts';
import type { Instant } from '../core/time.ts';

const setTimer = globalThis.setTimeout;
const clearTimer = globalThis.clearTimeout;
const readClock = globalThis.performance.now.bind(globalThis.performance);
const readWallClock = globalThis.Date.now;

/** Node turns longer delays into 1 ms; an alarm that far off is re-armed on the way. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;
/** Node's own. */
const SHORTEST_DELAY_MS = 1;

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
 * then nothing is touched, and the alarm finds that it is early. All alarms of the process share one of node's timers,
 * since a contact sets half a dozen of which none goes off, and each of node's takes microseconds to make and drop.
 */
export class Alarm implements DueEntry {
  /** The heap's. */
  dueAt: Instant = 0;
  place = -1;
  readonly #onFire: (now: Instant) => void;
  #deadline: Instant | undefined;
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
    else if (this.place < 0 || deadline < this.dueAt) this.#arm(deadline);
  }

  /** Whether a pending alarm keeps the process alive. Referenced at first. */
  ref(): void {
    if (!this.#referenced && this.place >= 0) hold(1);
    this.#referenced = true;
  }

  unref(): void {
    if (this.#referenced && this.place >= 0) hold(-1);
    this.#referenced = false;
  }

  /** For the timer alone: the time for which it was armed has come. */
  wake(now: Instant): void {
    const deadline = this.#deadline;
    this.#disarm();
    if (deadline === undefined) return;
    if (now < deadline) return this.#arm(deadline);
    this.#deadline = undefined;
    this.#onFire(now);
  }

  #arm(deadline: Instant): void {
    if (this.place < 0 && this.#referenced) hold(1);
    pending.hasten(this, Math.max(deadline, earliestNext));
    if (pending.first === this) armTimer(this.dueAt);
  }

  #disarm(): void {
    if (this.place < 0) return;
    pending.remove(this);
    if (this.#referenced) hold(-1);
  }
}

const pending: DueHeap<Alarm> = new DueHeap();
let timer: NodeJS.Timeout | undefined;
let timerFiresAt: Instant = 0;
/** Pending alarms that are referenced. */
let holders = 0;
/** What is set while due alarms are told comes after them: it would keep the event loop from turning. */
let earliestNext: Instant = 0;

function hold(change: 1 | -1): void {
  holders += change;
  if (holders === 0) timer?.unref();
  else if (holders === 1 && change === 1) timer?.ref();
}

/** So that it fires at `at` or before. One that fires too early finds nobody due. */
function armTimer(at: Instant): void {
  if (timer !== undefined && timerFiresAt <= at) return;
  if (timer !== undefined) clearTimer(timer);
  const now = readClock();
  const delayMs = Math.min(Math.max(Math.ceil(at - now), SHORTEST_DELAY_MS), LONGEST_DELAY_MS);
  timerFiresAt = now + delayMs;
  timer = setTimer(wakeDue, delayMs);
  if (holders === 0) timer.unref();
}

function wakeDue(): void {
  timer = undefined;
  const now = readClock();
  earliestNext = now + SHORTEST_DELAY_MS;
  try {
    for (let { first } = pending; first !== undefined && first.dueAt <= now; { first } = pending) first.wake(now);
  } finally {
    // Also where one of them threw.
    if (pending.first !== undefined) armTimer(pending.first.dueAt);
  }
}

/** Calls `act` once after a delay, without keeping the process alive for it; the result cancels. */
export function after(delayMs: number, act: () => void): () => void {
  const alarm = new Alarm(act);
  alarm.unref();
  alarm.set(readClock() + delayMs);
  return () => alarm.set(undefined);
}
