/**
 * Where the datagrams of this process go that are sent to anycast addresses. An address of which nothing is known is
 * asked about first, and its datagrams wait: what went to the anycast address could reach another member than what
 * follows, and the answer would come from a stranger. While it is asked about again they go where they have gone until
 * then: to the member whose time is over, or, where nobody has ever answered probes, to the address itself.
 */
import { type Resolution, type Resolver, UnresolvedError } from '../../aarp/resolution.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import { debtorOf, type MemberDebts } from './member-debts.ts';

/** Few programs send datagrams to more. One that is forgotten is waited for again. */
const MAX_ADDRESSES = 1_024;
/** How long they may go to a member whose time is over: longer than an inquiry. After a longer pause they wait. */
const OVERTIME_MS = 5_000;

interface Standing {
  readonly destination: string;
  /** A member that is no longer known before that has failed. */
  readonly knownUntil: Instant;
  readonly until: Instant;
}

export class AnycastDestinations {
  readonly #debts: MemberDebts;
  /** By the address asked about, in canonical text; the one learnt longest ago first. */
  readonly #standing = new Map<string, Standing>();
  readonly #refreshing = new Set<string>();

  constructor(debts: MemberDebts) {
    this.#debts = debts;
  }

  /** For a datagram that goes now, or a connect. Undefined: it has to be asked about. `asked` in canonical text. */
  known(asked: string, resolver: Resolver, isConnect: boolean): string | undefined {
    const now = monotonicNow();
    const resolution = resolver.cached(asked);
    const destination = resolution?.unicast ?? this.#goesOn(now, asked);
    if (destination === undefined) return undefined;
    if (destination !== asked && this.#debts.ask(now, debtorOf(asked, destination), isConnect)) {
      this.#isNotKnown(asked);
      resolver.failed(asked, destination);
      return undefined;
    }
    if (resolution === undefined) this.#refresh(asked, resolver);
    else this.#note(now, resolution);
    return destination;
  }

  /** The member, or `asked` itself: that nobody answers probes says nothing against sending there. */
  async ask(asked: string, resolver: Resolver): Promise<string> {
    try {
      const resolution = await resolver.resolve(asked);
      this.#note(monotonicNow(), resolution);
      return resolution.unicast;
    } catch (error) {
      if (error instanceof UnresolvedError && error.reason === 'silent') this.#isNotKnown(asked);
      return asked;
    }
  }

  /** An address that had a member is waited for, since it may have one again; one that never answers is not. */
  #isNotKnown(asked: string): void {
    const destination = this.#standing.get(asked)?.destination ?? asked;
    this.#keep(asked, { destination, knownUntil: 0, until: destination === asked ? Number.POSITIVE_INFINITY : 0 });
  }

  #goesOn(now: Instant, asked: string): string | undefined {
    const standing = this.#standing.get(asked);
    if (standing === undefined || now < standing.knownUntil || now >= standing.until) return undefined;
    return standing.destination;
  }

  #refresh(asked: string, resolver: Resolver): void {
    if (this.#refreshing.has(asked)) return;
    this.#refreshing.add(asked);
    void this.ask(asked, resolver).then(() => this.#refreshing.delete(asked));
  }

  #note(now: Instant, { address, unicast, ttlMs }: Resolution): void {
    const standing = this.#standing.get(address);
    if (standing?.destination === unicast && now < standing.knownUntil) return;
    const knownUntil = now + ttlMs;
    this.#keep(address, { destination: unicast, knownUntil, until: knownUntil + OVERTIME_MS });
  }

  #keep(asked: string, standing: Standing): void {
    this.#standing.delete(asked);
    this.#standing.set(asked, standing);
    if (this.#standing.size <= MAX_ADDRESSES) return;
    const [oldest] = this.#standing.keys();
    if (oldest !== undefined) this.#standing.delete(oldest);
  }
}
