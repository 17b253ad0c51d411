/**
 * Rendezvous service: the third host, where two peers that have lost each other leave word and ask for it. It knows no
 * keys, reads nothing of what it keeps, and can tell only that an entry was made by who made the one before. Sans-IO.
 *
 * Life-cycle of an entry: left by an ASK, replaced by a newer version, forgotten after its time or when the oldest has
 * to make room. Life-cycle of a waiter: an ASK that found nothing; the first entry that it wants is passed on at once,
 * which ends it, as does the next ASK from the same place, or time.
 *
 * It answers nothing longer than the question, demands cookies under load before it keeps or verifies anything, and
 * deliberately keeps nothing beyond its own life: who waits asks again. docs/protocol.md, "Rendezvous".
 */
import { formatTransportAddress, type TransportAddress } from '../../core/address.ts';
import { concatBytes, equalConstantTime, toHex } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import type { Instant } from '../../core/time.ts';
import { CookieJar } from '../cookie.ts';
import { holderOf } from '../source-holder.ts';
import {
  decodeRendezvousAsk,
  encodeRendezvousAnswer,
  entryToSign,
  RENDEZVOUS_PUBLIC_KEY_BYTES,
  RENDEZVOUS_SEALED_BYTES,
  type RendezvousAnswer,
  type RendezvousAsk,
  type RendezvousEntry,
} from '../wire/rendezvous.ts';
import { AskRates } from './ask-rates.ts';
import type { RendezvousTransmit } from './rendezvous-client.ts';
import { isGenuineEntry, tagOf } from './slot.ts';
import { type Waiter, WaitingRoom } from './waiting-room.ts';

export interface RendezvousLimits {
  /** Entries kept, and as many waiters; the oldest goes first. About 1.3 KB for one of each. */
  readonly entries: number;
  /** Entries and waiters, each, of one source: an IPv4 address, perhaps of a NAT with many behind it, or an IPv6 /64. */
  readonly perSource: number;
  /** ASKs a second from one source; beyond it, those without a cookie are asked for one, and those with one dropped. */
  readonly ratePerSource: number;
  /** ASKs a second in all, beyond which every one needs a cookie. A new entry takes 0.1 to 0.3 ms to verify. */
  readonly rateBeforeCookies: number;
}

export const DEFAULT_RENDEZVOUS_LIMITS: RendezvousLimits = {
  entries: 65_536,
  perSource: 512,
  ratePerSource: 200,
  rateBeforeCookies: 500,
};

/** No entry is kept longer, whatever it says: who still wants it kept says so again. */
const MAX_TTL_MS = 120_000;
/** In {@link signedPart}, behind public key, version and time to live. */
const SEALED_AT: number = RENDEZVOUS_PUBLIC_KEY_BYTES + 10;
/** How often entries are looked through for those whose time is over. */
const SWEEP_MS = 5_000;

export interface RendezvousServiceInit {
  readonly random: Random;
  readonly now: Instant;
  readonly limits?: Partial<RendezvousLimits>;
}

/** What came and what became of it; every count only rises. */
export interface RendezvousCounters {
  asks: number;
  malformed: number;
  /** Entries not signed by the key that they are for, and older ones than the one held. */
  forged: number;
  stale: number;
  cookiesDemanded: number;
  /** Dropped: their source asks too often. */
  limited: number;
  /** Entries for which there was no room. */
  refused: number;
  found: number;
  /** Of those, passed on to somebody who waited. */
  pushed: number;
}

interface Kept {
  readonly version: number;
  /** All of the entry, by which it is known again. */
  readonly signed: Uint8Array;
  readonly sealed: Uint8Array;
  readonly from: TransportAddress;
  readonly holder: string;
  readonly expiresAt: Instant;
}

