/**
 * Address prefixes: read once, matched as four 32-bit words. An IPv4-mapped IPv6 address counts as the IPv4 address
 * that it stands for, on both sides; a zone plays no part.
 */
import { addressBytes, addressText } from './address.ts';

/** An address as the words that prefixes are compared with. An IPv4 address is one word, the other three are 0. */
export interface AddressWords {
  readonly family: 4 | 6;
  readonly words: readonly [number, number, number, number];
}

export interface Prefix extends AddressWords {
  /** Canonical: `2001:db8::/32`. */
  readonly text: string;
  readonly masks: readonly [number, number, number, number];
}

/** The words of an address in any spelling; undefined where the text is none. */
export function addressWords(ip: string): AddressWords | undefined {
  const bytes = addressBytes(ip);
  return bytes === undefined ? undefined : wordsOf(bytes);
}

/** Reads `10.0.0.0/8`, `2001:db8::/32` or one address; otherwise tells what is wrong with it. */
export function parsePrefix(text: string): Prefix | { readonly problem: string } {
  const [ip = '', lengthText, ...more] = text.split('/');
  const bytes = ip.includes('%') ? undefined : addressBytes(ip);
  if (bytes === undefined || more.length > 0) return { problem: 'an address or a prefix such as "2001:db8::/32"' };
  const bits = bytes.length * 8;
  const length = lengthText === undefined ? bits : /^\d{1,3}$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (!(length <= bits)) return { problem: `a prefix length from 0 to ${bits}` };
  const masked = bytes.map((byte, i) => byte & maskByte(length - i * 8));
  if (masked.some((byte, i) => byte !== bytes[i])) {
    return { problem: `no bits beyond the prefix length, as in "${prefixOf(masked, length).text}"` };
  }
  return prefixOf(masked, length);
}

export function prefixMatches(prefix: Prefix, address: AddressWords): boolean {
  const { words, masks } = prefix;
  const other = address.words;
  return (
    prefix.family === address.family &&
    ((words[0] ^ other[0]) & masks[0]) === 0 &&
    ((words[1] ^ other[1]) & masks[1]) === 0 &&
    ((words[2] ^ other[2]) & masks[2]) === 0 &&
    ((words[3] ^ other[3]) & masks[3]) === 0
  );
}

function prefixOf(bytes: Uint8Array, length: number): Prefix {
  const address = wordsOf(bytes);
  // A mapped address was shortened to its last four bytes; so is its prefix. `::/0` and the like are not mapped.
  const own = address.family === 4 && bytes.length === 16 ? length - 96 : length;
  const masks = [0, 32, 64, 96].map((start) => maskWord(own - start)) as [number, number, number, number];
  return { ...address, masks, text: `${addressText(bytes)}/${own}` };
}

function wordsOf(bytes: Uint8Array): AddressWords {
  if (bytes.length === 4) return { family: 4, words: [wordAt(bytes, 0), 0, 0, 0] };
  const words = [wordAt(bytes, 0), wordAt(bytes, 4), wordAt(bytes, 8), wordAt(bytes, 12)] as const;
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return { family: 4, words: [words[3], 0, 0, 0] };
  return { family: 6, words };
}

function wordAt(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]] as [number, number, number, number];
  return (a << 24) | (b << 16) | (c << 8) | d;
}

function maskByte(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

function maskWord(bits: number): number {
  return bits >= 32 ? -1 : bits <= 0 ? 0 : -1 << (32 - bits);
}
