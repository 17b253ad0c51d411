/**
 * The policy table (RFC 6724 section 2.1), as it can be changed while programs run: prefix, and optionally an
 * interface, to label and precedence. The longest prefix counts; of equal prefixes, the one for the interface.
 *
 * Life-cycle: made with entries, asked, changed by `set`, `delete` and `replace`. Each change that changes something
 * raises `generation`, so that whoever derived an answer from the table can tell by one comparison whether it still
 * holds.
 *
 * Labels and precedences are looked up apart: the kernel has labels only, and gai.conf lists the two apart. An entry
 * without one of them is passed over when that one is asked for.
 */
import { UsageError } from '../core/errors.ts';
import { type PolicyPrefix, prefixContains } from './policy-prefix.ts';
import { type Ipv4Scope, orderScopes, RFC_6724_IPV4_SCOPES, scopeOf } from './scope.ts';

/** What no entry gives a label has this one. Reserved: it can't be set. (The kernel's IPV6_ADDR_LABEL_DEFAULT.) */
export const NO_LABEL = 0xffffffff;
/** Below every precedence that can be set. */
export const NO_PRECEDENCE = -1;
/** As many as gai.conf can say (its INT_MAX). */
export const HIGHEST_PRECEDENCE = 0x7fffffff;
/** A lookup scans, some 20 ns an entry: more would be felt in every connect. Sites that have tables have some ten. */
export const ENTRY_LIMIT = 1000;

export interface PolicyEntry {
  readonly prefix: PolicyPrefix;
  /** The outgoing interface of a destination, or the one that a source address is on; undefined for any. */
  readonly interfaceName: string | undefined;
  /** 32 bits, except {@link NO_LABEL}; undefined where the entry gives a precedence only. */
  readonly label: number | undefined;
  /** 0 to {@link HIGHEST_PRECEDENCE}, higher preferred; undefined where the entry gives a label only. */
  readonly precedence: number | undefined;
}

export class PolicyTable {
  #entries: readonly PolicyEntry[] = [];
  readonly #ipv4Scopes: readonly Ipv4Scope[];
  #generation = 0;

  /** @throws UsageError for values out of range, and for the same prefix and interface twice. */
  constructor(entries: readonly PolicyEntry[] = [], ipv4Scopes: readonly Ipv4Scope[] = RFC_6724_IPV4_SCOPES) {
    this.#ipv4Scopes = orderScopes(ipv4Scopes);
    this.#entries = ordered(entries);
  }

  /** How often the table has changed. */
  get generation(): number {
    return this.#generation;
  }

  /** In the order in which they are tried. */
  get entries(): readonly PolicyEntry[] {
    return this.#entries;
  }

  /** In the order in which they are tried. */
  get ipv4Scopes(): readonly Ipv4Scope[] {
    return this.#ipv4Scopes;
  }

  /** Adds an entry, or replaces the one with the same prefix and interface. @throws UsageError */
  set(entry: PolicyEntry): void {
    this.replace([...this.#entries.filter((other) => keyOf(other) !== keyOf(entry)), entry]);
  }

  /** False where there was no such entry. */
  delete(prefix: PolicyPrefix, interfaceName?: string): boolean {
    const key = keyOf({ prefix, interfaceName });
    const rest = this.#entries.filter((other) => keyOf(other) !== key);
    const found = rest.length < this.#entries.length;
    this.replace(rest);
    return found;
  }

  /** Puts other entries in the place of all, as one change. @throws UsageError, and then nothing has changed. */
  replace(entries: readonly PolicyEntry[]): void {
    const next = ordered(entries);
    if (next.length === this.#entries.length && next.every((entry, i) => isEqual(entry, this.#entries[i]))) return;
    this.#entries = next;
    this.#generation += 1;
  }

  /** The label of an address in IPv6 form, on an interface or anywhere; {@link NO_LABEL} where none is given. */
  labelOf(address: Uint8Array, interfaceName?: string): number {
    for (const entry of this.#entries) {
      if (entry.label !== undefined && applies(entry, address, interfaceName)) return entry.label;
    }
    return NO_LABEL;
  }

  /** The precedence, as {@link labelOf}; {@link NO_PRECEDENCE} where none is given. */
  precedenceOf(address: Uint8Array, interfaceName?: string): number {
    for (const entry of this.#entries) {
      if (entry.precedence !== undefined && applies(entry, address, interfaceName)) return entry.precedence;
    }
    return NO_PRECEDENCE;
  }

  /** The scope of an address in IPv6 form: 0 to 15. */
  scopeOf(address: Uint8Array): number {
    return scopeOf(address, this.#ipv4Scopes);
  }
}

/** Identity of an entry: what can be there once. */
export function keyOf({ prefix, interfaceName }: Pick<PolicyEntry, 'prefix' | 'interfaceName'>): string {
  return interfaceName === undefined ? prefix.text : `${prefix.text} dev ${interfaceName}`;
}

function applies(entry: PolicyEntry, address: Uint8Array, interfaceName: string | undefined): boolean {
  return (
    (entry.interfaceName === undefined || entry.interfaceName === interfaceName) &&
    prefixContains(entry.prefix, address)
  );
}

function ordered(entries: readonly PolicyEntry[]): readonly PolicyEntry[] {
  if (entries.length > ENTRY_LIMIT) throw new UsageError(`policy table: more than ${ENTRY_LIMIT} entries`);
  const seen = new Set<string>();
  for (const entry of entries) {
    const key = keyOf(entry);
    if (seen.has(key)) throw new UsageError(`policy table: ${key} is there twice`);
    seen.add(key);
    checkRange(key, 'label', entry.label, NO_LABEL - 1);
    checkRange(key, 'precedence', entry.precedence, HIGHEST_PRECEDENCE);
  }
  return [...entries].sort(
    (a, b) =>
      b.prefix.length - a.prefix.length ||
      Number(a.interfaceName === undefined) - Number(b.interfaceName === undefined) ||
      (keyOf(a) < keyOf(b) ? -1 : 1),
  );
}

function checkRange(key: string, name: string, value: number | undefined, most: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= 0 && value <= most)) return;
  throw new UsageError(`policy table: ${key}: found ${name} ${value}, expected a whole number from 0 to ${most}`);
}

function isEqual(a: PolicyEntry, b: PolicyEntry | undefined): boolean {
  return b !== undefined && keyOf(a) === keyOf(b) && a.label === b.label && a.precedence === b.precedence;
}
