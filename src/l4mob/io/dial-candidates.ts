/** How a session that has lost its path may reach its peer: where to, and from which addresses of this host. */
import type { TransportAddress } from '../../core/address.ts';
import type { DialCandidate } from '../../host/tcp-dialer.ts';

/** Addresses of this host from which to try a destination, best first; none: as the kernel chooses. */
export type SourcesFor = (destination: string) => readonly string[];

/** Sockets that one dial opens at first. Eight addresses of the peer, from two of ours. */
const MAX_CANDIDATES = 16;

/** All destinations from the best source of each, then from the next, and so on. */
export function dialCandidates(destinations: readonly TransportAddress[], sourcesFor: SourcesFor): DialCandidate[] {
  const ways = destinations.flatMap((destination) => {
    const sources = sourcesFor(destination.ip);
    if (sources.length === 0) return [{ ...destination, rank: 0 }];
    return sources.map((localAddress, rank) => ({ ...destination, localAddress, rank }));
  });
  return ways.sort((a, b) => a.rank - b.rank).slice(0, MAX_CANDIDATES);
}
