/**
 * Addresses: the textual form is the key everywhere (canonical, as the kernel prints it), bytes only on the wire.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';
import { WireError } from './errors.ts';

export type Family = 4 | 6;

/** A transport address. `ip` is canonical text; an IPv6 link-local address carries its zone (`fe80::1%eth0`). */
export interface TransportAddress {
  readonly ip: string;
  readonly port: number;
}

/** The family of a canonical textual address. */
export function familyOf(ip: string): Family {
  return ip.includes(':') ? 6 : 4;
}

/** `192.0.2.1:80`, `[2001:db8::1]:80`. */
export function formatTransportAddress({ ip, port }: TransportAddress): string {
  return familyOf(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** The 4 or 16 bytes of an address, or undefined where the text is none. A zone is left out. */
export function addressBytes(ip: string): Uint8Array | undefined {
  return ip.includes(':') ? ipv6Bytes(ip) : ipv4Bytes(ip);
}

/** Canonical text (RFC 5952) of 4 or 16 bytes. IPv4-mapped IPv6 becomes IPv4. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) throw new WireError(`address of ${bytes.length} bytes`);
  if (isMapped(bytes)) return bytes.subarray(12).join('.');
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] as number) << 8) | (bytes[i + 1] as number));
  const { start, length } = longestZeroRun(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(':');
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`;
}

/** Canonical text of any spelling (`0:0::1`, `::ffff:192.0.2.1`), zone kept; undefined where it is no address. */
export function canonicalAddress(ip: string): string | undefined {
  const bytes = addressBytes(ip);
  if (bytes === undefined) return undefined;
  const zone = ip.indexOf('%');
  return zone < 0 ? addressText(bytes) : addressText(bytes) + ip.slice(zone);
}

/** Canonical text of an address as the kernel prints it: only an IPv6 one can be anything else. */
export function kernelAddress(ip: string): string {
  return familyOf(ip) === 4 ? ip : (canonicalAddress(ip) ?? ip);
}

/** Textual addresses in their order, but families in turn, the first one's first (RFC 8305 section 4). */
export function alternateFamilies(ips: readonly string[]): string[] {
  const firstFamily = familyOf(ips[0] ?? '');
  const first = ips.filter((ip) => familyOf(ip) === firstFamily);
  const second = ips.filter((ip) => familyOf(ip) !== firstFamily);
  return ips.flatMap((_, i) => [...first.slice(i, i + 1), ...second.slice(i, i + 1)]);
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

/** 169.254.0.0/16 and fe80::/10. */
export function isLinkLocal(ip: string): boolean {
  return ip.startsWith('169.254.') || /^fe[89ab][0-9a-f]:/i.test(ip);
}

/** 0.0.0.0 and ::. */
export function isUnspecified(ip: string): boolean {
  return ip === '::' || ip === '0.0.0.0';
}

/** Many hosts at once: multicast (RFC 5771, RFC 4291) and the limited broadcast. What is no address is no host either. */
export function isGroupAddress(ip: string): boolean {
  const bytes = addressBytes(ip);
  if (bytes === undefined) return true;
  const first = bytes[0] as number;
  if (bytes.length === 16) return first === 0xff;
  return first >> 4 === 14 || bytes.every((byte) => byte === 255);
}

/** Wire form: one octet of length (4 or 16), then the address. */
export function writeAddress(writer: ByteWriter, ip: string): void {
  const bytes = addressBytes(ip);
  if (bytes === undefined) throw new RangeError(`not an address: ${ip}`);
  writer.u8(bytes.length).bytes(bytes);
}

export function readAddress(reader: ByteReader, field: string): string {
  const length = reader.u8(field);
  if (length !== 4 && length !== 16) throw new WireError(`${field}: address length ${length}`);
  return addressText(reader.bytes(length, field));
}

function ipv4Bytes(ip: string): Uint8Array | undefined {
  const parts = ip.split('.');
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i] as string;
    // No leading zeros: some read those as octal.
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return bytes;
}

function ipv6Bytes(ip: string): Uint8Array | undefined {
  const zone = ip.indexOf('%');
  const halves = (zone < 0 ? ip : ip.slice(0, zone)).split('::');
  if (halves.length > 2) return undefined;
  if (halves.length === 2 && halves[0]?.includes('.')) return undefined;
  const head = ipv6Groups(halves[0] as string);
  const tail = halves.length === 2 ? ipv6Groups(halves[1] as string) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function ipv6Groups(text: string): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (group.includes('.')) {
      const quad = i === groups.length - 1 ? ipv4Bytes(group) : undefined;
      if (quad === undefined) return undefined;
      bytes.push(...quad);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes.length > 16 ? undefined : bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (i + length < groups.length && groups[i + length] === 0) length++;
    if (length > best.length) best = { start: i, length };
    i += length;
  }
  return best;
}
