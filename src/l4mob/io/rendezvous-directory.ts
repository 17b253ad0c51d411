/**
 * Rendezvous directory: the rendezvous services that this process is told of, where they are, and the searches for lost
 * peers that are under way there. Names are looked up with the first session, while there is a network to do it over;
 * after a move that would take time, or fail.
 */
import type { TransportAddress } from '../../core/address.ts';
import { familyOf } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { monotonicNow } from '../../host/clock.ts';
import { lookupAddresses } from '../../host/name-lookup.ts';
import type { RendezvousClient } from '../rendezvous/rendezvous-client.ts';
import { RENDEZVOUS_ID_BYTES } from '../wire/rendezvous.ts';
import { SIGNAL_HEADER_BYTES } from '../wire/signal-header.ts';

export interface RendezvousPlace {
  /** Name or literal address. */
  readonly host: string;
  readonly port: number;
}

/** A search that waits for answers. */
export interface RendezvousSearch {
  /** Returns whether it was an answer to it. */
  handleAnswer(bytes: Uint8Array, from: TransportAddress): boolean;
}

type ClientModule = typeof import('../rendezvous/rendezvous-client.ts');

/** Addresses older than this are looked up again when they are used. */
const FRESH_MS = 60_000;
/** Searches at a time: what services take from one source. The others wait their turn. */
export const MAX_SEARCHES = 256;

export class RendezvousDirectory {
  readonly #places: readonly RendezvousPlace[];
  readonly #warn: (message: string) => void;
  readonly #addresses = new Map<RendezvousPlace, readonly string[]>();
  readonly #searches = new Map<string, RendezvousSearch>();
  #module: ClientModule | undefined;
  #lookedUpAt: number | undefined;

  constructor(places: readonly RendezvousPlace[], warn: (message: string) => void) {
    this.#places = places;
    this.#warn = warn;
  }

  /** Idempotent. Loads what a search takes, which programs without this setting need not wait for, and finds names. */
  prepare(): void {
    if (this.#lookedUpAt !== undefined) return;
    this.refresh(() => {});
    void import('../rendezvous/rendezvous-client.ts').then((module) => {
      this.#module = module;
    });
  }

  /** A client for one association; undefined in the moment after `prepare`. */
  newClient(init: ConstructorParameters<typeof RendezvousClient>[0]): RendezvousClient | undefined {
    return this.#module === undefined ? undefined : new this.#module.RendezvousClient(init);
  }

  /** Where the services are, as far as known: one address of each family for each. */
  addresses(): TransportAddress[] {
    return this.#places.flatMap((place) => {
      const known = this.#addresses.get(place) ?? [];
      const chosen = [known.find((ip) => familyOf(ip) === 4), known.find((ip) => familyOf(ip) === 6)];
      return chosen.filter((ip) => ip !== undefined).map((ip) => ({ ip, port: place.port }));
    });
  }

  /** Looks names up again where that was long ago; `onChange` when a service is somewhere else, or was not known. */
  refresh(onChange: () => void): void {
    const now = monotonicNow();
    if (this.#lookedUpAt !== undefined && now - this.#lookedUpAt < FRESH_MS && this.#addresses.size > 0) return;
    this.#lookedUpAt = now;
    for (const place of this.#places) {
      lookupAddresses(place.host, (addresses, error) => {
        if (error !== undefined) return this.#warn(`rendezvous ${place.host}: ${error.message}`);
        const before = this.#addresses.get(place) ?? [];
        this.#addresses.set(place, addresses);
        if (addresses.join() !== before.join()) onChange();
      });
    }
  }

  /** Also for one that has entered. */
  hasRoomFor(id: Uint8Array): boolean {
    return this.#searches.size < MAX_SEARCHES || this.#searches.has(toHex(id));
  }

  enter(id: Uint8Array, search: RendezvousSearch): void {
    this.#searches.set(toHex(id), search);
  }

  leave(id: Uint8Array): void {
    this.#searches.delete(toHex(id));
  }

  /** Returns whether it was an answer to any search. */
  handleAnswer(bytes: Uint8Array, from: TransportAddress): boolean {
    const id = bytes.subarray(SIGNAL_HEADER_BYTES, SIGNAL_HEADER_BYTES + RENDEZVOUS_ID_BYTES);
    return this.#searches.get(toHex(id))?.handleAnswer(bytes, from) === true;
  }
}
