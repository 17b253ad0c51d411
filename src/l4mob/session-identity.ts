/**
 * Session identity: what an association hands to a new session. Port pair and OPEN name it, the keys prove it.
 */
import type { SessionKeys } from './key-schedule.ts';
import type { PortPair } from './port-pairs.ts';
import type { Suite } from './suite.ts';

export interface SessionIdentity {
  readonly associationIdText: string;
  readonly portPair: PortPair;
  readonly suite: Suite;
  readonly keys: SessionKeys;
  /** Initiator: encodes OPEN for a state sequence number and window. */
  readonly encodeOpen?: (stateSequence: number, window: number) => Uint8Array;
  /** Initiator: the key of the MAC in REFUSE. */
  readonly refuseKey?: Uint8Array;
}

/** What a verified hello tells the responder. */
export interface VerifiedHello {
  readonly kind: 'open' | 'resume';
  readonly stateSequence: number;
  readonly receiveOffset: number;
  readonly window: number;
}
