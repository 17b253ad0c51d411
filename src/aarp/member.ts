/**
 * A member: the host that answers AARP probes about the anycast addresses that it serves, and about its own unicast
 * ones. Pure, without state but its rate; io/anycast-member.ts runs it. Whoever asks about another address gets no
 * answer: behind a translator of addresses ours would mean nothing.
 */
import { canonicalAddress, familyOf } from '../core/address.ts';
import { UsageError, WireError } from '../core/errors.ts';
import type { Instant } from '../core/time.ts';
import { RateGate } from './rate-gate.ts';
import { decodeAarpProbe, encodeAarpReply, MAX_REPLY_MEMBERS } from './wire/aarp.ts';

/** 1000 a second are some percent of a processor; a client asks once a minute. */
const REPLY_RATE = { burst: 1_000, intervalMs: 1 } as const;
const LONGEST_LIFETIME_S = 0xffff;

export interface MemberInit {
  /** The anycast addresses, without zones. */
  readonly serves: readonly string[];
  readonly key?: Uint8Array | undefined;
  /** What it asks clients to keep its answers for; 0 leaves it to them. */
  readonly lifetimeMs?: number;
}

export interface MemberCounters {
  replies: number;
  /** No probes, or under another key. */
  malformed: number;
  /** Probes about addresses that are not ours. */
  foreign: number;
  overRate: number;
}

export class AarpMember {
  readonly counters: MemberCounters = { replies: 0, malformed: 0, foreign: 0, overRate: 0 };
  readonly #serves: ReadonlySet<string>;
  readonly #key: Uint8Array | undefined;
  readonly #lifetimeSeconds: number;
  readonly #gate = new RateGate(REPLY_RATE);
  #unicast: readonly string[] = [];

  /** @throws UsageError for what is no address, or no lifetime. */
  constructor({ serves, key, lifetimeMs = 0 }: MemberInit) {
    this.#serves = new Set(serves.map(plainAddress));
    this.#key = key;
    this.#lifetimeSeconds = Math.ceil(lifetimeMs / 1000);
    if (!(lifetimeMs >= 0 && this.#lifetimeSeconds <= LONGEST_LIFETIME_S)) {
      throw new UsageError(`lifetime: found ${lifetimeMs} ms, expected 0 to ${LONGEST_LIFETIME_S * 1000}`);
    }
  }

  /** The unicast addresses of the host, the preferred first; anycast ones among them are left out. */
  setAddresses(addresses: readonly string[]): void {
    this.#unicast = addresses.map(plainAddress).filter((ip) => !this.#serves.has(ip));
  }

  /** The reply, if there is to be one. */
  handleDatagram(now: Instant, bytes: Uint8Array): Uint8Array | undefined {
    const probe = this.#decode(bytes);
    if (probe === undefined) return undefined;
    const members = this.#membersFor(probe.asked);
    if (members.length === 0) this.counters.foreign += 1;
    else if (this.#gate.opensAt() > now) this.counters.overRate += 1;
    else {
      this.#gate.pass(now);
      this.counters.replies += 1;
      return encodeAarpReply({ nonce: probe.nonce, lifetimeSeconds: this.#lifetimeSeconds, members }, this.#key);
    }
    return undefined;
  }

  #decode(bytes: Uint8Array): ReturnType<typeof decodeAarpProbe> | undefined {
    try {
      return decodeAarpProbe(bytes, this.#key);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counters.malformed += 1;
      return undefined;
    }
  }

  /** With its own address asked about, that one first; nothing where it is no address of ours. */
  #membersFor(asked: string): readonly string[] {
    const family = familyOf(asked);
    const ours = this.#unicast.filter((ip) => familyOf(ip) === family);
    if (ours.includes(asked)) return [asked];
    return this.#serves.has(asked) ? ours.slice(0, MAX_REPLY_MEMBERS) : [];
  }
}

function plainAddress(text: string): string {
  const ip = canonicalAddress(text.split('%')[0] ?? '');
  if (ip === undefined) throw new UsageError(`"${text}" is no IP address`);
  return ip;
}
