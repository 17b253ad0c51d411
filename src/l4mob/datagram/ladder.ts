/**
 * Ladder: when to say something again that may have been lost. The first time is at once; behind the last wait it is
 * over, or that wait repeats.
 */
import type { Instant } from '../../core/time.ts';

export interface LadderSteps {
  /** Milliseconds between one time and the next. */
  readonly waitsMs: readonly number[];
  readonly endless: boolean;
}

export class Ladder {
  readonly #steps: LadderSteps;
  #taken = 0;
  #at: Instant | undefined;

  constructor(steps: LadderSteps, at: Instant) {
    this.#steps = steps;
    this.#at = at;
  }

  /** How often it was taken. */
  get taken(): number {
    return this.#taken;
  }

  /** When it is due next; undefined when it is over. */
  get at(): Instant | undefined {
    return this.#at;
  }

  /** There is news: the first step again, at once. */
  restart(now: Instant): void {
    this.#taken = 0;
    this.#at = now;
  }

  takeDue(now: Instant): boolean {
    if (this.#at === undefined || now < this.#at) return false;
    const { waitsMs, endless } = this.#steps;
    const wait = waitsMs[this.#taken] ?? (endless ? waitsMs[waitsMs.length - 1] : undefined);
    this.#taken += 1;
    this.#at = wait === undefined ? undefined : now + wait;
    return true;
  }
}
