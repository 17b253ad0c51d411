/**
 * Deadlines: the named timers of one protocol core. Setting one is a store, looking is a scan over a handful.
 */
import type { Instant } from './time.ts';

export class Deadlines<Name extends string> {
  readonly #names: readonly Name[];
  readonly #at: (Instant | undefined)[];

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.#at = names.map(() => undefined);
  }

  get(name: Name): Instant | undefined {
    return this.#at[this.#names.indexOf(name)];
  }

  set(name: Name, at: Instant): void {
    this.#at[this.#names.indexOf(name)] = at;
  }

  clear(name: Name): void {
    this.#at[this.#names.indexOf(name)] = undefined;
  }

  clearAll(): void {
    this.#at.fill(undefined);
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    let next: Instant | undefined;
    for (const at of this.#at) if (at !== undefined && (next === undefined || at < next)) next = at;
    return next;
  }

  /** Takes the earliest deadline that has come, so that a loop sees them in order. */
  takeDue(now: Instant): Name | undefined {
    let due = -1;
    for (let i = 0; i < this.#at.length; i++) {
      const at = this.#at[i];
      if (at !== undefined && at <= now && (due < 0 || at < (this.#at[due] as Instant))) due = i;
    }
    if (due < 0) return undefined;
    this.#at[due] = undefined;
    return this.#names[due];
  }
}
