/**
 * Address selection in use: the addresses of a name in the order in which they should be tried, and the sources from
 * which a host that has moved should try a destination, by a policy table and what the kernel says of this machine now.
 *
 * The table is read at once, and again when an answer is wanted and the file has changed since; the kernel's labels in
 * every turn of the event loop that asks. One that can't be read leaves the last one in force, with a warning.
 *
 * Destinations are ranked with the sources that the kernel would give them, since it is the kernel that will. Sources
 * after a move are ranked as `ROAMING_SOURCE` says.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { canonicalAddress } from '../../core/address.ts';
import { type AddressFacts, readAddressFacts } from '../../host/address-facts.ts';
import { currentTurn } from '../../host/event-loop-turn.ts';
import { scopeOf } from '../../host/local-addresses.ts';
import { GLIBC_DESTINATION, ROAMING_SOURCE } from '../dialect.ts';
import type { PolicyTable } from '../policy-table.ts';
import { selectSource } from '../select-source.ts';
import { sortDestinations } from '../sort-destinations.ts';
import { isTablePath } from '../table-name.ts';
import { routeDestination } from './machine.ts';
import { GAI_CONF, readTable } from './system-tables.ts';

/** Sources for one destination: a host with more ways out at a time has no use for all of them in one dial. */
const MAX_SOURCES = 4;

export class AddressSelection {
  readonly #name: string;
  readonly #warn: (message: string) => void;
  #table: PolicyTable;
  #version: string | undefined;
  #warned: string | undefined;
  #facts: readonly AddressFacts[] = [];
  #factsOf = 0;

  /** `table` as `readTable` takes it. @throws UsageError with every mistake of a file; system errors of the kernel's. */
  constructor(table: string, warn: (message: string) => void) {
    this.#name = isTablePath(table) ? resolve(table) : table;
    this.#warn = warn;
    this.#version = versionOf(this.#name);
    this.#table = readTable(this.#name);
  }

  /** What a lookup has found, best first; what is no address comes last. */
  order<Found extends { readonly address: string }>(found: readonly Found[]): Found[] {
    const table = this.#currentTable();
    const facts = this.#currentFacts();
    const known = found.filter(({ address }) => canonicalAddress(address) !== undefined);
    const destinations = known.map((entry) => ({ ...routeDestination(entry.address, facts), entry }));
    const sorted = sortDestinations(destinations, table, GLIBC_DESTINATION).map(({ entry }) => entry);
    return [...sorted, ...found.filter((entry) => !known.includes(entry))];
  }

  /** Addresses of this host from which to try `destination`, best first, of its scope; none where it is no address. */
  sourcesFor(destination: string): string[] {
    if (canonicalAddress(destination) === undefined) return [];
    const table = this.#currentTable();
    const facts = this.#currentFacts();
    const route = routeDestination(destination, facts);
    const scope = scopeOf(route.ip);
    // What no rule tells apart stays in order: the kernel's own choice comes first.
    let rest = facts
      .filter(({ ip }) => scopeOf(ip) === scope)
      .sort((a, b) => Number(b.ip === route.source?.ip) - Number(a.ip === route.source?.ip));
    const sources: string[] = [];
    while (sources.length < MAX_SOURCES) {
      const next = selectSource(route, rest, table, ROAMING_SOURCE);
      if (next === undefined) break;
      sources.push(next.ip);
      rest = rest.filter((address) => address !== next);
    }
    return sources;
  }

  #currentTable(): PolicyTable {
    const version = this.#tried(() => versionOf(this.#name));
    if (version !== this.#version) {
      this.#version = version;
      const read = this.#tried(() => readTable(this.#name));
      if (read !== undefined) this.#warned = undefined;
      this.#table = read ?? this.#table;
    }
    return this.#table;
  }

  /** Once a turn of the event loop: all sessions of a process dial in one. */
  #currentFacts(): readonly AddressFacts[] {
    const turn = currentTurn();
    if (this.#factsOf !== turn) {
      this.#factsOf = turn;
      this.#facts = this.#tried(readAddressFacts) ?? [];
    }
    return this.#facts;
  }

  /** Undefined where it fails: said once as long as the reason is the same. */
  #tried<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== this.#warned) this.#warn(`address selection: ${why}`);
      this.#warned = why;
      return undefined;
    }
  }
}

/** What is another whenever the table may be. Throws a system error. */
function versionOf(name: string): string {
  if (name === 'rfc6724') return '';
  if (name === 'kernel') return String(currentTurn());
  const found = statSync(name === 'glibc' ? GAI_CONF : name, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino} ${found.size} ${found.mtimeMs}`;
}
