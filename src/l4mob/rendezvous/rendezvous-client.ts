/**
 * Rendezvous client: one side of an association that has lost the other, at all rendezvous services that both know.
 * It leaves its own whereabouts there and asks for the peer's, in one packet. Sans-IO.
 *
 * Life-cycle: idle; `start` when the peer is not heard at any known address, again when our own whereabouts change;
 * `stop` when it was heard. In between it asks each service on a ladder, first against loss, then to be remembered as
 * waiting: the service passes the peer's word on the moment it comes. Word of the peer is an event, at most one for
 * each version. It verifies who left the word, not that the peer is still there: that is what L4_UPDATE is for.
 *
 * docs/protocol.md, "Rendezvous".
 */
import { formatTransportAddress, type TransportAddress } from '../../core/address.ts';
import { equalConstantTime } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { Instant } from '../../core/time.ts';
import type { RendezvousKeys } from '../key-schedule.ts';
import type { SessionRole } from '../session-event.ts';
import {
  decodeRendezvousAnswer,
  encodeRendezvousAsk,
  RENDEZVOUS_ID_BYTES,
  type RendezvousAnswer,
  type RendezvousEntry,
} from '../wire/rendezvous.ts';
import type { Whereabouts } from '../wire/update.ts';
import { epochAt, peerEpochsAt, Slot } from './slot.ts';

/** Waits behind the first asks: against loss, until a service has answered. */
const HASTY_WAITS_MS = [100, 200, 400, 800, 1600] as const;
/**
 * Waits from then on, the last for ever: one lost push costs this long at most, and 10 s keeps the mappings of NATs
 * (30 s with the worst) and the service's memory of who waits (25 s).
 */
const PATIENT_WAITS_MS = [...repeat(2_500, 12), ...repeat(5_000, 18), 10_000] as const;
const WAITS_MS: readonly number[] = [...HASTY_WAITS_MS, ...PATIENT_WAITS_MS];
/** A word is kept for a peer that is out of reach at the moment; after that it has to be said anew. */
const TTL_SECONDS = 120;
/** Services asked: every one is asked at the same time, and one is enough. Four with two addresses each. */
export const MAX_SERVICES = 8;
/** Demands for cookies are met at once, but no faster than this: nobody makes us talk to him without end. */
const COOKIE_PAUSE_MS = 1_000;
const NO_COOKIE = new Uint8Array(0);

export interface RendezvousClientInit {
  readonly role: SessionRole;
  /** Of the association, `association.rendezvousKeys()`, or of what else has a port of its own. */
  readonly keys: RendezvousKeys;
  readonly random: Random;
  readonly versions: RendezvousVersions;
}

/**
 * Of the words under one association, over all of its searches: no version is ever used twice, and none is heard that
 * is not above all before.
 */
export interface RendezvousVersions {
  /** Of what was last left for the peer. */
  own: number;
  /** Of the newest word that was heard from the peer. */
  heard: number;
}

/** The peer's own word, and where the service saw it. */
export interface PeerFound {
  /** Sealed by the peer: as genuine as an L4_UPDATE. */
  readonly whereabouts: Whereabouts;
  /** What the service says: worth a signal that the peer has to answer, and nothing more. */
  readonly seenFrom: TransportAddress;
}

export interface RendezvousTransmit {
  readonly bytes: Uint8Array;
  readonly to: TransportAddress;
}

interface Inquiry {
  readonly to: TransportAddress;
  step: number;
  askAt: Instant;
  cookie: Uint8Array;
  /** When a demand for a cookie was last met at once. */
  metAt: Instant;
  /** As the service saw us when it last answered. */
  seenAs: string | undefined;
  /** What was last asked for there, in this order. */
  wanted: readonly Slot[];
}

export class RendezvousClient {
  readonly #init: RendezvousClientInit;
  readonly #slots = new Map<string, Slot>();
  #inquiries = new Map<string, Inquiry>();
  #outbox: RendezvousTransmit[] = [];
  #events: PeerFound[] = [];
  #id: Uint8Array = new Uint8Array(RENDEZVOUS_ID_BYTES);
  #own: Whereabouts | undefined;
  #entry: RendezvousEntry | undefined;
  #seenAs: TransportAddress | undefined;
  /** Answers that were malformed, not asked for, or not sealed by the peer. */
  rejected = 0;

  constructor(init: RendezvousClientInit) {
    this.#init = init;
  }

  get running(): boolean {
    return this.#own !== undefined;
  }

  /** Names this search in asks and answers, so that a driver of many finds the one that an answer is for. */
  get id(): Uint8Array {
    return this.#id;
  }

  /** As a service last saw us: our own address, or our NAT's. */
  get seenAs(): TransportAddress | undefined {
    return this.#seenAs;
  }

  /**
   * The peer is lost, or our whereabouts changed while it is: asks all services at once. `sinceMetMs` is the time since
   * the association was made, by a clock that goes on while the host sleeps. At most {@link MAX_SERVICES} services.
   */
  start(now: Instant, sinceMetMs: number, own: Whereabouts, services: readonly TransportAddress[]): void {
    if (!this.running) this.#id = this.#init.random.bytes(RENDEZVOUS_ID_BYTES).slice();
    this.#own = own;
    this.#renewWord();
    const known = this.#inquiries;
    this.#inquiries = new Map();
    for (const to of services.slice(0, MAX_SERVICES)) {
      const name = formatTransportAddress(to);
      const { cookie = NO_COOKIE } = known.get(name) ?? {};
      const fresh = { step: 0, askAt: now, metAt: Number.NEGATIVE_INFINITY, seenAs: undefined, wanted: [] };
      this.#inquiries.set(name, { to, cookie, ...fresh });
    }
    this.handleTimeout(now, sinceMetMs);
  }

