/**
 * Shared alarm: one alarm for thousands of owners, a few of them in each turn of the event loop. What is already set to
 * go off earlier than needed stays as it is: deadlines of flows move with every datagram, nearly always to later, and a
 * call that comes too soon does nothing.
 */
import { type DueEntry, DueHeap } from '../../core/due-heap.ts';
import type { Instant } from '../../core/time.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';

/** What the alarm calls. */
export interface AlarmOwner extends DueEntry {
  /** May come too soon. Not waiting any more when it is called. */
  handleAlarm(now: Instant): void;
}

/**
 * Owners called in one turn of the event loop, which takes in 32 datagrams: each may ask with two packets, and gets as
 * many answers and a question. More would ask again faster than answers are read, until the socket's buffer overflows.
 */
const MAX_PER_TURN = 8;

export class SharedAlarm {
  readonly #owners: DueHeap<AlarmOwner> = new DueHeap();
  readonly #alarm: Alarm;

  constructor() {
    this.#alarm = new Alarm((now) => this.#run(now));
    this.#alarm.unref();
  }

  get size(): number {
    return this.#owners.size;
  }

  /** Calls the owner no later than `at`. Never takes back an earlier call that was asked for; `undefined` asks none. */
  expect(owner: AlarmOwner, at: Instant | undefined): void {
    if (at === undefined) return;
    if (owner.place >= 0 && at >= owner.dueAt) return;
    this.#owners.hasten(owner, at);
    if (this.#owners.first === owner) this.#alarm.set(at);
  }

  forget(owner: AlarmOwner): void {
    this.#owners.remove(owner);
  }

  close(): void {
    this.#owners.clear();
    this.#alarm.set(undefined);
  }

  #run(now: Instant): void {
    for (let called = 0; called < MAX_PER_TURN; called++) {
      const { first } = this.#owners;
      if (first === undefined || first.dueAt > now) break;
      this.forget(first);
      first.handleAlarm(now);
    }
    const next = this.#owners.first;
    this.#alarm.set(next === undefined ? undefined : Math.max(next.dueAt, monotonicNow()));
  }
}
