/**
 * Limits: everything that grows has one, with its reason beside it. Times in milliseconds, sizes in bytes.
 */
export interface StreamLimits {
  /** No path for this long: ETIMEDOUT. As patient as the kernel's own TCP (tcp_retries2: about 15 minutes). */
  readonly sessionTimeoutMs: number;
  /** Sent but unacknowledged bytes kept for a resume: fills 100 ms x 300 Mbit/s; writers wait beyond it. */
  readonly replayLimitBytes: number;
  /** First receive window; grows while the application keeps up. Small, so that silent readers stay cheap. */
  readonly initialWindowBytes: number;
  /** Largest receive window: what one session may make us hold for an application that does not read. */
  readonly maxWindowBytes: number;
}

export const DEFAULT_STREAM_LIMITS: StreamLimits = {
  sessionTimeoutMs: 15 * 60_000,
  replayLimitBytes: 4 << 20,
  initialWindowBytes: 512 << 10,
  maxWindowBytes: 4 << 20,
};

/** What grows with the number of peers. */
export interface EndpointLimits {
  /** Sessions in a process, for each role: beyond it, new ones are plain, or refused. About 20 KB each. */
  readonly sessions: number;
  /** Associations held for each role; the longest unused goes first. About 0.5 KB each. */
  readonly associations: number;
  /** Associations that one source address may hold unconfirmed (no OPEN yet). */
  readonly unconfirmedPerSource: number;
  /** Verdicts (plain or aware) remembered. */
  readonly verdicts: number;
}

export const DEFAULT_ENDPOINT_LIMITS: EndpointLimits = {
  sessions: 65_536,
  associations: 8_192,
  unconfirmedPerSource: 32,
  verdicts: 4_096,
};

/** One record's payload: large enough to make the MAC's fixed cost vanish, small enough to hold unverified. */
export const MAX_RECORD_PAYLOAD: number = 64 << 10;

/**
 * A session that has ended answers resumes for this long, so that a lost last record hangs nobody: long enough for
 * outages. Where the peer has closed its side of the last subflow there is nothing left to answer.
 */
export const TOMBSTONE_MS: number = 5 * 60_000;
/** Tombstones kept; the oldest goes first. 4096 x about 1 KB. */
export const MAX_TOMBSTONES = 4096;
/** After close(): how long written data is offered to a peer that cannot be reached, as FIN_WAIT2 in the kernel. */
export const LINGER_MS = 60_000;

/** Addresses told to a peer, and believed of one: hosts with more have no use for them in one session. */
export const MAX_ADDRESSES = 8;
/** Candidate ports in one L4_INIT, and possible ones named in an answer. */
export const MAX_PORT_CANDIDATES = 8;
/** Rounds of L4_INIT before giving up: cookie, group, ports, and one to spare. */
export const MAX_HANDSHAKE_ROUNDS = 5;

/** Unconfirmed associations in all: beyond half of it, cookies are demanded. */
export const MAX_UNCONFIRMED = 1_024;
/** An association without an OPEN is forgotten after this. */
export const UNCONFIRMED_MS = 10_000;
/** New key agreement after this long, or this many sessions. */
export const ASSOCIATION_LIFETIME_MS: number = 60 * 60_000;
export const ASSOCIATION_MAX_OPENS = 100_000;
/**
 * Accepted L4_INITs per second before cookies are demanded: each costs a key pair, and at most one key agreement when
 * its OPEN comes; together 5 % of a core with X25519.
 */
export const HANDSHAKES_PER_SECOND_BEFORE_COOKIES = 500;
