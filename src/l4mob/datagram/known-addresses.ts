/**
 * Known addresses: where a flow's peer may be beside the present path, from its own word and from others'.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Whereabouts } from '../wire/update.ts';

/** As many as a peer may tell of itself. */
const MAX_LEARNED = 8;

export class KnownAddresses {
  #stateSequence = 0;
  #told: readonly TransportAddress[] = [];
  #learned: readonly TransportAddress[] = [];

  get all(): TransportAddress[] {
    return [...this.#told, ...this.#learned];
  }

  /** The peer's own list, which replaces the one before; an older one that was overtaken changes nothing. */
  tell({ stateSequence, sessionPort, addresses }: Whereabouts): void {
    if (stateSequence <= this.#stateSequence) return;
    this.#stateSequence = stateSequence;
    this.#told = sessionPort === 0 ? [] : addresses.map((ip) => ({ ip, port: sessionPort }));
  }

  /** Whether the peer itself or the owner says that the peer may be there: more than any source address does. */
  has({ ip, port }: TransportAddress): boolean {
    return this.all.some((address) => address.ip === ip && address.port === port);
  }

  /** From a name server or a rendezvous; they replace those before. */
  learn(addresses: readonly TransportAddress[]): void {
    this.#learned = addresses.slice(0, MAX_LEARNED).map(({ ip, port }) => ({ ip, port }));
  }
}
