/** What datagram flows turned away, for those who look: see {@link EndpointCounters} in mobile-stream.ts. */
import type { FlowCounters } from '../datagram/flow-event.ts';

/** Of all datagram flows of the process since the start. Every count only rises. */
export interface PacketCounters {
  /** Packets of datagram flows whose form is wrong. */
  readonly malformedPackets: number;
  /** Those with a wrong MAC: forged or altered. */
  readonly forgedPackets: number;
  /** Those that had come before: copies, of packets and of OPENs. */
  readonly replayedPackets: number;
  /** Those that came so late that nobody can tell whether they had come before. */
  readonly stalePackets: number;
  /** Those of flows that this process does not know, such as a process before it had; not delivered. */
  readonly unknownPackets: number;
  /** Not sent: beyond three times what had come from a place where the peer had not shown that it is there. */
  readonly limitedPackets: number;
  /** CHALLENGEs to places where peers seemed to be, or seemed to have left. */
  readonly challenges: number;
  /** Unannounced moves of peers that were not followed, because the last one was none. */
  readonly refusedMoves: number;
  /** Moves of peers that were followed, and taken back when they proved to be none. */
  readonly undoneMoves: number;
}

/** Before there is a mobile UDP socket. */
export const NO_PACKETS: PacketCounters = {
  malformedPackets: 0,
  forgedPackets: 0,
  replayedPackets: 0,
  stalePackets: 0,
  unknownPackets: 0,
  limitedPackets: 0,
  challenges: 0,
  refusedMoves: 0,
  undoneMoves: 0,
};

export function packetCounters(counters: FlowCounters): PacketCounters {
  const { malformed, forged, replayed, stale, unknown, limited, challenges, refusedMoves, undoneMoves } = counters;
  return {
    malformedPackets: malformed,
    forgedPackets: forged,
    replayedPackets: replayed,
    stalePackets: stale,
    unknownPackets: unknown,
    limitedPackets: limited,
    challenges,
    refusedMoves,
    undoneMoves,
  };
}
