/**
 * Move announcements: in which order and how fast the flows of a process say that it is somewhere else. A server has
 * thousands, on one socket: were all to ask at once, their peers' answers would overflow its buffer, and all would ask
 * again. So only some may wait for their answers at a time, and each answer makes room for one more.
 */
import type { Instant } from '../../core/time.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';

/**
 * Flows that wait for their answers. What comes back for each is an ANSWER or two and the CHALLENGE of a new path: all
 * of it fits the default buffer of a socket (212 992 bytes, some 270 small packets).
 */
export const MAX_AWAITED = 64;
/**
 * Then a flow asks again by itself, and holds up the others no more: its peer may be gone, or far. So where no answer
 * comes any sooner, 1600 flows ask in a second.
 */
export const PATIENCE_MS = 40;

export class MoveAnnouncements<Flow> {
  readonly #announce: (flow: Flow, now: Instant) => boolean;
  /** Until when each is waited for, the first to run out first. */
  readonly #awaited = new Map<Flow, Instant>();
  readonly #alarm: Alarm = new Alarm((now) => this.#run(now));
  #waiting: Iterator<Flow> | undefined;
  #scheduled = false;

  /** `announce` returns whether the flow has asked, so that an answer is to come. */
  constructor(announce: (flow: Flow, now: Instant) => boolean) {
    this.#announce = announce;
    this.#alarm.unref();
  }

  /** There is news for all of these; those still waiting from before are forgotten. */
  begin(flows: Iterator<Flow>): void {
    this.#waiting = flows;
    this.#schedule();
  }

  /** A flow has its answer. */
  answered(flow: Flow): void {
    if (this.#awaited.delete(flow)) this.#schedule();
  }

  close(): void {
    this.#waiting = undefined;
    this.#awaited.clear();
    this.#alarm.set(undefined);
  }

  /** Behind the datagrams that have come meanwhile. */
  #schedule(): void {
    if (this.#scheduled || this.#waiting === undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#run(monotonicNow());
    });
  }

  #run(now: Instant): void {
    for (const [flow, until] of this.#awaited) {
      if (until > now) break;
      this.#awaited.delete(flow);
    }
    while (this.#waiting !== undefined && this.#awaited.size < MAX_AWAITED) {
      const next = this.#waiting.next();
      if (next.done === true) return this.close();
      // Asked anew by later news, it counts from now, behind the others.
      this.#awaited.delete(next.value);
      if (this.#announce(next.value, now)) this.#awaited.set(next.value, now + PATIENCE_MS);
    }
    const [first] = this.#awaited.values();
    this.#alarm.set(this.#waiting === undefined ? undefined : first);
  }
}
