/**
 * Verdict store: what aarpd remembers of destinations for all processes of the host, and across restarts: whether they
 * speak the protocol (mobile) or not (plain). What addresses are resolved to is the resolver's own memory.
 *
 * Bounded; what was said longest ago goes first. Times are wall time, since they outlive the process.
 */
import type { MobilityVerdict } from './daemon-protocol.ts';

export interface DestinationVerdict {
  /** `192.0.2.1:443`, in canonical form. */
  readonly destination: string;
  readonly verdict: MobilityVerdict;
  /** Wall time, milliseconds since 1970. */
  readonly until: number;
}

/** About 200 bytes each, in memory and in the file: 3 MB. A busy host talks with some thousand destinations a week. */
export const DEFAULT_VERDICT_LIMIT = 16_384;

export class VerdictStore {
  readonly #limit: number;
  /** By destination, the one said longest ago first. */
  readonly #verdicts = new Map<string, DestinationVerdict>();

  constructor(limit: number = DEFAULT_VERDICT_LIMIT) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#verdicts.size;
  }

  get(wallMs: number, destination: string): DestinationVerdict | undefined {
    const verdict = this.#verdicts.get(destination);
    if (verdict === undefined || verdict.until > wallMs) return verdict;
    this.#verdicts.delete(destination);
    return undefined;
  }

  /** In place of what was said about the same destination before. */
  put(verdict: DestinationVerdict): void {
    this.#verdicts.delete(verdict.destination);
    this.#verdicts.set(verdict.destination, verdict);
    if (this.#verdicts.size <= this.#limit) return;
    for (const oldest of this.#verdicts.keys()) {
      this.#verdicts.delete(oldest);
      return;
    }
  }

  /** What holds now, the one said longest ago first. */
  current(wallMs: number): DestinationVerdict[] {
    return [...this.#verdicts.values()].filter(({ until }) => until > wallMs);
  }
}
