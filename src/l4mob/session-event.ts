/**
 * What a stream session tells its driver, and the words in which driver and session speak of subflows.
 */
import type { Refuse } from './wire/hello.ts';
import type { Whereabouts } from './wire/update.ts';

export type SessionRole = 'initiator' | 'responder';
export type SessionErrorCode = 'ECONNRESET' | 'ETIMEDOUT' | 'ECONNREFUSED' | 'EPROTO';

/** How a subflow ended: FIN, RST, or our own address went away from under it. */
export type SubflowEnd = 'closed' | 'reset' | 'lost';
export type DialFailure = 'refused' | 'unreachable';

/**
 * `ended` comes once. Behind it only `close-subflow` follows, for subflows on which a responder's tombstone gave its
 * answer, and for those that a driver attached too late.
 */
export type SessionEvent =
  /** Initiator: connect to the peer. A dial that is under way starts over, with the addresses of now. */
  | { readonly type: 'dial' }
  | { readonly type: 'close-subflow'; readonly subflow: number; readonly graceful: boolean }
  | { readonly type: 'opened' }
  | { readonly type: 'suspended' }
  /**
   * The session goes on over another subflow; `gapMs` is 0 where the old one still worked. `samePath`: it was
   * suspended, and goes on over the old subflow, which had only been silent.
   */
  | { readonly type: 'moved'; readonly gapMs: number; readonly wasSuspended: boolean; readonly samePath: boolean }
  | { readonly type: 'refused'; readonly refuse: Refuse }
  /** It may be somewhere else: worth asking by L4_UPDATE. */
  | { readonly type: 'peer-silent' }
  | { readonly type: 'whereabouts'; readonly whereabouts: Whereabouts }
  | { readonly type: 'ended'; readonly error: SessionErrorCode | undefined };

/** Bytes for one subflow. */
export interface Transmit {
  readonly subflow: number;
  readonly bytes: readonly Uint8Array[];
}
