/**
 * Verdicts: which destinations were found not to speak the protocol, so that only the very first contact ever waits.
 * Bounded; the oldest goes first.
 */
import type { Instant } from '../../core/time.ts';
import { MAX_VERDICTS } from '../limits.ts';

/** A server may be upgraded: ask again after this. */
const PLAIN_MS = 10 * 60_000;

export class VerdictCache {
  readonly #plainUntil = new Map<string, Instant>();

  isPlain(now: Instant, destination: string): boolean {
    const until = this.#plainUntil.get(destination);
    if (until === undefined) return false;
    if (until > now) return true;
    this.#plainUntil.delete(destination);
    return false;
  }

  rememberPlain(now: Instant, destination: string): void {
    this.#plainUntil.delete(destination);
    this.#plainUntil.set(destination, now + PLAIN_MS);
    if (this.#plainUntil.size <= MAX_VERDICTS) return;
    for (const oldest of this.#plainUntil.keys()) {
      this.#plainUntil.delete(oldest);
      return;
    }
  }

  forget(destination: string): void {
    this.#plainUntil.delete(destination);
  }
}
