/**
 * Which OPEN numbers of an association were used: each opens one session, ever. OPENs travel on parallel subflows, so
 * a window behind the highest is kept, as IPsec does for packets (RFC 4303, section 3.4.3).
 */
import { OPEN_NUMBER_WINDOW } from './limits.ts';

export class OpenNumberWindow {
  #highest = 0;
  readonly #seen = new Set<number>();

  /** Whether `number` is fresh, and marks it used. Numbers start at 1. */
  use(number: number): boolean {
    if (number < 1 || number <= this.#highest - OPEN_NUMBER_WINDOW || this.#seen.has(number)) return false;
    this.#seen.add(number);
    if (number > this.#highest) {
      if (number - this.#highest >= OPEN_NUMBER_WINDOW) this.#seen.clear();
      const floor = this.#highest - OPEN_NUMBER_WINDOW;
      for (let old = floor + 1; this.#seen.size > 0 && old <= number - OPEN_NUMBER_WINDOW; old++)
        this.#seen.delete(old);
      this.#seen.add(number);
      this.#highest = number;
    }
    return true;
  }
}
