/**
 * An inquiry: which member answers for one address? It asks the address, asks whoever was named whether that address of
 * its works from here, and decides. Pure; resolver.ts keeps the clock, the callers and what came out.
 *
 * A member is named by the source of an echo reply, which may be any of its addresses, or by an AARP reply, which lists
 * them. Neither says that they can be reached from here, so a candidate counts as confirmed only when it has answered a
 * question to itself. That costs one round trip when an address is cold, and spares the application a connect that
 * hangs. Where nothing better is to be had an unconfirmed one is given out all the same: the way to a member's own
 * address may be closed to probes and open to TCP.
 *
 * An echo reply from the address itself says that it is unicast, or that its members reply from it (addresses on
 * loopback and BGP). Only an AARP reply tells the two apart, and gets a little time to come.
 *
 * Once decided it sends nothing more; what still comes adds alternates for when the member fails.
 */
import { familyOf, isGroupAddress, isLinkLocal, isLoopback, isUnspecified } from '../core/address.ts';
import type { Random } from '../core/random.ts';
import type { Instant } from '../core/time.ts';
import { NONCE_BYTES, type Probe, type ProbeMethod, Question } from './question.ts';
import { ANSWER_LIMIT_MS, type UnresolvedReason } from './resolution.ts';

/** What may have passed before: aarpd has been waited for in vain, and this process is busy. */
const DETOUR_MS = 500;
/** Time for the address, and after it for a candidate, to be asked three times and not to answer. */
export const INQUIRY_LIMIT_MS: number = ANSWER_LIMIT_MS - DETOUR_MS;
/** A member seldom has more addresses, and a liar who lists more must not make us ask them all. */
export const MAX_CANDIDATES = 8;

/**
 * How long an AARP reply may come later than an echo reply: two more round trips, within bounds for networks that
 * answer in no time and for those that hardly do.
 */
const AARP_PATIENCE = { roundTrips: 2, leastMs: 30, mostMs: 500 } as const;
/** How long other members have when one that failed before answers first: the longest round trip on earth, and some. */
const FAILOVER_PATIENCE_MS = 500;

export type Answer =
  /** `from` is the source of the Echo Reply. */
  | { readonly method: 'echo'; readonly from: string }
  | {
      readonly method: 'aarp';
      readonly from: string;
      /** The unicast addresses of the host, its preferred first. */
      readonly members: readonly string[];
      /** 0 where it leaves that to us. */
      readonly lifetimeMs: number;
    };

export type Verdict =
  | { readonly kind: 'anycast'; readonly unicast: string; readonly confirmed: boolean; readonly lifetimeMs: number }
  | { readonly kind: 'unicast' }
  | { readonly kind: 'none'; readonly reason: UnresolvedReason };

export interface InquiryInit {
  readonly address: string;
  readonly random: Random;
  readonly now: Instant;
  /** When the first probe may go: later than `now` where the address was asked too often. */
  readonly startAt: Instant;
  readonly methods: readonly ProbeMethod[];
  /** Members known from before, asked at once as well. */
  readonly candidates: readonly string[];
  /** Members to which connections have failed. They are what is left when nobody else answers. */
  readonly shunned: Iterable<string>;
}

interface Candidate {
  readonly question: Question;
  confirmed: boolean;
  lifetimeMs: number;
}

export class Inquiry {
  readonly address: string;
  readonly deadline: Instant;
  readonly #init: InquiryInit;
  readonly #main: Question;
  readonly #shunned: Set<string>;
  readonly #candidates = new Map<string, Candidate>();
  /** The addresses of hosts, as AARP replies listed them. */
  readonly #hosts: (readonly string[])[] = [];
  /** An echo reply from the address itself, or a host that lists it as its own. */
  #answersItself: 'maybe' | 'surely' | undefined;
  /** From then on what is there has to do. */
  #settleAt: Instant | undefined;
  #verdict: Verdict | undefined;

