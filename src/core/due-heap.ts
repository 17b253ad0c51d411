/**
 * Entries by the time at which they are due, the earliest first: a binary heap whose entries know their place, so that
 * taking one out takes no search.
 */
import type { Instant } from './time.ts';

/** The two fields are the heap's: not in it is `place` -1. An entry is in one heap at a time. */
export interface DueEntry {
  dueAt: Instant;
  place: number;
}

export class DueHeap<Entry extends DueEntry> {
  readonly #entries: Entry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get first(): Entry | undefined {
    return this.#entries[0];
  }

  /** Puts the entry in, or moves the one that is in it to an earlier time. */
  hasten(entry: Entry, dueAt: Instant): void {
    entry.dueAt = dueAt;
    if (entry.place < 0) {
      entry.place = this.#entries.length;
      this.#entries.push(entry);
    }
    this.#rise(entry);
  }

  remove(entry: Entry): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = this.#entries.pop();
    if (last === undefined || last === entry) return;
    last.place = place;
    this.#entries[place] = last;
    this.#rise(last);
    this.#sink(last);
  }

  clear(): void {
    for (const entry of this.#entries) entry.place = -1;
    this.#entries.length = 0;
  }

  #rise(entry: Entry): void {
    const entries = this.#entries;
    let { place } = entry;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = entries[above] as Entry;
      if (parent.dueAt <= entry.dueAt) break;
      entries[place] = parent;
      parent.place = place;
      place = above;
    }
    entries[place] = entry;
    entry.place = place;
  }

  #sink(entry: Entry): void {
    const entries = this.#entries;
    let { place } = entry;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= entries.length) break;
      const right = entries[below + 1];
      if (right !== undefined && right.dueAt < (entries[below] as Entry).dueAt) below += 1;
      const child = entries[below] as Entry;
      if (child.dueAt >= entry.dueAt) break;
      entries[place] = child;
      child.place = place;
      place = below;
    }
    entries[place] = entry;
    entry.place = place;
  }
}
