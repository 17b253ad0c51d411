/**
 * Verdicts: which destinations were found to speak the protocol or not, so that only the very first contact ever
 * waits. Bounded; the oldest goes first.
 */
import type { Instant } from '../../core/time.ts';
import type { Verdict } from './mobile-stream.ts';

/** A server may be upgraded, or downgraded: ask again after this. */
const GOOD_FOR_MS = 10 * 60_000;

interface Entry {
  readonly verdict: Verdict;
  readonly until: Instant;
}

export class VerdictCache {
  readonly #entries = new Map<string, Entry>();
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get(now: Instant, destination: string): Verdict {
    const entry = this.#entries.get(destination);
    if (entry === undefined) return 'unknown';
    if (entry.until > now) return entry.verdict;
    this.#entries.delete(destination);
    return 'unknown';
  }

  remember(now: Instant, destination: string, verdict: 'plain' | 'aware', ttlMs: number = GOOD_FOR_MS): void {
    this.#entries.delete(destination);
    this.#entries.set(destination, { verdict, until: now + Math.min(ttlMs, GOOD_FOR_MS) });
    if (this.#entries.size <= this.#most) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }

  forget(destination: string): void {
    this.#entries.delete(destination);
  }
}
