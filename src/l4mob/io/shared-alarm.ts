/**
 * Shared alarm: one timer for thousands of owners, in a binary heap by time. What is already set to go off earlier than
 * needed stays as it is: deadlines of flows move with every datagram, nearly always to later, and a call that comes too
 * soon does nothing.
 */
import type { Instant } from '../../core/time.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';

/** What the alarm calls. The two fields are the alarm's: not waiting is `alarmPlace` -1. */
export interface AlarmOwner {
  alarmAt: Instant;
  alarmPlace: number;
  /** May come too soon. Not waiting any more when it is called. */
  handleAlarm(now: Instant): void;
}

/**
 * Owners called in one turn of the event loop, which takes in 32 datagrams: each may ask with two packets, and gets as
 * many answers and a question. More would ask again faster than answers are read, until the socket's buffer overflows.
 */
const MAX_PER_TURN = 8;

export class SharedAlarm {
  readonly #heap: AlarmOwner[] = [];
  readonly #alarm: Alarm;

  constructor() {
    this.#alarm = new Alarm((now) => this.#run(now));
    this.#alarm.unref();
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Calls the owner no later than `at`. Never takes back an earlier call that was asked for; `undefined` asks none. */
  expect(owner: AlarmOwner, at: Instant | undefined): void {
    if (at === undefined) return;
    if (owner.alarmPlace < 0) {
      owner.alarmAt = at;
      owner.alarmPlace = this.#heap.length;
      this.#heap.push(owner);
    } else if (at < owner.alarmAt) owner.alarmAt = at;
    else return;
    this.#rise(owner);
    if (owner.alarmPlace === 0) this.#alarm.set(at);
  }

  forget(owner: AlarmOwner): void {
    const place = owner.alarmPlace;
    if (place < 0) return;
    owner.alarmPlace = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === owner) return;
    last.alarmPlace = place;
    this.#heap[place] = last;
    this.#rise(last);
    this.#sink(last);
  }

  close(): void {
    for (const owner of this.#heap) owner.alarmPlace = -1;
    this.#heap.length = 0;
    this.#alarm.set(undefined);
  }

  #run(now: Instant): void {
    for (let called = 0; called < MAX_PER_TURN; called++) {
      const [first] = this.#heap;
      if (first === undefined || first.alarmAt > now) break;
      this.forget(first);
      first.handleAlarm(now);
    }
    const [next] = this.#heap;
    this.#alarm.set(next === undefined ? undefined : Math.max(next.alarmAt, monotonicNow()));
  }

  #rise(owner: AlarmOwner): void {
    const heap = this.#heap;
    let place = owner.alarmPlace;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = heap[above] as AlarmOwner;
      if (parent.alarmAt <= owner.alarmAt) break;
      heap[place] = parent;
      parent.alarmPlace = place;
      place = above;
    }
    heap[place] = owner;
    owner.alarmPlace = place;
  }

  #sink(owner: AlarmOwner): void {
    const heap = this.#heap;
    let place = owner.alarmPlace;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && right.alarmAt < (heap[below] as AlarmOwner).alarmAt) below += 1;
      const child = heap[below] as AlarmOwner;
      if (child.alarmAt >= owner.alarmAt) break;
      heap[place] = child;
      child.alarmPlace = place;
      place = below;
    }
    heap[place] = owner;
    owner.alarmPlace = place;
  }
}
