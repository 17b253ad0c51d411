/**
 * Callers: the peers that came to a socket of this process, plain, before it sent them anything. What another socket
 * sends to one of them is an answer too: TFTP (RFC 1350) answers each request from a port of its own.
 */
import type { TransportAddress } from '../../core/address.ts';
import { AddressMap } from '../../core/address-map.ts';

/** As many as the exchanges of all sockets, which each of them limits. */
export class Callers {
  /** To how many sockets. */
  readonly #calls = new AddressMap<number>();

  add(caller: TransportAddress): void {
    this.#calls.set(caller, (this.#calls.get(caller) ?? 0) + 1);
  }

  /** One that was added. */
  delete(caller: TransportAddress): void {
    const calls = this.#calls.get(caller) ?? 0;
    if (calls > 1) this.#calls.set(caller, calls - 1);
    else this.#calls.delete(caller);
  }

  has(address: TransportAddress): boolean {
    return this.#calls.get(address) !== undefined;
  }
}
