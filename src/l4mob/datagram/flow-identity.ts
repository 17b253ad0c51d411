/**
 * Flow identity: what an association hands to a new datagram flow. Association and open number name it, the keys prove
 * it, and the ids derived with them find it, whatever address a packet comes from.
 */
import type { FlowKeys } from '../key-schedule.ts';
import type { PortPair } from '../port-pairs.ts';
import type { SessionRole } from '../session-event.ts';
import type { Suite } from '../suite.ts';

export interface FlowIdentity {
  /** Ours. */
  readonly role: SessionRole;
  readonly associationId: Uint8Array;
  readonly openNumber: number;
  readonly portPair: PortPair;
  readonly suite: Suite;
  readonly keys: FlowKeys;
}
