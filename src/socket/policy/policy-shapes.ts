/**
 * The shapes of single policy values, shared by the environment and the policy file.
 */
import { canonicalAddress } from '../../core/address.ts';
import { canonicalHostName, isHostName } from './host-name.ts';
import { type Prefix, parsePrefix } from './prefix.ts';
import {
  type Destination,
  GROUP_NAMES,
  type GroupName,
  MOBILITIES,
  type Mobility,
  type PortRange,
  SUITE_NAMES,
  type SuiteName,
} from './settings.ts';
import { list, oneOf, parsed, refuse, type Shape } from './shape.ts';

/** The longest time that node's timers can wait: 24 days and 20 hours. */
export const LONGEST_MS: number = 2 ** 31 - 1;
/** Longer than any round trip; a slip such as seconds for milliseconds would stall every first connect. */
export const LONGEST_HEAD_START_MS = 10_000;

export const mobility: Shape<Mobility> = oneOf(MOBILITIES);
export const suites: Shape<readonly SuiteName[]> = list(oneOf(SUITE_NAMES), SUITE_NAMES.length, 'unique');
export const groups: Shape<readonly GroupName[]> = list(oneOf(GROUP_NAMES), GROUP_NAMES.length, 'unique');
export const prefix: Shape<Prefix> = parsed(parsePrefix);
export const destination: Shape<Destination> = parsed(parseDestination);
/** The name or address of one host, in canonical form. */
export const host: Shape<string> = (value, place, check) => {
  const found = typeof value === 'string' ? parseDestination(value) : undefined;
  if (found !== undefined && 'kind' in found) {
    if (found.kind === 'name') return found.name;
    if (found.kind === 'prefix' && !String(value).includes('/')) return canonicalAddress(String(value));
  }
  return refuse(value, 'a host name or an address', place, check);
};

/** `443`, `"443"` or `"8000-8100"`. */
export const portRange: Shape<PortRange> = (value, place, check) =>
  readPortRange(value, 1) ?? refuse(value, 'a port from 1 to 65535 or a range such as "8000-8100"', place, check);

/** As {@link portRange}; 0 lets the system choose. */
export const sessionPort: Shape<PortRange> = (value, place, check) =>
  readPortRange(value, 0) ??
  refuse(value, 'a port from 1 to 65535, a range such as "8000-8100", or 0 for any free port', place, check);

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
