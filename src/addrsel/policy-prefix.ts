/**
 * A prefix of the policy table: up to 128 bits, IPv4 in its mapped form. Unlike the prefixes of connection policy,
 * `::/0` has IPv4 in it, as in RFC 6724.
 */
import { addressBytes } from '../core/address.ts';
import { commonBits, ipv6Form, ipv6Text, isMapped, MAPPED_BITS } from './ipv6-form.ts';

export interface PolicyPrefix {
  /** 16 bytes; those beyond `length` bits are 0. */
  readonly bytes: Uint8Array;
  /** 0 to 128. An IPv4 prefix has 96 more than it is written with. */
  readonly length: number;
  /** Canonical, and equal where the prefixes are: `2001:db8::/32`, `::ffff:0:0/96`, `::ffff:10.0.0.0/104`. */
  readonly text: string;
}

/** Reads `2001:db8::/32`, `::ffff:0:0/96`, `10.0.0.0/8` or one address; otherwise tells what is expected. */
export function parsePolicyPrefix(text: string): PolicyPrefix | { readonly problem: string } {
  const [ip = '', lengthText, ...more] = text.split('/');
  const own = ip.includes('%') || more.length > 0 ? undefined : addressBytes(ip);
  if (own === undefined) return { problem: 'an address or a prefix such as "2001:db8::/32"' };
  const most = own.length * 8;
  const written = lengthText === undefined ? most : /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (!(written <= most)) return { problem: `a prefix length from 0 to ${most}` };
  const prefix = policyPrefix(ipv6Form(ip), written + 128 - most);
  if (commonBits(prefix.bytes, ipv6Form(ip)) < 128) {
    return { problem: `no bits beyond the prefix length, as in "${prefix.text}"` };
  }
  return prefix;
}

/** The first `length` bits of an address. */
export function policyPrefix(address: Uint8Array, length: number): PolicyPrefix {
  const bytes = address.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - i * 8))) & 0xff);
  return { bytes, length, text: `${textOf(bytes, length)}/${length}` };
}

export function prefixContains(prefix: PolicyPrefix, address: Uint8Array): boolean {
  return commonBits(prefix.bytes, address) >= prefix.length;
}

function textOf(bytes: Uint8Array, length: number): string {
  // The one that stands for all of IPv4 is known by this spelling.
  return isMapped(bytes) && length === MAPPED_BITS ? '::ffff:0:0' : ipv6Text(bytes);
}
