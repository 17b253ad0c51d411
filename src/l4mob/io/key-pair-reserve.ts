/**
 * Key pair reserve: groups whose next key pair is made beforehand, so that a handshake doesn't wait for it. Each key
 * pair still serves one handshake. When to make it is for those to say who know that nobody waits: beside a first
 * contact, between its datagrams, it would take as long as all the rest of that contact.
 */
import { osRandom } from '../../host/random.ts';
import type { Group, KeyPair } from '../key-agreement.ts';

export class KeyPairReserve {
  /** As those given, but for where their key pairs come from. */
  readonly groups: readonly Group[];
  /** One for each group at most. */
  readonly #spares = new Map<Group, KeyPair>();
  /** Of which one was taken: most groups are never used. */
  readonly #taken = new Set<Group>();
  #refilling = false;

  constructor(groups: readonly Group[]) {
    this.groups = groups.map((group) => ({
      ...group,
      generate: (random) => {
        const keyPair = this.#spares.get(group) ?? group.generate(random);
        this.#spares.delete(group);
        this.#taken.add(group);
        return keyPair;
      },
    }));
  }

  /** When what goes on in this turn of the event loop is done. */
  refillSoon(): void {
    if (this.#refilling || this.#taken.size === 0) return;
    this.#refilling = true;
    setImmediate(() => {
      this.#refilling = false;
      for (const group of this.#taken) this.#spares.set(group, group.generate(osRandom));
      this.#taken.clear();
    }).unref();
  }
}
