/**
 * Which members of anycast addresses owe answers to the datagrams of this process. Over all its sockets, since many
 * programs ask by a fresh one each time, and none of those lasts long enough to tell. Of connected sockets it is kept by
 * port as well: a service that never answers shares its member with others that do.
 */
import type { Instant } from '../../core/time.ts';

/** Debtors of which it is kept. One that is forgotten is doubted a little later. */
const MAX_DEBTORS = 1_024;
/** How long datagrams may go unanswered before their debtor is doubted: then, twice as long after, and so on up to */
const DOUBT_MS = 500;
const LONGEST_DOUBT_MS = 30_000;

interface Debt {
  /** When the oldest datagram without an answer went, or the socket was connected that it will go by. */
  owesSince: Instant | undefined;
  /** The same of datagrams alone. */
  sentAt: Instant | undefined;
  /** Since its last answer. */
  doubtedAt: Instant | undefined;
  patienceMs: number;
  hasAnswered: boolean;
}

/** The debtor of what goes to a member; to one of its ports where `port` is given. */
export function debtorOf(anycast: string, unicast: string, port?: number): string {
  return port === undefined ? `${anycast} ${unicast}` : `${anycast} ${unicast} ${port}`;
}

export class MemberDebts {
  /** The one least lately used first. */
  readonly #debts = new Map<string, Debt>();

  /**
   * A datagram is about to go there, or a socket to be connected. Returns whether it has owed an answer for so long that
   * it may be gone.
   */
  ask(now: Instant, debtor: string, isConnect = false): boolean {
    const debt = this.#of(debtor);
    debt.owesSince ??= now;
    if (!isConnect) debt.sentAt ??= now;
    if (now - (debt.doubtedAt ?? debt.owesSince) < debt.patienceMs) return false;
    doubt(now, debt);
    return true;
  }

  /** The same of one that may be somebody who never answers: not doubted before its first answer. */
  askAgain(now: Instant, debtor: string): boolean {
    return this.#debts.get(debtor)?.hasAnswered === true && this.ask(now, debtor);
  }

  /** It has refused a datagram. Returns whether that is news: after a doubt it is for a while not. */
  refused(now: Instant, debtor: string): boolean {
    const debt = this.#of(debtor);
    if (debt.doubtedAt !== undefined && now - debt.doubtedAt < debt.patienceMs) return false;
    doubt(now, debt);
    return true;
  }

  /** It has answered. One that takes its time is given it; how long it once took is forgotten with later answers. */
  answered(now: Instant, debtor: string): void {
    const debt = this.#of(debtor);
    const tookMs = now - (debt.sentAt ?? now);
    debt.patienceMs = Math.min(Math.max(2 * tookMs, debt.patienceMs / 2, DOUBT_MS), LONGEST_DOUBT_MS);
    debt.owesSince = undefined;
    debt.sentAt = undefined;
    debt.doubtedAt = undefined;
    debt.hasAnswered = true;
  }

  #of(debtor: string): Debt {
    const debt = this.#debts.get(debtor) ?? {
      owesSince: undefined,
      sentAt: undefined,
      doubtedAt: undefined,
      patienceMs: DOUBT_MS,
      hasAnswered: false,
    };
    this.#debts.delete(debtor);
    this.#debts.set(debtor, debt);
    if (this.#debts.size > MAX_DEBTORS) {
      const [oldest] = this.#debts.keys();
      if (oldest !== undefined) this.#debts.delete(oldest);
    }
    return debt;
  }
}

function doubt(now: Instant, debt: Debt): void {
  debt.doubtedAt = now;
  debt.patienceMs = Math.min(2 * debt.patienceMs, LONGEST_DOUBT_MS);
}
