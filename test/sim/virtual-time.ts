/**
 * Virtual time: a clock that jumps from one appointment to the next, and the trace of what happened, by which two runs
 * of one seed are compared.
 */
import { createHash, type Hash } from 'node:crypto';

export interface Appointment {
  cancel(): void;
}

interface Entry {
  readonly at: number;
  readonly order: number;
  act: (() => void) | undefined;
}

export class VirtualTime {
  #now = 0;
  #order = 0;
  readonly #heap: Entry[] = [];
  readonly #trace: Hash = createHash('sha256');
  /** Set it to see what happens. */
  onTrace: ((line: string) => void) | undefined;

  get now(): number {
    return this.#now;
  }

  after(ms: number, act: () => void): Appointment {
    return this.at(this.#now + ms, act);
  }

  at(at: number, act: () => void): Appointment {
    const entry: Entry = { at: Math.max(at, this.#now), order: this.#order++, act };
    this.#push(entry);
    return {
      cancel: () => {
        entry.act = undefined;
      },
    };
  }

  /** Lets time pass until `until()` holds or no more happens before `limit`. Returns whether it holds. */
  run(until: () => boolean, limit: number): boolean {
    while (!until()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > limit) {
        this.#now = Math.max(this.#now, Math.min(limit, next?.at ?? limit));
        return until();
      }
      this.#pop();
      this.#now = next.at;
      next.act?.();
    }
    return true;
  }

  /** Lets `ms` pass. */
  pass(ms: number): void {
    this.run(() => false, this.#now + ms);
  }

  trace(line: string): void {
    this.#trace.update(`${this.#now} ${line}\n`);
    this.onTrace?.(`${this.#now.toFixed(1).padStart(10)} ${line}`);
  }

  digest(): string {
    return this.#trace.copy().digest('hex');
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
