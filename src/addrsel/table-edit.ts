/**
 * One entry of a table's file changed, and everything else in the file left as somebody wrote it. The text has been
 * checked before.
 */
import { UsageError } from '../core/errors.ts';
import { checkSayable, glibcDefaults, lineOf } from './gai-conf.ts';
import { type PolicyPrefix, parsePolicyPrefix } from './policy-prefix.ts';
import { keyOf, type PolicyEntry } from './policy-table.ts';

/** `set`: what isn't undefined in the entry. `remove`: the whole entry. */
export interface EntryChange {
  readonly act: 'set' | 'remove';
  readonly entry: PolicyEntry;
}

interface JsonEntry {
  prefix: string;
  interface?: string;
  label?: number;
  precedence?: number;
}

/**
 * Where the file has no line of a kind yet, all of glibc's own come with the first: glibc drops them as soon as there
 * is one.
 *
 * @throws UsageError for an entry that gai.conf cannot say, and where there is nothing to remove.
 */
export function editGaiConf(text: string, { act, entry }: EntryChange): string {
  checkSayable(entry);
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n');
  let removed = false;
  for (const keyword of ['label', 'precedence'] as const) {
    const value = entry[keyword];
    if (act === 'set' && value === undefined) continue;
    const known = glibcDefaults().entries.filter((own) => own[keyword] !== undefined);
    const concerned = act === 'set' || known.some((own) => own.prefix.text === entry.prefix.text);
    if (concerned && !lines.some((line) => lineIs(keyword, line))) {
      lines.push(...known.map((own) => lineOf(keyword, own.prefix, own[keyword] as number)));
    }
    const at = lines.findIndex((line) => lineIs(keyword, line, entry.prefix));
    if (act === 'remove') removed ||= at >= 0;
    if (at >= 0) lines.splice(at, 1);
    if (value === undefined || act === 'remove') continue;
    const after = lines.findLastIndex((line) => lineIs(keyword, line));
    lines.splice(at >= 0 ? at : after + 1, 0, lineOf(keyword, entry.prefix, value));
  }
  if (act === 'remove' && !removed) throw new UsageError(`gai.conf: no entry for ${keyOf(entry)}`);
  return `${lines.join('\n')}\n`;
}

/** `text`: undefined for a new file. @throws UsageError where there is nothing to remove. */
export function editPolicyJson(text: string | undefined, { act, entry }: EntryChange): string {
  const file = JSON.parse(text ?? '{"base": "rfc6724"}') as { entries?: JsonEntry[] };
  const entries = file.entries ?? [];
  const at = entries.findIndex((own) => keyOf(keyOfJson(own)) === keyOf(entry));
  if (act === 'remove') {
    if (at < 0) throw new UsageError(`no entry for ${keyOf(entry)} in the file; those of its base stay`);
    entries.splice(at, 1);
  } else {
    const { label, precedence } = entry;
    const known = entries[at] ?? {
      prefix: entry.prefix.text,
      ...(entry.interfaceName && { interface: entry.interfaceName }),
    };
    const changed = {
      ...known,
      ...(label !== undefined && { label }),
      ...(precedence !== undefined && { precedence }),
    };
    entries.splice(at < 0 ? entries.length : at, at < 0 ? 0 : 1, changed);
  }
  const { entries: _, ...rest } = file;
  return `${JSON.stringify(entries.length === 0 ? rest : { ...file, entries }, undefined, 2)}\n`;
}

function keyOfJson({
  prefix: text,
  interface: interfaceName,
}: JsonEntry): Pick<PolicyEntry, 'prefix' | 'interfaceName'> {
  const prefix = parsePolicyPrefix(text);
  if ('problem' in prefix) throw new UsageError(`${text}: expected ${prefix.problem}`);
  return { prefix, interfaceName };
}

/** Whether a line of gai.conf is one of the kind, for the prefix or for any. */
function lineIs(keyword: 'label' | 'precedence', line: string, prefix?: PolicyPrefix): boolean {
  const [word, text = ''] = (line.split('#')[0] as string).trim().split(/\s+/);
  if (word !== keyword || prefix === undefined) return word === keyword;
  const own = parsePolicyPrefix(text);
  return !('problem' in own) && own.text === prefix.text;
}
