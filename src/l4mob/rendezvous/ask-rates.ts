/**
 * Ask rates: how many ASKs came in this second, in all and from whom. A new second forgets the one before, so that
 * memory is bounded by what one second brings.
 */
import type { Instant } from '../../core/time.ts';

/** Sources told apart in one second; who comes later shares one count. Cookies are demanded long before. */
const MAX_SOURCES = 16_384;
const OTHERS = 'others';

export class AskRates {
  readonly #perSource = new Map<string, number>();
  #second = Number.NaN;
  #all = 0;

  /** Counts one more of `source`; returns how many that makes. */
  count(now: Instant, source: string): number {
    this.#turn(now);
    const name = this.#perSource.has(source) || this.#perSource.size < MAX_SOURCES ? source : OTHERS;
    const count = (this.#perSource.get(name) ?? 0) + 1;
    this.#perSource.set(name, count);
    return count;
  }

  countAll(now: Instant): number {
    this.#turn(now);
    this.#all += 1;
    return this.#all;
  }

  #turn(now: Instant): void {
    const second = Math.floor(now / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#all = 0;
    this.#perSource.clear();
  }
}
