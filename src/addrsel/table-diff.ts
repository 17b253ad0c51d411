/**
 * What differs between policy tables, prefix by prefix.
 */
import { prefixContains } from './policy-prefix.ts';
import { keyOf, type PolicyEntry, type PolicyTable } from './policy-table.ts';

/** What one table says of a prefix. */
export interface DiffCell {
  /** Undefined where the table gives this prefix none. */
  readonly label: number | undefined;
  readonly precedence: number | undefined;
  /** Whether an entry is for this very prefix; otherwise the values are those of a shorter one. */
  readonly listed: boolean;
}

export interface DiffRow {
  /** As in `2001:db8::/32 dev eth0`. */
  readonly key: string;
  /** One for each table, in their order. */
  readonly cells: readonly DiffCell[];
}

/**
 * The prefixes, of all tables, whose label or precedence is not the same in all of them. A table that has none of the
 * one at all (the kernel: no precedences) has no say in it.
 */
export function diffTables(tables: readonly PolicyTable[]): readonly DiffRow[] {
  const entries = new Map(tables.flatMap((table) => table.entries.map((entry) => [keyOf(entry), entry] as const)));
  const differs = (cells: readonly DiffCell[], field: Field): boolean =>
    new Set(cells.filter((_, i) => tables[i]?.entries.some(has(field))).map((cell) => cell[field])).size > 1;
  return [...entries.values()]
    .map((entry) => ({ key: keyOf(entry), cells: tables.map((table) => cellOf(table, entry)) }))
    .filter(({ cells }) => differs(cells, 'label') || differs(cells, 'precedence'));
}

/**
 * Whether two tables make the same groups by their labels. Labels are only ever compared with labels of the same table:
 * with the same groups under other numbers they decide alike.
 */
export function groupsAlike(a: PolicyTable, b: PolicyTable): boolean {
  const there = new Map<number | undefined, number | undefined>();
  const back = new Map<number | undefined, number | undefined>();
  for (const entry of [...a.entries, ...b.entries].filter(has('label'))) {
    const [left, right] = [valueFor(a, entry, 'label'), valueFor(b, entry, 'label')];
    if ((there.has(left) && there.get(left) !== right) || (back.has(right) && back.get(right) !== left)) return false;
    there.set(left, right);
    back.set(right, left);
  }
  return true;
}

type Field = 'label' | 'precedence';

function cellOf(table: PolicyTable, entry: PolicyEntry): DiffCell {
  return {
    label: valueFor(table, entry, 'label'),
    precedence: valueFor(table, entry, 'precedence'),
    listed: table.entries.some((other) => keyOf(other) === keyOf(entry)),
  };
}

/** What a table gives a prefix as a whole: not what it gives longer ones in it. */
function valueFor({ entries }: PolicyTable, { prefix, interfaceName }: PolicyEntry, field: Field): number | undefined {
  return entries.find(
    (entry) =>
      has(field)(entry) &&
      (entry.interfaceName === undefined || entry.interfaceName === interfaceName) &&
      entry.prefix.length <= prefix.length &&
      prefixContains(entry.prefix, prefix.bytes),
  )?.[field];
}

function has(field: Field): (entry: PolicyEntry) => boolean {
  return (entry) => entry[field] !== undefined;
}