export class RendezvousService {
  readonly #limits: RendezvousLimits;
  readonly #cookies: CookieJar;
  readonly #rates: AskRates;
  readonly #waiting: WaitingRoom;
  /** By tag, the one that was said longest ago first. */
  readonly #entries = new Map<string, Kept>();
  readonly #perHolder = new Map<string, number>();
  readonly #outbox: RendezvousTransmit[] = [];
  #sweepAt: Instant | undefined;
  readonly counters: RendezvousCounters = {
    asks: 0,
    malformed: 0,
    forged: 0,
    stale: 0,
    cookiesDemanded: 0,
    limited: 0,
    refused: 0,
    found: 0,
    pushed: 0,
  };

  constructor({ random, now, limits }: RendezvousServiceInit) {
    this.#limits = { ...DEFAULT_RENDEZVOUS_LIMITS, ...limits };
    this.#cookies = new CookieJar(random, now);
    this.#rates = new AskRates();
    this.#waiting = new WaitingRoom({ waiters: this.#limits.entries, perSource: this.#limits.perSource });
  }

  get entries(): number {
    return this.#entries.size;
  }

  get waiters(): number {
    return this.#waiting.size;
  }

  handleDatagram(now: Instant, bytes: Uint8Array, from: TransportAddress): void {
    let ask: RendezvousAsk;
    try {
      ask = decodeRendezvousAsk(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counters.malformed += 1;
      return;
    }
    this.counters.asks += 1;
    const holder = holderOf(from.ip);
    if (!this.#admit(now, ask, from, holder)) return;
    const { entry } = ask;
    const tag = entry === undefined ? '' : toHex(tagOf(entry.publicKey));
    if (entry !== undefined && !this.#isSaidAgain(tag, entry) && !isGenuineEntry(entry)) {
      this.counters.forged += 1;
      return;
    }
    const kept = entry !== undefined && this.#keep(now, tag, entry, from, holder);
    this.#reply(now, ask, from, holder, kept);
    this.#sweepAt ??= now + SWEEP_MS;
  }

  handleTimeout(now: Instant): void {
    if (this.#sweepAt === undefined || now < this.#sweepAt) return;
    for (const [tag, { expiresAt }] of this.#entries) if (expiresAt <= now) this.#drop(tag);
    this.#waiting.expire(now);
    this.#sweepAt = this.#entries.size + this.#waiting.size > 0 ? now + SWEEP_MS : undefined;
  }

  pollTransmit(): RendezvousTransmit | undefined {
    return this.#outbox.shift();
  }

  pollTimeout(): Instant | undefined {
    return this.#sweepAt;
  }

  // ---- who may ask ---------------------------------------------------------------------------------------------------

  #admit(now: Instant, { id, cookie }: RendezvousAsk, from: TransportAddress, holder: string): boolean {
    const source = formatTransportAddress(from);
    if (cookie.length > 0 && this.#cookies.accepts(now, source, id, cookie)) {
      if (this.#rates.count(now, `verified ${holder}`) <= this.#limits.ratePerSource) return true;
      this.counters.limited += 1;
      return false;
    }
    if (!this.#underLoad(now, holder)) return true;
    this.counters.cookiesDemanded += 1;
    const baked = this.#cookies.bake(now, source, id);
    this.#send({ id, status: 'cookie', seen: from, kept: false, cookie: baked }, from);
    return false;
  }

  #underLoad(now: Instant, holder: string): boolean {
    const { entries, perSource, ratePerSource, rateBeforeCookies } = this.#limits;
    if (this.#rates.countAll(now) > rateBeforeCookies) return true;
    return (
      this.#rates.count(now, holder) > ratePerSource ||
      this.#entries.size + this.#waiting.size >= entries ||
      this.#heldBy(holder) >= perSource / 2
    );
  }

  // ---- entries -------------------------------------------------------------------------------------------------------

  /** Nearly all are: a waiting peer says the same every few seconds, and need not be verified each time. */
  #isSaidAgain(tag: string, entry: RendezvousEntry): boolean {
    const kept = this.#entries.get(tag);
    return kept !== undefined && kept.version === entry.version && equalConstantTime(kept.signed, signedPart(entry));
  }

  /** Returns whether the entry, or the same one from before, has its place. */
  #keep(now: Instant, tag: string, entry: RendezvousEntry, from: TransportAddress, holder: string): boolean {
    const before = this.#live(now, tag);
    if (before !== undefined && entry.version < before.version) {
      this.counters.stale += 1;
      return false;
    }
    const expiresAt = now + Math.min(entry.ttlSeconds * 1000, MAX_TTL_MS);
    if (before !== undefined && entry.version === before.version) {
      // Said again. From elsewhere it may be a copy that somebody made on the way: the place stays.
      this.#entries.delete(tag);
      this.#entries.set(tag, { ...before, expiresAt });
      return true;
    }
    this.#drop(tag);
    if (this.#heldBy(holder) >= this.#limits.perSource) {
      this.counters.refused += 1;
      return false;
    }
    this.#makeRoom();
    const signed = signedPart(entry);
    const sealed = signed.subarray(SEALED_AT, SEALED_AT + RENDEZVOUS_SEALED_BYTES);
    const kept: Kept = { version: entry.version, signed, sealed, from, holder, expiresAt };
    this.#entries.set(tag, kept);
    this.#perHolder.set(holder, this.#heldBy(holder) + 1);
    for (const waiter of this.#waiting.takeFor(now, tag, kept.version)) this.#push(waiter, tag, kept);
    return true;
  }

  #live(now: Instant, tag: string): Kept | undefined {
    const kept = this.#entries.get(tag);
    if (kept !== undefined && kept.expiresAt <= now) {
      this.#drop(tag);
      return undefined;
    }
    return kept;
  }

  #drop(tag: string): void {
    const kept = this.#entries.get(tag);
    if (kept === undefined) return;
    this.#entries.delete(tag);
    const held = this.#heldBy(kept.holder) - 1;
    if (held > 0) this.#perHolder.set(kept.holder, held);
    else this.#perHolder.delete(kept.holder);
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#limits.entries) return;
    for (const oldest of this.#entries.keys()) {
      this.#drop(oldest);
      return;
    }
  }

  #heldBy(holder: string): number {
    return this.#perHolder.get(holder) ?? 0;
  }

  // ---- answers -------------------------------------------------------------------------------------------------------

  #reply(now: Instant, ask: RendezvousAsk, from: TransportAddress, holder: string, kept: boolean): void {
    const { id, wanted, afterVersion } = ask;
    const tags = wanted.map(toHex);
    const fields = { id, seen: from, kept };
    let newest: { tagIndex: number; entry: Kept } | undefined;
    for (const [tagIndex, tag] of tags.entries()) {
      const entry = this.#live(now, tag);
      if (entry === undefined || entry.version <= (newest?.entry.version ?? afterVersion)) continue;
      newest = { tagIndex, entry };
    }
    if (newest === undefined) {
      this.#waiting.enter(now, { id: id.slice(), to: from, holder, tags, afterVersion });
      return this.#send({ ...fields, status: 'none' }, from);
    }
    this.#waiting.leave(from, id);
    this.counters.found += 1;
    const { tagIndex, entry } = newest;
    this.#send({ ...fields, status: 'found', tagIndex, from: entry.from, sealed: entry.sealed }, from);
  }

  #push({ id, to, tags }: Waiter, tag: string, { from, sealed }: Kept): void {
    this.counters.found += 1;
    this.counters.pushed += 1;
    this.#send({ id, status: 'found', seen: to, kept: true, tagIndex: tags.indexOf(tag), from, sealed }, to);
  }

  #send(answer: RendezvousAnswer, to: TransportAddress): void {
    this.#outbox.push({ bytes: encodeRendezvousAnswer(answer), to });
  }
}

function signedPart(entry: RendezvousEntry): Uint8Array {
  return concatBytes(entryToSign(entry), entry.signature);
}
