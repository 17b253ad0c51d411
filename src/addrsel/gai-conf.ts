/**
 * gai.conf(5), the configuration of glibc's getaddrinfo: read as glibc reads it, except that every line that glibc
 * passes over in silence is a problem with its place; and written.
 *
 *     label      PREFIX  VALUE     any such line replaces all labels that glibc has by itself
 *     precedence PREFIX  VALUE     the same for precedences
 *     scopev4    PREFIX  VALUE     the same for IPv4 scopes; the prefix in IPv4 or in mapped form
 *     reload     yes | no          whether processes look for changes of the file
 */
import { UsageError } from '../core/errors.ts';
import { decodeTextFile } from '../core/json-file.ts';
import { nearestName } from '../core/nearest-name.ts';
import { type Check, Place, refuse, suggestion } from '../core/shape.ts';
import { GLIBC_LABELS, GLIBC_PRECEDENCES, mergeEntries } from './default-tables.ts';
import { isMapped, MAPPED_BITS } from './ipv6-form.ts';
import { type PolicyPrefix, parsePolicyPrefix } from './policy-prefix.ts';
import { ENTRY_LIMIT, keyOf, type PolicyEntry, PolicyTable } from './policy-table.ts';
import { HIGHEST_SCOPE, type Ipv4Scope, RFC_6724_IPV4_SCOPES } from './scope.ts';

/** Room for a full table with comments; anything larger is another file given by mistake. */
export const TABLE_FILE_LIMIT_BYTES = 262_144;
/** glibc passes over larger values. */
const HIGHEST_VALUE = 0x7fffffff;
/** What glibc gives addresses without a label or precedence of their own, once there are lines of that kind. */
const ANY_LABEL = 1;
const ANY_PRECEDENCE = 40;

const KEYWORDS = ['label', 'precedence', 'scopev4', 'reload'] as const;
type Keyword = (typeof KEYWORDS)[number];

export interface GaiConf {
  readonly table: PolicyTable;
  readonly reload: boolean;
}

interface Line {
  readonly place: Place;
  readonly words: readonly string[];
}

/** `name` is for messages. What cannot be used is noted and left out. */
export function readGaiConf(name: string, bytes: Uint8Array, check: Check): GaiConf {
  const file = new Place(name);
  const text = decodeTextFile(file, bytes, TABLE_FILE_LIMIT_BYTES, check) ?? '';
  const reading = new GaiConfReading(check);
  for (const [i, line] of text.split('\n').entries()) {
    const words = (line.split('#')[0] as string).split(/\s+/).filter((word) => word !== '');
    if (words.length > 0) reading.handleLine({ place: file.key(`line ${i + 1}`), words });
  }
  return reading.finish(file);
}

/** The table of a host without gai.conf. */
export function glibcDefaults(): PolicyTable {
  return new PolicyTable(mergeEntries(GLIBC_LABELS, GLIBC_PRECEDENCES));
}

/** @throws UsageError where the table says what gai.conf cannot. */
export function writeGaiConf({ table, reload }: GaiConf): string {
  const lines: string[] = [];
  for (const entry of table.entries) checkSayable(entry);
  for (const keyword of ['label', 'precedence'] as const) {
    for (const { prefix, [keyword]: value } of table.entries) {
      if (value !== undefined) lines.push(lineOf(keyword, prefix, value));
    }
  }
  for (const { prefix, scope } of table.ipv4Scopes) lines.push(lineOf('scopev4', prefix, scope));
  if (reload) lines.push('reload yes');
  return `${lines.join('\n')}\n`;
}

/** @throws UsageError for an entry that gai.conf cannot say. */
export function checkSayable(entry: PolicyEntry): void {
  const key = keyOf(entry);
  if (entry.interfaceName !== undefined) throw new UsageError(`gai.conf: ${key}: it knows no interfaces`);
  if ((entry.label ?? 0) > HIGHEST_VALUE) throw new UsageError(`gai.conf: ${key}: labels end at ${HIGHEST_VALUE}`);
}

class GaiConfReading {
  readonly #check: Check;
  readonly #entries = { label: new Map<string, PolicyEntry>(), precedence: new Map<string, PolicyEntry>() };
  readonly #scopes = new Map<string, Ipv4Scope>();
  readonly #firstPlaces = new Map<string, Place>();
  #reload = false;

