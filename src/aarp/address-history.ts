/**
 * What is kept in mind of an address beyond its resolution: which members failed, how often nobody answered, and when
 * it may be asked again. The address that was touched longest ago goes first.
 */
import type { Instant } from '../core/time.ts';
import type { ResolverLimits } from './limits.ts';
import { RateGate } from './rate-gate.ts';

interface History {
  readonly gate: RateGate;
  /** Until when. The oldest first. */
  readonly shunned: Map<string, Instant>;
  silences: number;
}

export class AddressHistory {
  readonly #limits: ResolverLimits;
  readonly #histories = new Map<string, History>();

  constructor(limits: ResolverLimits) {
    this.#limits = limits;
  }

  shun(now: Instant, ip: string, member: string, forMs: number): void {
    const { shunned } = this.#of(ip);
    shunned.delete(member);
    shunned.set(member, now + forMs);
    if (shunned.size <= this.#limits.shunnedPerAddress) return;
    const [oldest] = shunned.keys();
    if (oldest !== undefined) shunned.delete(oldest);
  }

  /** The members to keep away from now. */
  shunned(now: Instant, ip: string): ReadonlySet<string> {
    const shunned = this.#histories.get(ip)?.shunned ?? [];
    return new Set([...shunned].filter(([, until]) => until > now).map(([member]) => member));
  }

  /** When the inquiry that begins now may send its first probe. */
  nextInquiry(now: Instant, ip: string): Instant {
    const { gate } = this.#of(ip);
    const at = Math.max(now, gate.opensAt());
    gate.pass(at);
    return at;
  }

  /** How many there are in a row, with this one. */
  countSilence(ip: string): number {
    const history = this.#of(ip);
    history.silences += 1;
    return history.silences;
  }

  endSilence(ip: string): void {
    this.#of(ip).silences = 0;
  }

  /** Of all addresses where none is named. */
  forget(ip?: string): void {
    if (ip === undefined) this.#histories.clear();
    else this.#histories.delete(ip);
  }

  #of(ip: string): History {
    const found = this.#histories.get(ip) ?? {
      gate: new RateGate(this.#limits.inquiryRate),
      shunned: new Map<string, Instant>(),
      silences: 0,
    };
    this.#histories.delete(ip);
    this.#histories.set(ip, found);
    if (this.#histories.size > this.#limits.histories) {
      const [oldest] = this.#histories.keys();
      if (oldest !== undefined) this.#histories.delete(oldest);
    }
    return found;
  }
}
