/**
 * Waiting room: who asked a rendezvous service for word that had not come yet, and where to pass it on. One place for
 * each source address and search; the next ASK of that search takes it again.
 */
import { formatTransportAddress, type TransportAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import type { Instant } from '../../core/time.ts';

/** Longer than the longest pause between two ASKs (10 s), one of them lost. */
export const WAIT_MS = 25_000;
/** Only one has any business with a tag; a few more, so that nobody who saw the tag can take its place. */
const MAX_PER_TAG = 4;

export interface Waiter {
  readonly id: Uint8Array;
  readonly to: TransportAddress;
  /** Who is charged for it. */
  readonly holder: string;
  readonly tags: readonly string[];
  readonly afterVersion: number;
}

interface Place extends Waiter {
  readonly name: string;
  readonly until: Instant;
}

export interface WaitingRoomLimits {
  readonly waiters: number;
  readonly perSource: number;
}

export class WaitingRoom {
  readonly #limits: WaitingRoomLimits;
  /** In the order in which they came, so that the one whose time is over first stands first. */
  readonly #places = new Map<string, Place>();
  readonly #byTag = new Map<string, Set<Place>>();
  readonly #perHolder = new Map<string, number>();

  constructor(limits: WaitingRoomLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#places.size;
  }

  enter(now: Instant, waiter: Waiter): void {
    const name = nameOf(waiter.to, waiter.id);
    this.#remove(this.#places.get(name));
    if (waiter.tags.length === 0 || this.#heldBy(waiter.holder) >= this.#limits.perSource) return;
    if (this.#places.size >= this.#limits.waiters) this.#removeFirst(this.#places.values());
    const place: Place = { ...waiter, name, until: now + WAIT_MS };
    this.#places.set(name, place);
    this.#perHolder.set(waiter.holder, this.#heldBy(waiter.holder) + 1);
    for (const tag of waiter.tags) this.#join(tag, place);
  }

  leave(to: TransportAddress, id: Uint8Array): void {
    this.#remove(this.#places.get(nameOf(to, id)));
  }

  /** Those to whom this version of the tag's entry is news; they wait no longer. */
  takeFor(now: Instant, tag: string, version: number): Waiter[] {
    const taken = [...(this.#byTag.get(tag) ?? [])].filter(
      ({ until, afterVersion }) => until > now && version > afterVersion,
    );
    for (const place of taken) this.#remove(place);
    return taken;
  }

  expire(now: Instant): void {
    for (const place of this.#places.values()) {
      if (place.until > now) return;
      this.#remove(place);
    }
  }

  #join(tag: string, place: Place): void {
    const places = this.#byTag.get(tag) ?? new Set();
    this.#byTag.set(tag, places.add(place));
    if (places.size > MAX_PER_TAG) this.#removeFirst(places.values());
  }

  #removeFirst(places: Iterable<Place>): void {
    for (const first of places) return this.#remove(first);
  }

  #remove(place: Place | undefined): void {
    if (place === undefined || !this.#places.delete(place.name)) return;
    for (const tag of place.tags) {
      const places = this.#byTag.get(tag);
      places?.delete(place);
      if (places?.size === 0) this.#byTag.delete(tag);
    }
    const held = this.#heldBy(place.holder) - 1;
    if (held > 0) this.#perHolder.set(place.holder, held);
    else this.#perHolder.delete(place.holder);
  }

  #heldBy(holder: string): number {
    return this.#perHolder.get(holder) ?? 0;
  }
}

function nameOf(to: TransportAddress, id: Uint8Array): string {
  return `${formatTransportAddress(to)} ${toHex(id)}`;
}