  constructor(check: Check) {
    this.#check = check;
  }

  handleLine(line: Line): void {
    const [first = '', value = '', , extra] = line.words;
    const keyword = KEYWORDS.find((known) => known === first);
    if (keyword === undefined) {
      const hint = suggestion(nearestName(first, KEYWORDS));
      refuse(first, `one of ${KEYWORDS.join(', ')}${hint}`, line.place, this.#check);
    } else if ((keyword === 'reload' ? line.words[2] : extra) !== undefined) {
      refuse(
        line.words.slice(keyword === 'reload' ? 2 : 3).join(' '),
        'nothing more on the line',
        line.place,
        this.#check,
      );
    } else if (keyword !== 'reload') this.#handleValue(keyword, line);
    else if (value === 'yes' || value === 'no') this.#reload = value === 'yes';
    else refuse(value, 'yes or no', line.place, this.#check);
  }

  finish(file: Place): GaiConf {
    const labels = withAny(this.#entries.label, { label: ANY_LABEL, precedence: undefined }) ?? GLIBC_LABELS;
    const precedences =
      withAny(this.#entries.precedence, { label: undefined, precedence: ANY_PRECEDENCE }) ?? GLIBC_PRECEDENCES;
    const entries = mergeEntries(labels, precedences);
    if (entries.length > ENTRY_LIMIT) {
      this.#check.problems.add(file, this.#check.code, `more than ${ENTRY_LIMIT} prefixes`);
    }
    const scopes = this.#scopes.size === 0 ? RFC_6724_IPV4_SCOPES : [...this.#scopes.values()];
    return { table: new PolicyTable(entries.slice(0, ENTRY_LIMIT), scopes), reload: this.#reload };
  }

  #handleValue(keyword: Exclude<Keyword, 'reload'>, { place, words }: Line): void {
    const [, prefixText = '', valueText = ''] = words;
    const prefix = this.#prefix(keyword, prefixText, place);
    const most = keyword === 'scopev4' ? HIGHEST_SCOPE : HIGHEST_VALUE;
    const value = /^\d{1,10}$/.test(valueText) ? Number(valueText) : Number.NaN;
    if (!(value <= most)) return void refuse(valueText, `a whole number from 0 to ${most}`, place, this.#check);
    if (prefix === undefined) return;
    const identity = `${keyword} ${prefix.text}`;
    const before = this.#firstPlaces.get(identity);
    if (before !== undefined) {
      return void this.#check.problems.add(place, this.#check.code, `${identity} again; ${before} has it already`);
    }
    this.#firstPlaces.set(identity, place);
    if (keyword === 'scopev4') this.#scopes.set(prefix.text, { prefix, scope: value });
    else {
      const entry = { prefix, interfaceName: undefined, label: undefined, precedence: undefined };
      this.#entries[keyword].set(prefix.text, { ...entry, [keyword]: value });
    }
  }

  #prefix(keyword: Keyword, text: string, place: Place): PolicyPrefix | undefined {
    const prefix = parsePolicyPrefix(text);
    if ('problem' in prefix) return refuse(text, prefix.problem, place, this.#check);
    if (keyword === 'scopev4') {
      if (isMapped(prefix.bytes) && prefix.length >= MAPPED_BITS) return prefix;
      return refuse(text, 'an IPv4 prefix such as "169.254.0.0/16"', place, this.#check);
    }
    if (text.includes(':')) return prefix;
    return refuse(text, `the prefix in IPv6 form, "${prefix.text}"`, place, this.#check);
  }
}

/** The entries and one for all addresses, or undefined where there are none. */
function withAny(
  entries: ReadonlyMap<string, PolicyEntry>,
  any: Pick<PolicyEntry, 'label' | 'precedence'>,
): readonly PolicyEntry[] | undefined {
  if (entries.size === 0) return undefined;
  if (entries.has('::/0')) return [...entries.values()];
  return [
    ...entries.values(),
    { prefix: { bytes: new Uint8Array(16), length: 0, text: '::/0' }, interfaceName: undefined, ...any },
  ];
}

/** One line, in columns. */
export function lineOf(keyword: Keyword, { text }: PolicyPrefix, value: number): string {
  return `${keyword.padEnd(10)} ${text.padEnd(24)} ${value}`;
}
