/**
 * Addresses as the rules of RFC 6724 compare them: 16 bytes, an IPv4 address in its IPv4-mapped form
 * (`::ffff:192.0.2.1`), so that one table and one comparison serve both families.
 */
import { addressBytes, addressText } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';

/** Bits of an IPv4-mapped address before the IPv4 address itself. */
export const MAPPED_BITS = 96;

/** The 16 bytes of an address in any spelling; a zone is left out. @throws UsageError where the text is no address. */
export function ipv6Form(ip: string): Uint8Array {
  const bytes = addressBytes(ip);
  if (bytes === undefined) throw new UsageError(`address selection: not an address: ${ip}`);
  return bytes.length === 16 ? bytes : mapped(bytes);
}

/** Whether 16 bytes are an IPv4-mapped address. */
export function isMapped(bytes: Uint8Array): boolean {
  return bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff));
}

/** How many leading bits two addresses have in common: 0 to 128. */
export function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return 128;
}

/** Text that stays in IPv6 form: `2001:db8::`, `::ffff:10.0.0.0`. */
export function ipv6Text(bytes: Uint8Array): string {
  return isMapped(bytes) ? `::ffff:${addressText(bytes)}` : addressText(bytes);
}

function mapped(ipv4: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(ipv4, 12);
  return bytes;
}
