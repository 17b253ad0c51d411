/**
 * Dialects: where implementations differ from RFC 6724, each difference as an option named for what it does.
 */

export interface SourceDialect {
  /**
   * Which addresses are candidates (RFC 6724 section 4). `outgoing-interface`: those of the interface by which the
   * destination is reached, as the RFC recommends. `host`: those of all interfaces, as Linux unless
   * `use_oif_addrs_only` is set. For link-local and multicast destinations both are the interface's.
   */
  readonly candidates: 'outgoing-interface' | 'host';
  /**
   * Rule 7. `prefer`: temporary addresses (RFC 8981), as RFC 6724. `avoid`: public ones, as RFC 3484.
   * `by-interface`: what the interface of each address says, as Linux (`use_tempaddr`).
   */
  readonly temporary: 'prefer' | 'avoid' | 'by-interface';
  /** Rule 4. `ignore`: as Linux without Mobile IPv6 (CONFIG_IPV6_MIP6). */
  readonly homeAddresses: 'prefer' | 'ignore';
  /**
   * Rule 5. `first`: in its place, as RFC 6724. `last`: behind rule 7, for a host whose routes go by the source, so that
   * choosing a source is choosing the interface.
   */
  readonly outgoingInterface: 'first' | 'last';
  /** Between rules 7 and 8, ORCHIDs (2001:10::/28, RFC 4843) only among themselves, as Linux. */
  readonly separateOrchids: boolean;
}

export const RFC_6724_SOURCE: SourceDialect = {
  candidates: 'outgoing-interface',
  temporary: 'prefer',
  homeAddresses: 'prefer',
  outgoingInterface: 'first',
  separateOrchids: false,
};

/** net/ipv6/addrconf.c, `ipv6_get_saddr_eval`. */
export const LINUX_SOURCE: SourceDialect = {
  candidates: 'host',
  temporary: 'by-interface',
  homeAddresses: 'prefer',
  outgoingInterface: 'first',
  separateOrchids: true,
};

/** Of several uplinks the one that the table prefers by label, else the one of the route. */
export const ROAMING_SOURCE: SourceDialect = { ...LINUX_SOURCE, outgoingInterface: 'last' };

export interface DestinationDialect {
  /**
   * Rule 9 for IPv6. `source-prefix`: bits beyond the source's prefix don't count (RFC 6724 section 2.2). `address`:
   * all 128 bits, as RFC 3484 and glibc.
   */
  readonly commonPrefix: 'source-prefix' | 'address';
  /**
   * Rule 9 for IPv4. `as-ipv6`: as RFC 6724. `same-subnet`: only where destination and source are in one subnet, since
   * elsewhere common bits of IPv4 addresses say nothing, as glibc.
   */
  readonly ipv4CommonPrefix: 'as-ipv6' | 'same-subnet';
  /**
   * Rule 9 compares within a family only, so that with rule 10 three destinations may be each better than the next,
   * in a circle. `family-places`: what rules 1 to 8 leave equal keeps the places of its families, and rule 9 sorts
   * within these. `merge`: the outcome of a merge sort by all rules, as glibc (its `qsort_r`).
   */
  readonly circles: 'family-places' | 'merge';
}

export const RFC_6724_DESTINATION: DestinationDialect = {
  commonPrefix: 'source-prefix',
  ipv4CommonPrefix: 'as-ipv6',
  circles: 'family-places',
};

/** sysdeps/posix/getaddrinfo.c, `rfc3484_sort` (2.36). */
export const GLIBC_DESTINATION: DestinationDialect = {
  commonPrefix: 'address',
  ipv4CommonPrefix: 'same-subnet',
  circles: 'merge',
};
