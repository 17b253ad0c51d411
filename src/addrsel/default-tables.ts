/**
 * The tables that hold where nothing is configured, as data: prefix, label, precedence.
 */
import { parsePolicyPrefix } from './policy-prefix.ts';
import { keyOf, type PolicyEntry } from './policy-table.ts';

type Row = readonly [prefix: string, label: number | undefined, precedence: number | undefined];

/** RFC 6724 section 2.1. */
export const RFC_6724_ENTRIES: readonly PolicyEntry[] = entries([
  ['::1/128', 0, 50],
  ['::/0', 1, 40],
  ['::ffff:0:0/96', 4, 35],
  ['2002::/16', 2, 30],
  ['2001::/32', 5, 5],
  ['fc00::/7', 13, 3],
  ['::/96', 3, 1],
  ['fec0::/10', 11, 1],
  ['3ffe::/16', 12, 1],
]);

/** glibc's labels without a gai.conf that has any: RFC 3484's, with site-local, unique local and Teredo (2.36). */
export const GLIBC_LABELS: readonly PolicyEntry[] = entries([
  ['::1/128', 0, undefined],
  ['::/0', 1, undefined],
  ['2002::/16', 2, undefined],
  ['::/96', 3, undefined],
  ['::ffff:0:0/96', 4, undefined],
  ['fec0::/10', 5, undefined],
  ['fc00::/7', 6, undefined],
  ['2001::/32', 7, undefined],
]);

/** glibc's precedences without a gai.conf that has any: RFC 3484's (2.36). */
export const GLIBC_PRECEDENCES: readonly PolicyEntry[] = entries([
  ['::1/128', undefined, 50],
  ['::/0', undefined, 40],
  ['2002::/16', undefined, 30],
  ['::/96', undefined, 20],
  ['::ffff:0:0/96', undefined, 10],
]);

/** Linux's labels as the kernel starts with them (net/ipv6/addrlabel.c); it has no precedences. */
export const LINUX_LABELS: readonly PolicyEntry[] = entries([
  ['::1/128', 0, undefined],
  ['::/0', 1, undefined],
  ['2002::/16', 2, undefined],
  ['::/96', 3, undefined],
  ['::ffff:0:0/96', 4, undefined],
  ['fc00::/7', 5, undefined],
  ['2001::/32', 6, undefined],
  ['2001:10::/28', 7, undefined],
  ['fec0::/10', 11, undefined],
  ['3ffe::/16', 12, undefined],
]);

/** Labels and precedences of the same prefixes as entries with both. The later of two values counts. */
export function mergeEntries(...lists: readonly (readonly PolicyEntry[])[]): readonly PolicyEntry[] {
  const merged = new Map<string, PolicyEntry>();
  for (const entry of lists.flat()) {
    const key = keyOf(entry);
    const before = merged.get(key);
    merged.set(key, {
      ...entry,
      label: entry.label ?? before?.label,
      precedence: entry.precedence ?? before?.precedence,
    });
  }
  return [...merged.values()];
}

function entries(rows: readonly Row[]): readonly PolicyEntry[] {
  return rows.map(([text, label, precedence]) => {
    const prefix = parsePolicyPrefix(text);
    if ('problem' in prefix) throw new RangeError(`${text}: ${prefix.problem}`);
    return { prefix, interfaceName: undefined, label, precedence };
  });
}
