/**
 * Who is charged for what a source address makes us keep: the IPv4 address itself, or the IPv6 /64, since one host has
 * all of that.
 */
import { addressBytes, familyOf } from '../core/address.ts';
import { toHex } from '../core/bytes.ts';

export function holderOf(ip: string): string {
  const bytes = familyOf(ip) === 6 ? addressBytes(ip) : undefined;
  return bytes?.length === 16 ? toHex(bytes.subarray(0, 8)) : ip;
}
