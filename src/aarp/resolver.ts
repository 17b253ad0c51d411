/**
 * The resolver: which unicast address is behind an anycast one? Pure: addresses, answers and time in; probes, answers
 * to callers and deadlines out. io/embedded-resolver.ts runs it on sockets.
 *
 *     resolve, failed, flush      handleAnswer, handleUnsendable       handleTimeout
 *     pollProbe -> what to send   pollEvent -> who gets which answer   pollTimeout
 *
 * One inquiry (inquiry.ts) an address, however many ask. What comes out is kept for a while, silence too. Nothing is
 * looked up before somebody asks, except after `failed`: then the next caller should find another member.
 *
 * It does not decide which addresses are worth asking about: the policy does.
 */
import { canonicalAddress, isGroupAddress, isUnspecified } from '../core/address.ts';
import { toHex } from '../core/bytes.ts';
import { UsageError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import { earliest, type Instant } from '../core/time.ts';
import { AddressHistory } from './address-history.ts';
import { type Answer, Inquiry, MAX_CANDIDATES, type Verdict } from './inquiry.ts';
import { DEFAULT_RESOLVER_LIMITS, DEFAULT_RESOLVER_TIMES, type ResolverLimits, type ResolverTimes } from './limits.ts';
import type { Probe, ProbeMethod, Question } from './question.ts';
import { RateGate } from './rate-gate.ts';
import type { Resolution, UnresolvedReason } from './resolution.ts';

export interface ResolverInit {
  readonly random: Random;
  /** By what it can ask; without any it can't resolve. */
  readonly methods: readonly ProbeMethod[];
  readonly limits?: Partial<ResolverLimits>;
  readonly times?: Partial<ResolverTimes>;
}

/** Every caller gets exactly one. */
export type ResolverEvent = { readonly caller: number } & (
  | { readonly type: 'resolved'; readonly resolution: Resolution }
  | { readonly type: 'unresolved'; readonly address: string; readonly reason: UnresolvedReason }
);

/** What came and what became of it; they only rise. */
export interface ResolverCounters {
  probes: number;
  answers: number;
  /** Answers to no question of ours: late, doubled, or forged. */
  strays: number;
  /** Callers who got an answer that was there already. */
  hits: number;
  inquiries: number;
  failures: number;
}

interface Entry {
  readonly verdict: Exclude<Verdict, { kind: 'none' }> | { readonly kind: 'none'; readonly reason: UnresolvedReason };
  readonly since: Instant;
  expiresAt: Instant;
  /** Who else answered, for when this one fails: other hosts, at most {@link MAX_CANDIDATES}. */
  readonly alternates: string[];
}

interface Asked {
  readonly inquiry: Inquiry;
  readonly question: Question;
}

/** An inquiry that has decided, and still takes in who else answers. */
interface Lingering {
  readonly inquiry: Inquiry;
  readonly until: Instant;
}

export class AnycastResolver {
  readonly counters: ResolverCounters = { probes: 0, answers: 0, strays: 0, hits: 0, inquiries: 0, failures: 0 };
  readonly #random: Random;
  readonly #methods: readonly ProbeMethod[];
  readonly #limits: ResolverLimits;
  readonly #times: ResolverTimes;
  readonly #gate: RateGate;
  readonly #history: AddressHistory;
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #inquiries = new Map<string, { readonly inquiry: Inquiry; readonly callers: number[] }>();
  readonly #lingering: Lingering[] = [];
  readonly #asked = new Map<string, Asked>();
  readonly #probes: Probe[] = [];
  readonly #events: ResolverEvent[] = [];
  #waiting = 0;
  #lastCaller = 0;

  constructor({ random, methods, limits, times }: ResolverInit) {
    this.#random = random;
    this.#methods = methods;
    this.#limits = { ...DEFAULT_RESOLVER_LIMITS, ...limits };
    this.#times = { ...DEFAULT_RESOLVER_TIMES, ...times };
    this.#gate = new RateGate(this.#limits.probeRate);
    this.#history = new AddressHistory(this.#limits);
  }

  /** Addresses of which something is known, silence included. */
  get entries(): number {
    return this.#entries.size;
  }

  /** Inquiries under way. */
  get inquiries(): number {
    return this.#inquiries.size;
  }

  /** Questions whose answers are still taken in: bounded by inquiries under way and lately ended. */
  get openQuestions(): number {
    return this.#asked.size;
  }

  /** Callers who wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** All that is known and holds. */
  list(now: Instant): Resolution[] {
    return [...this.#entries.keys()].map((ip) => this.#known(now, ip)).filter((found) => found !== undefined);
  }

  /** `ip` in canonical text. */
  cached(now: Instant, ip: string): Resolution | undefined {
    const known = this.#known(now, ip);
    if (known !== undefined) this.counters.hits += 1;
    return known;
  }

  #known(now: Instant, ip: string): Resolution | undefined {
    const entry = this.#entries.get(ip);
    if (entry === undefined || entry.verdict.kind === 'none' || entry.expiresAt <= now) return undefined;
    return resolutionOf(ip, entry.verdict, entry.expiresAt - now);
  }

  /**
   * The caller's number: an event with it tells what came out, perhaps at once.
   *
   * @throws UsageError where the text is no address of one host.
   */
  resolve(now: Instant, address: string): number {
    const ip = hostAddress(address);
    this.#lastCaller += 1;
    const caller = this.#lastCaller;
    const entry = this.#entries.get(ip);
    if (entry !== undefined && entry.expiresAt > now) {
      this.counters.hits += 1;
      this.#tell(now, caller, ip, entry);
      return caller;
    }
    const running = this.#inquiries.get(ip);
    if (this.#waiting >= this.#limits.waiting || (running === undefined && !this.#hasRoom())) {
      this.#events.push({ caller, type: 'unresolved', address: ip, reason: 'busy' });
      return caller;
    }
    this.#waiting += 1;
    if (running !== undefined) running.callers.push(caller);
    else this.#start(now, ip, [caller], []);
    return caller;
  }

  /** What is known beforehand, say from an earlier run: no longer than if it were learnt now, and not over that. */
  remember(now: Instant, { address, kind, unicast, confirmed, ttlMs }: Resolution): void {
    const ip = hostAddress(address);
    const verdict = kind === 'unicast' ? { kind } : { kind, unicast: hostAddress(unicast), confirmed, lifetimeMs: 0 };
    const longestMs = kind === 'unicast' ? this.#times.unicastMs : this.#times.longestAnycastMs;
    const expiresAt = now + Math.min(ttlMs, longestMs);
    if (!this.#entries.has(ip)) this.#keep(ip, { verdict, since: now, expiresAt, alternates: [] });
  }

  /**
   * A connection to that member failed: it is left, and the others are asked at once. Members known from before are
   * asked only now: at other times the network, which knows the nearest, decides.
   */
  failed(now: Instant, address: string, unicast: string): void {
    const ip = hostAddress(address);
    const member = hostAddress(unicast);
    this.counters.failures += 1;
    this.#history.shun(now, ip, member, this.#times.shunMs);
    this.#inquiries.get(ip)?.inquiry.shun(member);
    const entry = this.#entries.get(ip);
    // Another one took its place meanwhile: many connections to the same member fail together.
    if (entry === undefined || entry.verdict.kind === 'none' || memberOf(ip, entry.verdict) !== member) return;
    this.#entries.delete(ip);
    if (!this.#inquiries.has(ip) && this.#hasRoom()) this.#start(now, ip, [], entry.alternates);
  }

  /** Inquiries under way go on. */
  flush(address?: string): void {
    const ip = address === undefined ? undefined : hostAddress(address);
    if (ip === undefined) this.#entries.clear();
    else this.#entries.delete(ip);
    this.#history.forget(ip);
  }

  /** An answer that brought this nonce back. */
  handleAnswer(now: Instant, nonce: Uint8Array, answer: Answer): void {
    const asked = this.#asked.get(toHex(nonce));
    if (asked === undefined) {
      this.counters.strays += 1;
      return;
    }
    this.counters.answers += 1;
    const { inquiry, question } = asked;
    inquiry.handleAnswer(now, question, answer);
    if (this.#inquiries.get(inquiry.address)?.inquiry === inquiry) this.#advance(now, inquiry);
    else {
      this.#keepLifetime(inquiry);
      this.#keepAlternates(inquiry);
    }
  }

  /** A probe could not be sent: there is no route, or no socket. */
  handleUnsendable(now: Instant, { nonce, method }: Pick<Probe, 'nonce' | 'method'>): void {
    const asked = this.#asked.get(toHex(nonce));
    if (asked === undefined) return;
    asked.inquiry.handleUnsendable(asked.question, method);
    if (this.#inquiries.get(asked.inquiry.address)?.inquiry === asked.inquiry) this.#advance(now, asked.inquiry);
  }

  /** Does what is due; too early it does nothing. */
  handleTimeout(now: Instant): void {
    while (this.#lingering[0] !== undefined && this.#lingering[0].until <= now) this.#dropLingering();
    for (const { inquiry } of [...this.#inquiries.values()]) this.#advance(now, inquiry);
  }

  pollTimeout(): Instant | undefined {
    let next = this.#lingering[0]?.until;
    for (const { inquiry } of this.#inquiries.values()) next = earliest(next, inquiry.pollTimeout());
    return next;
  }

  pollProbe(): Probe | undefined {
    return this.#probes.shift();
  }

  pollEvent(): ResolverEvent | undefined {
    return this.#events.shift();
  }

  /** Everyone who waits is told; nothing is sent any more. */
  close(): void {
    for (const [address, { callers }] of this.#inquiries) {
      for (const caller of callers) this.#events.push({ caller, type: 'unresolved', address, reason: 'closed' });
    }
    this.#waiting = 0;
    this.#inquiries.clear();
    this.#lingering.length = 0;
    this.#asked.clear();
    this.#probes.length = 0;
    this.flush();
  }

  #hasRoom(): boolean {
    return this.#inquiries.size < this.#limits.inquiries;
  }

  #start(now: Instant, ip: string, callers: number[], alternates: readonly string[]): void {
    const shunned = this.#history.shunned(now, ip);
    const inquiry = new Inquiry({
      address: ip,
      random: this.#random,
      now,
      startAt: this.#history.nextInquiry(now, ip),
      methods: this.#methods,
      candidates: alternates.filter((member) => !shunned.has(member)),
      shunned,
    });
    this.counters.inquiries += 1;
    this.#inquiries.set(ip, { inquiry, callers });
    this.#advance(now, inquiry);
  }

  /** Sends what is due, and ends the inquiry where it has decided. */
  #advance(now: Instant, inquiry: Inquiry): void {
    inquiry.handleTimeout(
      now,
      (probes) => {
        this.#gate.pass(now);
        this.counters.probes += probes.length;
        this.#probes.push(...probes);
      },
      () => this.#gate.opensAt(),
    );
    // Questions come with the answers to others.
    for (const question of inquiry.questions) this.#asked.set(toHex(question.nonce), { inquiry, question });
    if (inquiry.verdict !== undefined) this.#settle(now, inquiry, inquiry.verdict);
  }

  #settle(now: Instant, inquiry: Inquiry, verdict: Verdict): void {
    const ip = inquiry.address;
    const callers = this.#inquiries.get(ip)?.callers ?? [];
    this.#inquiries.delete(ip);
    this.#waiting -= callers.length;
    const entry = { verdict, since: now, expiresAt: now + this.#lifetimeMs(ip, verdict), alternates: [] };
    // Only an address that was asked is known to be silent.
    if (verdict.kind !== 'none' || verdict.reason !== 'busy') this.#keep(ip, entry);
    this.#keepAlternates(inquiry);
    for (const caller of callers) this.#tell(now, caller, ip, entry);
    this.#lingering.push({ inquiry, until: now + this.#times.lingerMs });
    if (this.#lingering.length > this.#limits.inquiries) this.#dropLingering();
  }

  #lifetimeMs(ip: string, verdict: Verdict): number {
    const { anycastMs, longestAnycastMs, unconfirmedMs, unicastMs, silentMs, longestSilentMs } = this.#times;
    if (verdict.kind === 'none' && verdict.reason !== 'silent') return this.#times.unreachableMs;
    if (verdict.kind === 'none') {
      return Math.min(longestSilentMs, silentMs * 2 ** (this.#history.countSilence(ip) - 1));
    }
    this.#history.endSilence(ip);
    if (verdict.kind === 'unicast') return unicastMs;
    if (!verdict.confirmed) return unconfirmedMs;
    return verdict.lifetimeMs === 0 ? anycastMs : Math.min(verdict.lifetimeMs, longestAnycastMs);
  }

  #keep(ip: string, entry: Entry): void {
    this.#entries.delete(ip);
    this.#entries.set(ip, entry);
    if (this.#entries.size <= this.#limits.entries) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  /** What a member asks for often comes after it was found: its kernel answers echo requests first. */
  #keepLifetime(inquiry: Inquiry): void {
    const { address, verdict } = inquiry;
    const entry = this.#entries.get(address);
    if (entry === undefined || entry.verdict !== verdict || verdict.kind !== 'anycast') return;
    const lifetimeMs = inquiry.lifetimeMsOf(verdict.unicast);
    entry.expiresAt = entry.since + this.#lifetimeMs(address, { ...verdict, lifetimeMs });
  }

  /** Those of an earlier inquiry stay: this one may have heard of fewer. */
  #keepAlternates(inquiry: Inquiry): void {
    const entry = this.#entries.get(inquiry.address);
    if (entry?.verdict.kind !== 'anycast') return;
    const { alternates, verdict } = entry;
    for (const member of inquiry.othersThan(verdict.unicast)) {
      if (alternates.length < MAX_CANDIDATES && !alternates.includes(member)) alternates.push(member);
    }
  }

  #dropLingering(): void {
    const gone = this.#lingering.shift();
    for (const { nonce } of gone?.inquiry.questions ?? []) this.#asked.delete(toHex(nonce));
  }

  #tell(now: Instant, caller: number, ip: string, { verdict, expiresAt }: Entry): void {
    this.#events.push(
      verdict.kind === 'none'
        ? { caller, type: 'unresolved', address: ip, reason: verdict.reason }
        : { caller, type: 'resolved', resolution: resolutionOf(ip, verdict, expiresAt - now) },
    );
  }
}

/** @throws UsageError */
function hostAddress(text: string): string {
  const ip = canonicalAddress(text);
  if (ip === undefined) throw new UsageError(`resolve: "${text}" is no IP address`);
  if (isGroupAddress(ip) || isUnspecified(ip)) throw new UsageError(`resolve: ${ip} is no address of one host`);
  return ip;
}

function memberOf(ip: string, verdict: Exclude<Verdict, { kind: 'none' }>): string {
  return verdict.kind === 'unicast' ? ip : verdict.unicast;
}

function resolutionOf(ip: string, verdict: Exclude<Verdict, { kind: 'none' }>, ttlMs: number): Resolution {
  const confirmed = verdict.kind === 'unicast' || verdict.confirmed;
  return { address: ip, kind: verdict.kind, unicast: memberOf(ip, verdict), confirmed, ttlMs };
}
