/** A resolver whose answers are a table, and come when the test lets them. */
import { type Resolution, type Resolver, UnresolvedError } from '../../src/aarp/resolution.ts';

export class TableResolver implements Resolver {
  readonly asked: string[] = [];
  readonly said: string[] = [];
  closed = false;
  /** While set, questions wait. */
  held = false;
  readonly #members: ReadonlyMap<string, string>;
  #waiting: (() => void)[] = [];

  constructor(members: Readonly<Record<string, string>>) {
    this.#members = new Map(Object.entries(members));
  }

  async resolve(address: string): Promise<Resolution> {
    this.asked.push(address);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const unicast = this.#members.get(address);
    if (unicast === undefined) throw new UnresolvedError(address, 'silent');
    return { address, unicast, kind: unicast === address ? 'unicast' : 'anycast', confirmed: true, ttlMs: 60_000 };
  }

  release(): void {
    this.held = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  cached(): undefined {
    return undefined;
  }

  failed(address: string, unicast: string): void {
    this.said.push(`failed ${address} ${unicast}`);
  }

  flush(address = 'all'): void {
    this.said.push(`flush ${address}`);
  }

  close(): void {
    this.closed = true;
    this.release();
  }
}
