/**
 * How far an address reaches (RFC 6724 sections 3.1 and 3.2). Scopes are numbers as in multicast addresses (RFC 4291
 * section 2.7), and compared as such.
 */
import { isMapped, MAPPED_BITS } from './ipv6-form.ts';
import { type PolicyPrefix, parsePolicyPrefix, prefixContains } from './policy-prefix.ts';

export const SCOPE = {
  interfaceLocal: 1,
  linkLocal: 2,
  adminLocal: 4,
  siteLocal: 5,
  organizationLocal: 8,
  global: 14,
} as const;

/** Four bits, as in multicast addresses. */
export const HIGHEST_SCOPE = 15;

/** The scope of the IPv4 addresses under a prefix; the longest one counts (`scopev4` of gai.conf). */
export interface Ipv4Scope {
  /** At least 96 bits: in mapped form. */
  readonly prefix: PolicyPrefix;
  /** 0 to 15. */
  readonly scope: number;
}

/** RFC 6724 section 3.2: private addresses are global, since translators make them so. */
export const RFC_6724_IPV4_SCOPES: readonly Ipv4Scope[] = [
  ipv4Scope('169.254.0.0/16', SCOPE.linkLocal),
  ipv4Scope('127.0.0.0/8', SCOPE.linkLocal),
  ipv4Scope('0.0.0.0/0', SCOPE.global),
];

/** The scope of 16 bytes. `ipv4Scopes`: longest prefix first. */
export function scopeOf(address: Uint8Array, ipv4Scopes: readonly Ipv4Scope[]): number {
  if (isMapped(address)) {
    return ipv4Scopes.find(({ prefix }) => prefixContains(prefix, address))?.scope ?? SCOPE.global;
  }
  const [first, second] = address as unknown as readonly [number, number];
  if (first === 0xff) return second & 0xf;
  if (first === 0xfe && second >> 6 === 2) return SCOPE.linkLocal;
  if (first === 0xfe && second >> 6 === 3) return SCOPE.siteLocal;
  // RFC 4291 section 2.5.3: the loopback address is to be treated as having link-local scope.
  return address.every((byte, i) => byte === (i < 15 ? 0 : 1)) ? SCOPE.linkLocal : SCOPE.global;
}

/** Scopes for a table: the longest prefix first, and one for all of IPv4 at the end. */
export function orderScopes(scopes: readonly Ipv4Scope[]): readonly Ipv4Scope[] {
  const all = scopes.some(({ prefix }) => prefix.length === MAPPED_BITS);
  const rest = all ? [] : [ipv4Scope('0.0.0.0/0', SCOPE.global)];
  return [...scopes, ...rest].sort((a, b) => b.prefix.length - a.prefix.length);
}

function ipv4Scope(text: string, scope: number): Ipv4Scope {
  const prefix = parsePolicyPrefix(text);
  if ('problem' in prefix) throw new RangeError(`${text}: ${prefix.problem}`);
  return { prefix, scope };
}
