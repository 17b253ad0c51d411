/**
 * Flow index: from a 64-bit flow id to what it names, for every datagram that comes. Open addressing with linear
 * probing over plain arrays (Knuth, The Art of Computer Programming 3, section 6.4): one or two places in memory per
 * look-up where a Map of boxed numbers has five, which is what counts among tens of thousands of flows. Slots are
 * chosen by multiplication with a random odd number, so that nobody can open flows which crowd together.
 */
import type { Random } from '../../core/random.ts';
import type { FlowId } from '../wire/datagram.ts';

const FIRST_BITS = 6;

export class FlowIndex<T> {
  readonly #multiplier: number;
  #bits: number = FIRST_BITS;
  #mask: number = 2 ** FIRST_BITS - 1;
  /** High and low half of the id in each slot, side by side. */
  #ids: Uint32Array = new Uint32Array(2 << FIRST_BITS);
  #values: (T | undefined)[] = emptySlots(FIRST_BITS);
  #size = 0;

  constructor(random: Random) {
    const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
    this.#multiplier = (a << 24) | (b << 16) | (c << 8) | d | 1;
  }

  get size(): number {
    return this.#size;
  }

  *values(): IterableIterator<T> {
    for (const value of [...this.#values]) if (value !== undefined) yield value;
  }

  get(high: number, low: number): T | undefined {
    return this.#values[this.#slotOf(high, low)];
  }

  /** Returns false, and changes nothing, where the id is taken. */
  add({ high, low }: FlowId, value: T): boolean {
    if (this.get(high, low) !== undefined) return false;
    if (2 * (this.#size + 1) > this.#mask) this.#grow();
    this.#put(high, low, value);
    this.#size += 1;
    return true;
  }

  delete({ high, low }: FlowId): void {
    let hole = this.#slotOf(high, low);
    if (this.#values[hole] === undefined) return;
    this.#size -= 1;
    // Whoever was pushed behind the hole moves up, so that no mark of the deleted has to stay.
    for (let at = (hole + 1) & this.#mask; this.#values[at] !== undefined; at = (at + 1) & this.#mask) {
      const home = this.#home(this.#ids[2 * at + 1] as number);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#ids.copyWithin(2 * hole, 2 * at, 2 * at + 2);
      this.#values[hole] = this.#values[at];
      hole = at;
    }
    this.#values[hole] = undefined;
  }

  #home(low: number): number {
    return Math.imul(low, this.#multiplier) >>> (32 - this.#bits);
  }

  /** The slot that holds the id, or the empty one where it would be. */
  #slotOf(high: number, low: number): number {
    const ids = this.#ids;
    let at = this.#home(low);
    while (this.#values[at] !== undefined && (ids[2 * at] !== high || ids[2 * at + 1] !== low)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  #put(high: number, low: number, value: T): void {
    const at = this.#slotOf(high, low);
    this.#ids[2 * at] = high;
    this.#ids[2 * at + 1] = low;
    this.#values[at] = value;
  }

  /** At most half full, so that runs stay short. */
  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#bits += 1;
    this.#mask = 2 ** this.#bits - 1;
    this.#ids = new Uint32Array(2 << this.#bits);
    this.#values = emptySlots(this.#bits);
    for (const [i, value] of values.entries()) {
      if (value !== undefined) this.#put(ids[2 * i] as number, ids[2 * i + 1] as number, value);
    }
  }
}

function emptySlots<T>(bits: number): (T | undefined)[] {
  return new Array<T | undefined>(2 ** bits).fill(undefined);
}
