/** A host with a port or without, as people write them: the one reading of it for policy, commands and protocols. */
import { canonicalAddress, familyOf } from './address.ts';

export interface HostPort {
  /** As it was written, without brackets: an address, or what may be a name. */
  readonly host: string;
  /** 0 to 65535; undefined where none is written. */
  readonly port: number | undefined;
}

const BRACKETED = /^\[([^[\]]+)\](?::(.+))?$/;
const PLAIN = /^([^:[\]\s]+)(?::(.+))?$/;
const PORT = /^(?:0|[1-9]\d{0,4})$/;

/**
 * `name`, `name:443`, `192.0.2.1:443`, `[2001:db8::1]:443`; `[2001:db8::1]` and `2001:db8::1` without a port. Undefined
 * for anything else. IPv6 with a port takes brackets (RFC 3986 section 3.2.2), and nothing else has any.
 */
export function parseHostPort(text: string): HostPort | undefined {
  if (text.includes(':') && canonicalAddress(text) !== undefined) return { host: text, port: undefined };
  const [, bracketed, afterBrackets] = BRACKETED.exec(text) ?? [];
  if (bracketed !== undefined) return isIPv6(bracketed) ? withPort(bracketed, afterBrackets) : undefined;
  const [, plain, afterPlain] = PLAIN.exec(text) ?? [];
  return plain === undefined ? undefined : withPort(plain, afterPlain);
}

function withPort(host: string, text: string | undefined): HostPort | undefined {
  if (text === undefined) return { host, port: undefined };
  const port = PORT.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? { host, port } : undefined;
}

/** No IPv4 address in the form of one. */
function isIPv6(text: string): boolean {
  const ip = canonicalAddress(text);
  return ip !== undefined && familyOf(ip) === 6;
}
