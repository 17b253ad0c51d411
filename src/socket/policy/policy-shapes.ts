/**
 * The shapes of single policy values, shared by the environment and the policy file.
 */
import { DEFAULT_AARPD_SOCKET } from '../../aarp/daemon/aarpd-socket.ts';
import { isTablePath, TABLE_NAMES, type TableName } from '../../addrsel/table-name.ts';
import { canonicalAddress } from '../../core/address.ts';
import { parseHostPort } from '../../core/host-port.ts';
import { type Prefix, parsePrefix } from '../../core/prefix.ts';
import { list, oneOf, parsed, refuse, type Shape } from '../../core/shape.ts';
import { RENDEZVOUS_PORT } from '../../l4mob/rendezvous/rendezvous-port.ts';
import { canonicalHostName, isHostName } from './host-name.ts';
import {
  type AarpdSetting,
  type AddrselSetting,
  type Destination,
  GROUP_NAMES,
  type GroupName,
  MOBILITIES,
  type Mobility,
  type PortRange,
  type RendezvousSetting,
  SUITE_NAMES,
  type SuiteName,
} from './settings.ts';

/** The longest time that node's timers can wait: 24 days and 20 hours. */
export const LONGEST_MS: number = 2 ** 31 - 1;
/** Longer than any round trip; a slip such as seconds for milliseconds would stall every first connect. */
export const LONGEST_HEAD_START_MS = 10_000;

/** RFC 8085, section 3.5, asks for 15 s; some NATs forget before. Below this it would be a stream. */
export const LEAST_NAT_KEEPALIVE_MS = 1_000;

export const mobility: Shape<Mobility> = oneOf(MOBILITIES);
export const suites: Shape<readonly SuiteName[]> = list(oneOf(SUITE_NAMES), SUITE_NAMES.length, 'unique');
export const groups: Shape<readonly GroupName[]> = list(oneOf(GROUP_NAMES), GROUP_NAMES.length, 'unique');
export const prefix: Shape<Prefix> = parsed(parsePrefix);
/** Prefixes are tried at every connect and every datagram to an address that is looked up. */
const ANYCAST_LIMIT = 64;
export const anycast: Shape<readonly Prefix[]> = list(prefix, ANYCAST_LIMIT);
export const aarpd: Shape<AarpdSetting> = parsed(parseAarpd);
/** The name only: what is behind it is read where the policy is loaded. */
export const addrsel: Shape<AddrselSetting> = parsed(parseAddrsel);
export const destination: Shape<Destination> = parsed(parseDestination);
/** The name or address of one host, in canonical form. */
export const host: Shape<string> = (value, place, check) =>
  (typeof value === 'string' ? hostOf(value) : undefined) ?? refuse(value, 'a host name or an address', place, check);

/** `443`, `"443"` or `"8000-8100"`. */
export const portRange: Shape<PortRange> = (value, place, check) =>
  readPortRange(value, 1) ?? refuse(value, 'a port from 1 to 65535 or a range such as "8000-8100"', place, check);

/** As {@link portRange}; 0 lets the system choose. */
export const sessionPort: Shape<PortRange> = (value, place, check) =>
  readPortRange(value, 0) ??
  refuse(value, 'a port from 1 to 65535, a range such as "8000-8100", or 0 for any free port', place, check);

/** Every service is asked at the same time: more of them would be more noise and no more help. */
const RENDEZVOUS_LIMIT = 4;

/** `name`, `name:port`, `192.0.2.1:port`, `[2001:db8::1]:port`. */
const rendezvousService: Shape<RendezvousSetting> = (value, place, check) =>
  (typeof value === 'string' ? parseRendezvous(value) : undefined) ??
  refuse(value, 'a host, with a port or without, such as "rendezvous.example.org:4474"', place, check);

export const rendezvous: Shape<readonly RendezvousSetting[]> = list(rendezvousService, RENDEZVOUS_LIMIT);

/** A text such as `1500`, `500ms`, `30s`, `15m` or `24h`, in milliseconds. */
export function duration(leastMs: number, mostMs: number): Shape<number> {
  return (value, place, check) => {
    const [, digits, unit = 'ms'] = /^(\d{1,12})(ms|s|m|h)?$/.exec(String(value)) ?? [];
    const ms = Number(digits) * UNIT_MS[unit as keyof typeof UNIT_MS];
    if (ms >= leastMs && ms <= mostMs) return ms;
    return refuse(
      value,
      `milliseconds or a time such as 30s, 15m or 24h, from ${leastMs} to ${mostMs} ms`,
      place,
      check,
    );
  };
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

function readPortRange(value: unknown, least: number): PortRange | undefined {
  const [, firstText, lastText] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value)) ?? [];
  if (firstText === undefined) return undefined;
  const first = Number(firstText);
  const last = Number(lastText ?? firstText);
  // Zero is a word for "any" and no end of a range.
  const lowest = lastText === undefined ? least : 1;
  return first >= lowest && first <= last && last <= 65_535 ? { first, last } : undefined;
}

function parseRendezvous(text: string): RendezvousSetting | undefined {
  const { host: hostText = '', port = RENDEZVOUS_PORT } = parseHostPort(text) ?? {};
  const name = hostOf(hostText);
  return name !== undefined && port > 0 ? { host: name, port } : undefined;
}

function hostOf(text: string): string | undefined {
  const found = parseDestination(text);
  if (!('kind' in found)) return undefined;
  if (found.kind === 'name') return found.name;
  return found.kind === 'prefix' && !text.includes('/') ? canonicalAddress(text) : undefined;
}

/** A slash is asked for so that `aarpd=on` does not become a socket of that name. */
function parseAarpd(text: string): AarpdSetting | { readonly problem: string } {
  if (text === 'off') return { kind: 'off' };
  if (text.includes('/')) return { kind: 'socket', path: text };
  return { problem: `off, or the path of a socket such as ${DEFAULT_AARPD_SOCKET}` };
}

function parseAddrsel(text: string): AddrselSetting | { readonly problem: string } {
  if (text === 'system') return { kind: 'system' };
  if (TABLE_NAMES.includes(text as TableName) || isTablePath(text)) return { kind: 'table', name: text };
  return { problem: `system, ${TABLE_NAMES.join(', ')}, or the path of a table with "/" or "." in it` };
}

function parseDestination(text: string): Destination | { readonly problem: string } {
  // A colon or a slash is in no name, and a name's last label is no number.
  if (/[:/]|^[\d.]+$/.test(text)) {
    const found = parsePrefix(text);
    return 'problem' in found ? found : { kind: 'prefix', prefix: found };
  }
  const wildcard = text.startsWith('*.');
  const name = canonicalHostName(wildcard ? text.slice(2) : text);
  if (!isHostName(name))
    return { problem: 'an address, a prefix such as "2001:db8::/32", a host name or "*.example.org"' };
  return wildcard ? { kind: 'suffix', suffix: `.${name}` } : { kind: 'name', name };
}
