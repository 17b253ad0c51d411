/** The bounds of a resolver and how long it keeps what it knows, each with its reason. */
import type { Rate } from './rate-gate.ts';

export interface ResolverLimits {
  /** Addresses of which something is kept. */
  readonly entries: number;
  /** Inquiries at a time; and as many that have ended, whose late answers still count. */
  readonly inquiries: number;
  /** Callers who wait, over all addresses. */
  readonly waiting: number;
  /** Addresses whose failures and silences are kept in mind. */
  readonly histories: number;
  /** Members of one address that are kept away from. */
  readonly shunnedPerAddress: number;
  /** Questions to all addresses together. */
  readonly probeRate: Rate;
  /** Inquiries about one address. */
  readonly inquiryRate: Rate;
}

export const DEFAULT_RESOLVER_LIMITS: ResolverLimits = {
  // 1 MB in all; few processes talk with more hosts within a minute.
  entries: 4_096,
  // A burst of connects to many addresses at once: each inquiry has at most nine questions of 300 bytes.
  inquiries: 256,
  // More callers than a process has descriptors for.
  waiting: 16_384,
  histories: 1_024,
  // The candidates of two inquiries.
  shunnedPerAddress: 16,
  // 200 questions are 60 KB: no burden to any network, nor is the same every two seconds.
  probeRate: { burst: 200, intervalMs: 10 },
  // Failures come in bursts when a member dies; an address that nobody can connect to must not be asked all the time.
  inquiryRate: { burst: 3, intervalMs: 1_000 },
};

/** All in milliseconds. */
export interface ResolverTimes {
  readonly anycastMs: number;
  readonly longestAnycastMs: number;
  readonly unconfirmedMs: number;
  readonly unicastMs: number;
  readonly silentMs: number;
  readonly longestSilentMs: number;
  readonly unreachableMs: number;
  readonly shunMs: number;
  readonly lingerMs: number;
}

export const DEFAULT_RESOLVER_TIMES: ResolverTimes = {
  // A member that is nearer, or back, is used after this; until then one probe serves all connects. docs/aarp.md.
  anycastMs: 60_000,
  // What a member may ask for.
  longestAnycastMs: 3_600_000,
  unconfirmedMs: 10_000,
  // An address seldom becomes an anycast one.
  unicastMs: 3_600_000,
  // Doubled with each silence in a row: a host that answers no probes never will, one that was down is back soon.
  silentMs: 5_000,
  longestSilentMs: 300_000,
  // A route may be there the next moment, and a question without one puts nothing on the wire.
  unreachableMs: 1_000,
  // Long enough that a member which is being restarted is not the next one again.
  shunMs: 30_000,
  // The slowest answers, and those of the farther members.
  lingerMs: 2_000,
};
