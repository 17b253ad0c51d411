/**
 * The policy table as JSON: a table to begin with, and what differs from it. The reference for people is
 * docs/addrsel.md.
 */
import { readJsonFile } from '../core/json-file.ts';
import { type Check, integer, list, oneOf, parsed, record, refuse, type Shape } from '../core/shape.ts';
import { LINUX_LABELS, mergeEntries, RFC_6724_ENTRIES } from './default-tables.ts';
import { glibcDefaults, TABLE_FILE_LIMIT_BYTES } from './gai-conf.ts';
import { isMapped, MAPPED_BITS } from './ipv6-form.ts';
import { type PolicyPrefix, parsePolicyPrefix } from './policy-prefix.ts';
import { ENTRY_LIMIT, HIGHEST_PRECEDENCE, keyOf, NO_LABEL, type PolicyEntry, PolicyTable } from './policy-table.ts';
import { HIGHEST_SCOPE, type Ipv4Scope } from './scope.ts';

const BASES = {
  rfc6724: () => RFC_6724_ENTRIES,
  glibc: () => glibcDefaults().entries,
  linux: () => LINUX_LABELS,
  none: () => [],
} as const satisfies Record<string, () => readonly PolicyEntry[]>;
type Base = keyof typeof BASES;

const BASE_NAMES = Object.keys(BASES) as readonly Base[];
/** IFNAMSIZ of linux/if.h, with its final zero. */
const LONGEST_INTERFACE_NAME = 15;

const prefix: Shape<PolicyPrefix> = parsed(parsePolicyPrefix);

export const interfaceName: Shape<string> = (value, place, check) =>
  typeof value === 'string' && /^[^\s/%:]+$/.test(value) && value.length <= LONGEST_INTERFACE_NAME
    ? value
    : refuse(value, `the name of an interface, at most ${LONGEST_INTERFACE_NAME} characters`, place, check);

const fields = record(
  { prefix },
  { interface: interfaceName, label: integer(0, NO_LABEL - 1), precedence: integer(0, HIGHEST_PRECEDENCE) },
);

const entry: Shape<PolicyEntry> = (value, place, check) => {
  const checked = fields(value, place, check);
  if (checked?.prefix === undefined) return undefined;
  if (value instanceof Map && !value.has('label') && !value.has('precedence')) {
    return refuse(value, '"label", "precedence" or both', place, check);
  }
  return {
    prefix: checked.prefix,
    interfaceName: checked.interface,
    label: checked.label,
    precedence: checked.precedence,
  };
};

const ipv4Scope: Shape<Ipv4Scope> = (value, place, check) => {
  const checked = record({ prefix, scope: integer(0, HIGHEST_SCOPE) }, {})(value, place, check);
  if (checked?.prefix === undefined || checked.scope === undefined) return undefined;
  if (isMapped(checked.prefix.bytes) && checked.prefix.length >= MAPPED_BITS) return checked;
  return refuse(checked.prefix.text, 'an IPv4 prefix such as "10.0.0.0/8"', place.key('prefix'), check);
};

const policyTable = record(
  {},
  {
    base: oneOf(BASE_NAMES),
    entries: distinct(list(entry, ENTRY_LIMIT), keyOf),
    ipv4Scopes: distinct(list(ipv4Scope, ENTRY_LIMIT), (scope) => scope.prefix.text),
  },
);

/** `name` is for messages. What cannot be used is noted and left out. */
export function readPolicyJson(name: string, bytes: Uint8Array, check: Check): PolicyTable {
  const {
    base = 'rfc6724',
    entries = [],
    ipv4Scopes,
  } = readJsonFile(name, bytes, TABLE_FILE_LIMIT_BYTES, policyTable, check) ?? {};
  const merged = mergeEntries(BASES[base](), entries);
  return new PolicyTable(merged.slice(0, ENTRY_LIMIT), ipv4Scopes);
}

/** The whole table, on no other. */
export function writePolicyJson({ entries, ipv4Scopes }: PolicyTable): string {
  const rows = entries.map((own) =>
    JSON.stringify({
      prefix: own.prefix.text,
      interface: own.interfaceName,
      label: own.label,
      precedence: own.precedence,
    }),
  );
  const scopes = ipv4Scopes.map(({ prefix: own, scope }) => JSON.stringify({ prefix: own.text, scope }));
  const listOf = (items: readonly string[]): string => `[\n    ${items.join(',\n    ')}\n  ]`;
  const keys = ['"base": "none"', ...(rows.length === 0 ? [] : [`"entries": ${listOf(rows)}`])];
  return `{\n  ${[...keys, `"ipv4Scopes": ${listOf(scopes)}`].join(',\n  ')}\n}\n`;
}

function distinct<T>(shape: Shape<readonly T[]>, key: (item: T) => string): Shape<readonly T[]> {
  return (value, place, check) => {
    const items = shape(value, place, check) ?? [];
    const known = new Map<string, T>();
    for (const item of items) {
      if (known.has(key(item))) check.problems.add(place, check.code, `${key(item)} is there twice`);
      known.set(key(item), item);
    }
    return [...known.values()];
  };
}
