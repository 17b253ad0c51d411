/**
 * Port pairs: a session's name on both nodes, unique without any address (paper 5, section 3.3). The pair is
 * (initiator port, responder port); the table keeps those in use at one node.
 */
import { type Random, randomInteger } from '../core/random.ts';
import type { Instant } from '../core/time.ts';

export interface PortPair {
  readonly initiator: number;
  readonly responder: number;
}

/** One number for the pair, as it stands under the MAC and keys tables: initiator port in the upper half. */
export function portPairKey({ initiator, responder }: PortPair): number {
  return initiator * 0x10000 + responder;
}

export function portPairText({ initiator, responder }: PortPair): string {
  return `${initiator}-${responder}`;
}

/** Ports below are left to services, so that a session's port never looks like one. */
const FIRST_PORT = 1024;
const PORTS = 0x10000 - FIRST_PORT;
/** One in 64 values is none, and where half of the ports are taken the list still fills up. */
const DRAWS_PER_CANDIDATE = 4;

/** The pairs in use at one node: by sessions, and by L4_OFFERs whose session has not come yet. */
export class PortPairTable {
  readonly #taken = new Set<number>();
  /** Until when each reservation holds, in that order: all are made for the same time. */
  readonly #reserved = new Map<number, Instant>();

  isFree(now: Instant, pair: PortPair): boolean {
    const key = portPairKey(pair);
    return !this.#taken.has(key) && (this.#reserved.get(key) ?? now) <= now;
  }

  /** For a session, until freed. */
  take(pair: PortPair): void {
    const key = portPairKey(pair);
    this.#reserved.delete(key);
    this.#taken.add(key);
  }

  /** For a session that may come. Later calls bring later times. */
  reserve(pair: PortPair, until: Instant): void {
    const key = portPairKey(pair);
    this.#reserved.delete(key);
    this.#reserved.set(key, until);
  }

  free(pair: PortPair): void {
    const key = portPairKey(pair);
    this.#taken.delete(key);
    this.#reserved.delete(key);
  }

  /** Forgets reservations that have run out. */
  expire(now: Instant): void {
    for (const [key, until] of this.#reserved) {
      if (until > now) return;
      this.#reserved.delete(key);
    }
  }

  /** Up to `count` distinct random initiator ports free with `responder`; none only where all are taken. */
  candidates(now: Instant, random: Random, responder: number, count: number): number[] {
    const found: number[] = [];
    const isFree = (initiator: number): boolean =>
      !found.includes(initiator) && this.isFree(now, { initiator, responder });
    // All in one draw. Values below the first port are left out, and a few that are taken may be as well.
    const drawn = random.bytes(2 * DRAWS_PER_CANDIDATE * count);
    for (let at = 0; found.length < count && at < drawn.length; at += 2) {
      const port = ((drawn[at] as number) << 8) | (drawn[at + 1] as number);
      if (port >= FIRST_PORT && isFree(port)) found.push(port);
    }
    if (found.length > 0) return found;
    // Crowded: walk on from a random port, so that a free one is found where there is any.
    const start = randomInteger(random, PORTS);
    for (let i = 0; found.length === 0 && i < PORTS; i++) {
      const port = FIRST_PORT + ((start + i) % PORTS);
      if (isFree(port)) found.push(port);
    }
    return found;
  }
}
