/** A resolver whose answers are a table, and come when the test lets them. What it has answered it remembers. */
import type { RememberingResolver } from '../../../src/aarp/io/daemon/daemon-requests.ts';
import { type Resolution, UnresolvedError } from '../../../src/aarp/resolution.ts';

export class TableResolver implements RememberingResolver {
  readonly asked: string[] = [];
  readonly said: string[] = [];
  closed = false;
  /** While set, questions wait. */
  held = false;
  readonly #members: ReadonlyMap<string, string>;
  readonly #known = new Map<string, Resolution>();
  #waiting: (() => void)[] = [];

  constructor(members: Readonly<Record<string, string>>) {
    this.#members = new Map(Object.entries(members));
  }

  async resolve(address: string): Promise<Resolution> {
    this.asked.push(address);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const unicast = this.#members.get(address);
    if (unicast === undefined) throw new UnresolvedError(address, 'silent');
    this.remember({
      address,
      unicast,
      kind: unicast === address ? 'unicast' : 'anycast',
      confirmed: true,
      ttlMs: 60_000,
    });
    return this.cached(address) as Resolution;
  }

  release(): void {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  cached(address: string): Resolution | undefined {
    return this.#known.get(address);
  }

  remember(resolution: Resolution): void {
    this.#known.set(resolution.address, resolution);
  }

  list(): Resolution[] {
    return [...this.#known.values()];
  }

  failed(address: string, unicast: string): void {
    this.said.push(`failed ${address} ${unicast}`);
    if (this.#known.get(address)?.unicast === unicast) this.#known.delete(address);
  }

  flush(address?: string): void {
    this.said.push(`flush ${address ?? 'all'}`);
    if (address === undefined) this.#known.clear();
    else this.#known.delete(address);
  }

  close(): void {
    this.closed = true;
    this.release();
  }
}
