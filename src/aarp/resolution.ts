/**
 * What comes of asking which host answers for an address, and the interface of whoever can be asked: the resolver in
 * this process, or one behind a daemon. The paper's `aarp_resolv()` is {@link Resolver.resolve}.
 */

/** The address to talk to instead of `address`. */
export interface Resolution {
  /** The one asked about. Canonical text, as all addresses here; a link-local one carries its zone. */
  readonly address: string;
  /** `unicast`: the address answers for itself, and `unicast` below is the same address. */
  readonly kind: 'anycast' | 'unicast';
  readonly unicast: string;
  /** False where the member was named but its own address has not answered: somewhere on the way it may be filtered. */
  readonly confirmed: boolean;
  /** For how much longer this holds, in milliseconds. */
  readonly ttlMs: number;
}

/**
 * - `silent`: nothing answered.
 * - `unreachable`: the question could not be sent (no route, no socket for it).
 * - `busy`: too many questions at once; this one was not asked.
 * - `closed`: the resolver was closed meanwhile.
 */
export type UnresolvedReason = 'silent' | 'unreachable' | 'busy' | 'closed';

/** That nobody answers for an address says nothing against connecting to it. */
export class UnresolvedError extends Error {
  override readonly name = 'UnresolvedError';
  readonly code = 'ERR_MOBISOCK_UNRESOLVED';
  readonly address: string;
  readonly reason: UnresolvedReason;
  constructor(address: string, reason: UnresolvedReason) {
    super(`${address}: ${REASON_TEXT[reason]}`);
    this.address = address;
    this.reason = reason;
  }
}

const REASON_TEXT: Readonly<Record<UnresolvedReason, string>> = {
  silent: 'no answer to probes',
  unreachable: 'probes cannot be sent there',
  busy: 'not asked, too many addresses are being resolved',
  closed: 'the resolver was closed',
};

export interface Resolver {
  /**
   * At the latest after {@link ANSWER_LIMIT_MS}.
   *
   * @throws (rejects with) UnresolvedError; UsageError where it is no address of one host (no address, multicast).
   */
  resolve(address: string): Promise<Resolution>;
  /** What is known now, without asking anybody: for calls that cannot wait. `address` in canonical text. */
  cached(address: string): Resolution | undefined;
  /** A connection to that member could not be made: it is left, and another one looked for. */
  failed(address: string, unicast: string): void;
  /** Forgets what it knows of one address, or of all. */
  flush(address?: string): void;
  /** Idempotent. Callers who still wait get UnresolvedError `closed`. */
  close(): void;
}

/** Nobody waits longer, whether aarpd is asked first or not. */
export const ANSWER_LIMIT_MS = 4_000;
