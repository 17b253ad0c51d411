/**
 * Addresses of this host as candidates for a source, and what rules of RFC 6724 section 5 need to know of them beyond
 * the address. On Linux all of it comes by RTM_GETADDR and RTM_GETLINK (`src/host/address-facts.ts`) except where
 * another origin is named.
 */

export interface SourceAddress {
  /** Any spelling; a link-local one may carry its zone. */
  readonly ip: string;
  /** Bits that the link's other hosts have too, as configured: 0 to 128, for IPv4 0 to 32 (rule 8). */
  readonly prefixLength: number;
  /** Candidate set, rule 5, and policy entries for an interface. */
  readonly interfaceName: string;
  /** Past its preferred lifetime: IFA_F_DEPRECATED (rule 3). */
  readonly deprecated?: boolean | undefined;
  /** Duplicate address detection still runs or has failed: IFA_F_TENTATIVE, IFA_F_DADFAILED. Never a candidate. */
  readonly tentative?: boolean | undefined;
  /** A mobile node's home address: IFA_F_HOMEADDRESS (rule 4). */
  readonly home?: boolean | undefined;
  /** A mobile node's care-of address (rule 4). Linux doesn't know which are: whoever signals for the node does. */
  readonly careOf?: boolean | undefined;
  /** A privacy address (RFC 8981): IFA_F_TEMPORARY (rule 7). */
  readonly temporary?: boolean | undefined;
  /** Its interface prefers temporary addresses: sysctl `net.ipv6.conf.IF.use_tempaddr` is 2 (rule 7 of Linux). */
  readonly temporaryPreferred?: boolean | undefined;
  /** The router that advertised its prefix (rule 5.5). Linux doesn't keep it: router advertisements tell. */
  readonly advertisedBy?: string | undefined;
}

/** Where packets are to go, and by which way; on Linux by RTM_GETROUTE (`src/host/route-lookup.ts`). */
export interface SourceQuestion {
  /** Any spelling; of a link-local or multicast destination the zone may stand for `interfaceName`. */
  readonly ip: string;
  /** The outgoing interface: candidate set, rule 5, and policy entries. Undefined where it isn't known. */
  readonly interfaceName?: string | undefined;
  /** The router that packets go to first (rule 5.5); undefined on-link, or where it isn't known. */
  readonly nextHop?: string | undefined;
}