  /** The peer was heard, or nobody looks for it any more. */
  stop(): void {
    this.#own = undefined;
    this.#entry = undefined;
    this.#inquiries.clear();
    this.#outbox = [];
    this.#slots.clear();
  }

  handleTimeout(now: Instant, sinceMetMs: number): void {
    for (const inquiry of this.#inquiries.values()) {
      if (inquiry.askAt > now) continue;
      const wait = WAITS_MS[Math.min(inquiry.step, WAITS_MS.length - 1)] as number;
      inquiry.step += 1;
      inquiry.askAt = now + wait;
      this.#ask(inquiry, sinceMetMs);
    }
  }

  /** Returns whether it was an answer to this search; anything else changes nothing. */
  handleDatagram(now: Instant, bytes: Uint8Array, from: TransportAddress): boolean {
    const inquiry = this.#inquiries.get(formatTransportAddress(from));
    const answer = inquiry === undefined ? undefined : this.#decode(bytes);
    if (inquiry === undefined || answer === undefined || !this.#take(now, inquiry, answer)) {
      this.rejected += 1;
      return false;
    }
    return true;
  }

  pollTransmit(): RendezvousTransmit | undefined {
    return this.#outbox.shift();
  }

  pollTimeout(): Instant | undefined {
    let next: Instant | undefined;
    for (const { askAt } of this.#inquiries.values()) if (next === undefined || askAt < next) next = askAt;
    return next;
  }

  pollEvent(): PeerFound | undefined {
    return this.#events.shift();
  }

  #decode(bytes: Uint8Array): RendezvousAnswer | undefined {
    try {
      const answer = decodeRendezvousAnswer(bytes);
      return equalConstantTime(answer.id, this.#id) ? answer : undefined;
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  #take(now: Instant, inquiry: Inquiry, answer: RendezvousAnswer): boolean {
    if (answer.status === 'cookie') {
      inquiry.cookie = answer.cookie.slice();
      if (now - inquiry.metAt < COOKIE_PAUSE_MS) return true;
      inquiry.metAt = now;
      inquiry.askAt = now;
      return true;
    }
    if (answer.status === 'found' && !this.#hear(inquiry, answer)) return false;
    this.#noteSeen(inquiry, answer.seen);
    // Answered: nothing is gained by haste. After word of the peer, the service has to hear that we still wait.
    inquiry.step = Math.max(inquiry.step, HASTY_WAITS_MS.length);
    const wait = WAITS_MS[Math.min(inquiry.step, WAITS_MS.length - 1)] as number;
    inquiry.askAt = answer.status === 'found' ? now : Math.max(inquiry.askAt, now + wait);
    return true;
  }

  /** Returns false unless the peer left it. */
  #hear(inquiry: Inquiry, { tagIndex, sealed, from }: RendezvousAnswer & { status: 'found' }): boolean {
    const word = inquiry.wanted[tagIndex]?.open(sealed);
    if (word === undefined) return false;
    // An old one again: from another service, or from one that replays.
    if (word.version <= this.#init.versions.heard) return false;
    this.#init.versions.heard = word.version;
    this.#events.push({ whereabouts: word.whereabouts, seenFrom: from });
    return true;
  }

  /** A NAT has given us another place: the peer has to be told, though our own addresses are the same. */
  #noteSeen(inquiry: Inquiry, seen: TransportAddress): void {
    const seenAs = formatTransportAddress(seen);
    if (inquiry.seenAs !== undefined && inquiry.seenAs !== seenAs) this.#renewWord();
    inquiry.seenAs = seenAs;
    this.#seenAs = seen;
  }

  #renewWord(): void {
    this.#init.versions.own += 1;
    this.#entry = undefined;
  }

  #ask(inquiry: Inquiry, sinceMetMs: number): void {
    inquiry.wanted = peerEpochsAt(sinceMetMs).map((epoch) => this.#slot('peer', epoch));
    const bytes = encodeRendezvousAsk({
      id: this.#id,
      wanted: inquiry.wanted.map(({ tag }) => tag),
      afterVersion: this.#init.versions.heard,
      cookie: inquiry.cookie,
      entry: this.#currentEntry(epochAt(sinceMetMs)),
    });
    this.#outbox.push({ bytes, to: inquiry.to });
  }

  #currentEntry(epoch: number): RendezvousEntry | undefined {
    if (this.#own === undefined) return undefined;
    const slot = this.#slot('own', epoch);
    if (this.#entry === undefined || !equalConstantTime(this.#entry.publicKey, slot.publicKey)) {
      const word = { version: this.#init.versions.own, whereabouts: this.#own };
      this.#entry = slot.entry(this.#init.random, word, TTL_SECONDS);
    }
    return this.#entry;
  }

  #slot(whose: 'own' | 'peer', epoch: number): Slot {
    const name = `${whose} ${epoch}`;
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    for (const [old, slot] of this.#slots) if (slot.epoch < epoch - 1) this.#slots.delete(old);
    const { keys, role } = this.#init;
    const other: SessionRole = role === 'initiator' ? 'responder' : 'initiator';
    const slot = new Slot(keys, whose === 'own' ? role : other, epoch);
    this.#slots.set(name, slot);
    return slot;
  }
}

function repeat(wait: number, times: number): number[] {
  return Array.from({ length: times }, () => wait);
}
