/**
 * Which members of anycast addresses owe answers to the datagrams of this process. Over all its sockets, since many
 * programs ask by a fresh one each time, and none of those lasts long enough to tell.
 */
import type { Instant } from '../../core/time.ts';

/** Members of which it is kept. One that is forgotten is doubted a little later. */
const MAX_MEMBERS = 1_024;
/** How long datagrams may go unanswered before their member is doubted: then, twice as long after, and so on up to */
const DOUBT_MS = 500;
const LONGEST_DOUBT_MS = 30_000;

interface Debt {
  unansweredSince: Instant | undefined;
  patienceMs: number;
}

export class MemberDebts {
  /** By anycast and unicast address, the one least lately used first. */
  readonly #debts = new Map<string, Debt>();

  /** A datagram is about to go to that member. Returns whether it has owed an answer for so long that it may be gone. */
  ask(now: Instant, anycast: string, unicast: string): boolean {
    const key = `${anycast} ${unicast}`;
    const debt = this.#debts.get(key) ?? { unansweredSince: undefined, patienceMs: DOUBT_MS };
    this.#debts.delete(key);
    this.#debts.set(key, debt);
    if (this.#debts.size > MAX_MEMBERS) {
      const [oldest] = this.#debts.keys();
      if (oldest !== undefined) this.#debts.delete(oldest);
    }
    debt.unansweredSince ??= now;
    if (now - debt.unansweredSince < debt.patienceMs) return false;
    debt.unansweredSince = now;
    debt.patienceMs = Math.min(2 * debt.patienceMs, LONGEST_DOUBT_MS);
    return true;
  }

  /** It has answered. */
  answered(anycast: string, unicast: string): void {
    const debt = this.#debts.get(`${anycast} ${unicast}`);
    if (debt === undefined) return;
    debt.unansweredSince = undefined;
    debt.patienceMs = DOUBT_MS;
  }
}
