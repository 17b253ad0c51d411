/** A resolver of which those who watch hear: one event for each address that somebody was asked about. */
import { type Resolution, type Resolver, UnresolvedError, type UnresolvedReason } from '../aarp/resolution.ts';
import { monotonicNow } from '../host/clock.ts';

/** An address was resolved, or could not be (`error`); not for answers from this process's memory. */
export type ResolveEvent = { readonly address: string; readonly ms: number } & (
  | Omit<Resolution, 'address'>
  | { readonly error: UnresolvedReason }
);

export class ReportedResolver implements Resolver {
  readonly #resolver: Resolver;
  readonly #report: (event: ResolveEvent) => void;
  /** Asked about now; the resolver limits how many. */
  readonly #asked = new Set<string>();

  constructor(resolver: Resolver, report: (event: ResolveEvent) => void) {
    this.#resolver = resolver;
    this.#report = report;
  }

  async resolve(address: string): Promise<Resolution> {
    if (this.#asked.has(address) || this.cached(address) !== undefined) return await this.#resolver.resolve(address);
    this.#asked.add(address);
    const startedAt = monotonicNow();
    try {
      const resolution = await this.#resolver.resolve(address);
      this.#report({ ...resolution, ms: monotonicNow() - startedAt });
      return resolution;
    } catch (error) {
      if (error instanceof UnresolvedError) {
        this.#report({ address, error: error.reason, ms: monotonicNow() - startedAt });
      }
      throw error;
    } finally {
      this.#asked.delete(address);
    }
  }

  cached(address: string): Resolution | undefined {
    return this.#resolver.cached(address);
  }

  failed(address: string, unicast: string): void {
    this.#resolver.failed(address, unicast);
  }

  flush(address?: string): void {
    this.#resolver.flush(address);
  }

  close(): void {
    this.#resolver.close();
  }
}
