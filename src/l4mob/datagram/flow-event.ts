/**
 * What a datagram flow tells its owner, and how packets leave it.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { TurnedAway } from './flow-channel.ts';

/** Why a flow is over: we closed it, the peer did, nothing happened for long, nobody answered. */
export type FlowEnd = 'local' | 'peer' | 'idle' | 'timeout' | 'unconfirmed' | 'spent';

/** `closed` comes once, and `ended` once behind it: then the flow may be forgotten. `parted` may come between. */
export type FlowEvent =
  /** The peer has proved that it holds the key. */
  | { readonly type: 'confirmed' }
  /** The peer is elsewhere, or seems to be: `announced` says whether it said so itself. `remote` is followed already. */
  | { readonly type: 'peer-moved'; readonly remote: TransportAddress; readonly announced: boolean }
  /** Back to an earlier path: the move was none. */
  | { readonly type: 'move-undone'; readonly remote: TransportAddress }
  /** The peer receives where we send. */
  | { readonly type: 'validated'; readonly remote: TransportAddress }
  /** We moved, and the peer has answered us since. */
  | { readonly type: 'moved'; readonly gapMs: number }
  /** The peer does not answer, though nobody has moved that we know of: worth looking elsewhere. */
  | { readonly type: 'silent' }
  /** Nobody answers at any known address: time for a name server or a rendezvous, then `learnPeerAddresses`. */
  | { readonly type: 'lost' }
  /** After `lost`: the peer has answered. */
  | { readonly type: 'found'; readonly gapMs: number }
  | { readonly type: 'closed'; readonly reason: FlowEnd }
  /** We closed it, and the peer knows. */
  | { readonly type: 'parted' }
  | { readonly type: 'ended' };

export interface DatagramTransmit {
  readonly bytes: Buffer;
  readonly to: TransportAddress;
}

/** What was turned away or dropped, and why: of all flows in a table. */
export interface FlowCounters extends TurnedAway {
  /** Of no flow that is known, and taken for one of a process before this one. */
  unknown: number;
  /** CHALLENGEs to see whether the peer is where its packets, or copies of them, seem to come from. */
  challenges: number;
  /** Newest packets from elsewhere that nobody had announced, not followed: the last such move was none. */
  refusedMoves: number;
  /** Moves that were followed and turned out to be none. */
  undoneMoves: number;
  /** Not sent: beyond three times what came from a path that is not validated. */
  limited: number;
  /** Not sent: the flow is closed. */
  afterClose: number;
  /** Not sent: own packets that nobody polled. */
  overflowed: number;
}
