/**
 * Verdict store: what aarpd remembers for all processes of the host, and across restarts: whether a destination speaks
 * the protocol (mobile or plain), and whether an address is anycast, and by which member it was reached last.
 *
 * Bounded; what was said longest ago goes first. Times are wall time, since they outlive the process.
 */
import type { CastVerdict, MobilityVerdict, VerdictSubject } from './daemon-protocol.ts';

export type Verdict = VerdictSubject & {
  readonly verdict: MobilityVerdict | CastVerdict;
  /** The member that an anycast address was resolved to, where one is known. */
  readonly unicast?: string;
  /** Wall time, milliseconds since 1970. */
  readonly until: number;
};

/** About 200 bytes each, in memory and in the file: 3 MB. A busy host talks with some thousand destinations a week. */
export const DEFAULT_VERDICT_LIMIT = 16_384;

export class VerdictStore {
  readonly #limit: number;
  /** By kind and subject, the one said longest ago first. */
  readonly #verdicts = new Map<string, Verdict>();
  #changes = 0;

  constructor(limit: number = DEFAULT_VERDICT_LIMIT) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#verdicts.size;
  }

  /** Rises with every change: who has saved the store at this count has nothing to save. */
  get changes(): number {
    return this.#changes;
  }

  get(wallMs: number, of: VerdictSubject): Verdict | undefined {
    const verdict = this.#verdicts.get(keyOf(of));
    if (verdict === undefined || verdict.until > wallMs) return verdict;
    this.delete(of);
    return undefined;
  }

  /** In place of what was said about the same subject before. */
  put(verdict: Verdict): void {
    const key = keyOf(verdict);
    this.#verdicts.delete(key);
    this.#verdicts.set(key, verdict);
    this.#changes += 1;
    if (this.#verdicts.size <= this.#limit) return;
    for (const oldest of this.#verdicts.keys()) {
      this.#verdicts.delete(oldest);
      return;
    }
  }

  delete(of: VerdictSubject): void {
    if (this.#verdicts.delete(keyOf(of))) this.#changes += 1;
  }

  /** Forgets every verdict of that kind. */
  deleteAll(about: VerdictSubject['about']): void {
    for (const verdict of [...this.#verdicts.values()]) if (verdict.about === about) this.delete(verdict);
  }

  /** What holds now, the one said longest ago first. */
  current(wallMs: number): Verdict[] {
    return [...this.#verdicts.values()].filter(({ until }) => until > wallMs);
  }
}

function keyOf({ about, subject }: VerdictSubject): string {
  return `${about} ${subject}`;
}
