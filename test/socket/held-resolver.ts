/** A resolver in the hands of a test: what it knows, and when it answers, is the test's to say. */
import { EventEmitter, once } from 'node:events';
import { type Resolution, type Resolver, UnresolvedError } from '../../src/aarp/resolution.ts';

export class HeldResolver implements Resolver {
  readonly known: Map<string, string> = new Map();
  readonly asked: string[] = [];
  readonly left: string[] = [];
  /** Of what is known and answered; what is known stays until the test takes it away. */
  ttlMs = 1_000;
  closed = false;
  readonly #waiting: { address: string; resolve: (r: Resolution) => void; reject: (e: Error) => void }[] = [];
  readonly #questions = new EventEmitter();

  resolve(address: string): Promise<Resolution> {
    this.asked.push(address);
    const known = this.cached(address);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ address, resolve, reject });
      this.#questions.emit('question');
    });
  }

  cached(address: string): Resolution | undefined {
    const unicast = this.known.get(address);
    return unicast === undefined ? undefined : this.#resolution(address, unicast);
  }

  failed(address: string, unicast: string): void {
    this.left.push(unicast);
    if (this.known.get(address) === unicast) this.known.delete(address);
  }

  flush(): void {
    this.known.clear();
  }

  close(): void {
    this.closed = true;
  }

  /** Answers everybody who waits, as soon as somebody does; `undefined`: nobody answers there. */
  async answer(unicast: string | undefined): Promise<void> {
    if (this.#waiting.length === 0) await once(this.#questions, 'question');
    for (const { address, resolve, reject } of this.#waiting.splice(0)) {
      if (unicast === undefined) reject(new UnresolvedError(address, 'silent'));
      else {
        this.known.set(address, unicast);
        resolve(this.#resolution(address, unicast));
      }
    }
  }

  #resolution(address: string, unicast: string): Resolution {
    const kind = address === unicast ? 'unicast' : 'anycast';
    return { address, kind, unicast, confirmed: true, ttlMs: this.ttlMs };
  }
}