  constructor(init: InquiryInit) {
    this.#init = init;
    this.#shunned = new Set(init.shunned);
    this.address = init.address;
    this.deadline = init.now + INQUIRY_LIMIT_MS;
    this.#main = this.#ask(init.address, init.startAt);
    for (const ip of init.candidates) this.#addCandidate(init.startAt, ip, 0);
    if (this.#main.isOver) this.#decideIfDone();
  }

  /** Undefined while it goes on. */
  get verdict(): Verdict | undefined {
    return this.#verdict;
  }

  /** Every address that was named and is of another host, as far as is known; the confirmed ones first. */
  othersThan(member: string): string[] {
    const isSameHost = (ip: string): boolean =>
      ip === member || this.#hosts.some((addresses) => addresses.includes(ip) && addresses.includes(member));
    const ranked = [...this.#candidates].sort(([, a], [, b]) => Number(b.confirmed) - Number(a.confirmed));
    return ranked.map(([ip]) => ip).filter((ip) => !isSameHost(ip));
  }

  /** For how long a member says that it may be kept, in milliseconds; 0 where it has not said, or not yet. */
  lifetimeMsOf(member: string): number {
    return this.#candidates.get(member)?.lifetimeMs ?? 0;
  }

  /** All whose answers it wants to hear, decided or not. */
  get questions(): Question[] {
    return [this.#main, ...[...this.#candidates.values()].map(({ question }) => question)];
  }

  /** A connection to that member failed meanwhile. */
  shun(ip: string): void {
    this.#shunned.add(ip);
  }

  handleAnswer(now: Instant, question: Question, answer: Answer): void {
    if (question === this.#main) this.#handleMain(now, answer);
    else this.#handleConfirmation(now, question, answer);
    this.#decideIfDone();
  }

  /** A probe could not be sent. */
  handleUnsendable(question: Question, method: ProbeMethod): void {
    question.drop(method);
    this.#decideIfDone();
  }

  pollTimeout(): Instant | undefined {
    if (this.#verdict !== undefined) return undefined;
    let next = Math.min(this.deadline, this.#settleAt ?? Number.POSITIVE_INFINITY);
    for (const { dueAt } of this.questions) if (dueAt !== undefined && dueAt < next) next = dueAt;
    return next;
  }

  /** Decides when it is time to; `send` gets what is due, and says when it may go where that is not now. */
  handleTimeout(now: Instant, send: (probes: readonly Probe[]) => void, opensAt: () => Instant): void {
    if (this.#verdict !== undefined) return;
    if (now >= this.deadline || (this.#settleAt !== undefined && now >= this.#settleAt)) {
      this.#decide();
      return;
    }
    for (const question of this.questions) {
      if (question.dueAt === undefined || question.dueAt > now) continue;
      const opens = opensAt();
      if (opens > now) question.postpone(opens);
      else send(question.say(now));
    }
    this.#decideIfDone();
  }

  #ask(to: string, startAt: Instant): Question {
    // An IPv4 anycast address answers echo requests from itself, as a unicast one does: nothing to be learnt.
    const methods = this.#init.methods.filter((method) => method === 'aarp' || familyOf(to) === 6);
    return new Question(to, this.#init.random.bytes(NONCE_BYTES), methods, startAt);
  }

  #handleMain(now: Instant, answer: Answer): void {
    this.#main.end();
    if (answer.method === 'aarp' && answer.members.includes(this.address)) this.#answersItself = 'surely';
    else if (answer.method === 'aarp') {
      if (this.#hosts.length < MAX_CANDIDATES) this.#hosts.push(answer.members);
      // One host: what has failed at one of its addresses is not better at another.
      if (answer.members.some((ip) => this.#shunned.has(ip))) for (const ip of answer.members) this.#shunned.add(ip);
      for (const ip of answer.members) this.#addCandidate(now, ip, answer.lifetimeMs);
      // Who answers for it is known: wait for them, however short the patience was with the address itself.
      if (this.#isConfirming) this.#settleAt = undefined;
    } else if (answer.from !== this.address) this.#addCandidate(now, answer.from, 0);
    else {
      this.#answersItself ??= 'maybe';
      if (!this.#isConfirming) this.#settleAt ??= now + this.#aarpPatienceMs(now);
    }
  }

  get #isConfirming(): boolean {
    return [...this.#candidates.values()].some(({ question }) => !question.isOver);
  }

  #aarpPatienceMs(now: Instant): number {
    if (!this.#init.methods.includes('aarp')) return 0;
    const { roundTrips, leastMs, mostMs } = AARP_PATIENCE;
    return Math.min(mostMs, Math.max(leastMs, roundTrips * this.#main.roundTripMs(now)));
  }

  #handleConfirmation(now: Instant, question: Question, answer: Answer): void {
    const { from } = answer;
    const candidate = this.#candidates.get(question.to);
    // What answers from yet another address is an anycast address itself, or no way back.
    if (candidate?.question !== question || from !== question.to) return;
    if (answer.method === 'aarp' && answer.lifetimeMs > 0) candidate.lifetimeMs = answer.lifetimeMs;
    question.end();
    candidate.confirmed = true;
    if (this.#shunned.has(from)) this.#settleAt ??= now + FAILOVER_PATIENCE_MS;
  }

  #addCandidate(now: Instant, ip: string, lifetimeMs: number): void {
    const known = this.#candidates.get(ip);
    if (known !== undefined) {
      if (lifetimeMs > 0) known.lifetimeMs = lifetimeMs;
      return;
    }
    if (this.#candidates.size >= MAX_CANDIDATES || !this.#mayServe(ip)) return;
    this.#candidates.set(ip, { question: this.#ask(ip, now), confirmed: false, lifetimeMs });
  }

  /** Nobody may send us to a group, to our own services, or to where we did not ask. */
  #mayServe(ip: string): boolean {
    const { address } = this;
    if (ip === address || familyOf(ip) !== familyOf(address) || isGroupAddress(ip) || isUnspecified(ip)) return false;
    if (isLoopback(ip) && !isLoopback(address)) return false;
    return !isLinkLocal(ip) || (ip.includes('%') && zoneOf(ip) === zoneOf(address));
  }

  #decideIfDone(): void {
    const questions = this.questions;
    const isHopeful = questions.some(({ isOver, to }) => !isOver && !this.#shunned.has(to));
    const hasWinner = this.#answersItself === 'surely' || this.#confirmed(false) !== undefined;
    const hasRest = !isHopeful && this.#confirmed(true) !== undefined;
    // With every question over, an echo from the address itself still has its patience to wait for.
    const isOver = questions.every((question) => question.isOver);
    const mayEnd = this.#settleAt === undefined || this.#candidates.size > 0;
    if (hasWinner || hasRest || (isOver && mayEnd)) this.#decide();
  }

  #confirmed(shunned: boolean): Verdict | undefined {
    return this.#best((ip, { confirmed }) => confirmed && this.#shunned.has(ip) === shunned);
  }

  #unconfirmed(shunned: boolean): Verdict | undefined {
    return this.#best((ip, { confirmed }) => !confirmed && this.#shunned.has(ip) === shunned);
  }

  #best(suits: (ip: string, candidate: Candidate) => boolean): Verdict | undefined {
    for (const [unicast, candidate] of this.#candidates) {
      const { confirmed, lifetimeMs, question } = candidate;
      if (suits(unicast, candidate) && !question.isUnreachable)
        return { kind: 'anycast', unicast, confirmed, lifetimeMs };
    }
    return undefined;
  }

  #decide(): void {
    if (this.#verdict !== undefined) return;
    const itself: Verdict | undefined = this.#answersItself === undefined ? undefined : { kind: 'unicast' };
    this.#verdict = (this.#answersItself === 'surely' ? itself : undefined) ??
      this.#confirmed(false) ??
      itself ??
      this.#confirmed(true) ??
      this.#unconfirmed(false) ??
      this.#unconfirmed(true) ?? { kind: 'none', reason: this.#silence() };
  }

  #silence(): UnresolvedReason {
    if (this.#main.isUnreachable) return 'unreachable';
    return this.#main.wasAsked ? 'silent' : 'busy';
  }
}

function zoneOf(ip: string): string | undefined {
  return ip.split('%')[1];
}
