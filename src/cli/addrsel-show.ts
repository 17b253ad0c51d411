/**
 * `mobisock addrsel show` and `diff`.
 */
import { writeAddrlabelCommands } from '../addrsel/addrlabel.ts';
import { writeGaiConf } from '../addrsel/gai-conf.ts';
import { readTable } from '../addrsel/io/system-tables.ts';
import { writePolicyJson } from '../addrsel/policy-json.ts';
import { keyOf, type PolicyTable } from '../addrsel/policy-table.ts';
import { type DiffCell, diffTables, groupsAlike } from '../addrsel/table-diff.ts';
import { UsageError } from '../core/errors.ts';
import { readArguments } from './command.ts';
import { formatRows } from './text-table.ts';

const FORMATS = {
  text: showText,
  json: writePolicyJson,
  'gai.conf': (table: PolicyTable) => writeGaiConf({ table, reload: false }),
  ip: writeAddrlabelCommands,
} as const satisfies Record<string, (table: PolicyTable) => string>;

/** What this machine goes by. */
const SYSTEM_TABLES = ['kernel', 'glibc'] as const;
const COMPARED_TABLES = ['rfc6724', ...SYSTEM_TABLES] as const;
/** More columns than a terminal has room for. */
const COMPARED_LIMIT = 6;

export async function show(args: readonly string[]): Promise<void> {
  const { words, options } = readArguments(args, { options: ['format'], switches: [], words: 1 });
  const format = options.format ?? 'text';
  if (!Object.hasOwn(FORMATS, format)) {
    throw new UsageError(`--format: found "${format}", expected one of ${Object.keys(FORMATS).join(', ')}`);
  }
  const [name] = words;
  if (name !== undefined) {
    process.stdout.write(FORMATS[format as keyof typeof FORMATS](readTable(name)));
    return;
  }
  if (format !== 'text') throw new UsageError(`--format ${format}: say which table`);
  process.stdout.write(SYSTEM_TABLES.map((own) => `${own}\n${showText(readTable(own))}`).join('\n'));
}

export async function diff(args: readonly string[]): Promise<void> {
  const { words } = readArguments(args, { options: [], switches: [], words: COMPARED_LIMIT });
  const names = words.length > 1 ? words : [...new Set([...words, ...COMPARED_TABLES])];
  const tables = names.map(readTable);
  const rows = diffTables(tables);
  const lines = rows.map(({ key, cells }) => [key, ...cells.map(showCell)]);
  const legend = 'label/precedence; in brackets where a shorter prefix gives them';
  const text = rows.length === 0 ? 'no difference' : `${formatRows([['prefix', ...names], ...lines])}\n\n${legend}`;
  process.stdout.write(`${text}\n${showGroups(names, tables)}`);
}

function showText({ entries, ipv4Scopes }: PolicyTable): string {
  const rows = entries.map((entry) => [keyOf(entry), showValue(entry.label), showValue(entry.precedence)]);
  const scopes = ipv4Scopes.map(({ prefix, scope }) => [prefix.text, String(scope)]);
  return `${formatRows([['prefix', 'label', 'precedence'], ...rows])}\n\n${formatRows([['IPv4 prefix', 'scope'], ...scopes])}\n`;
}

function showCell({ label, precedence, listed }: DiffCell): string {
  const text = `${showValue(label)}/${showValue(precedence)}`;
  return listed ? text : `(${text})`;
}

function showValue(value: number | undefined): string {
  return value === undefined ? '-' : String(value);
}

/** Numbers of labels mean nothing by themselves: whether the tables decide alike is another question. */
function showGroups(names: readonly string[], [first, ...others]: readonly PolicyTable[]): string {
  return others
    .map((table, i) => {
      const alike = first !== undefined && groupsAlike(first, table);
      return `labels of ${names[0]} and ${names[i + 1]}: ${alike ? 'the same groups' : 'other groups'}\n`;
    })
    .join('');
}
