/**
 * mobisock/addrsel: which address, by the rules of RFC 6724 over a policy table that can change.
 *
 *     import { PolicyTable, RFC_6724_ENTRIES, readAddressFacts, routeDestination, sortDestinations } from 'mobisock/addrsel';
 *     const table = new PolicyTable(RFC_6724_ENTRIES);
 *     const addresses = readAddressFacts();
 *     sortDestinations(ips.map((ip) => routeDestination(ip, addresses)), table);
 *
 * Free of side effects. docs/addrsel.md tells what the rules need to know, and where Linux and glibc differ.
 */
export { writeAddrlabelCommands } from './addrsel/addrlabel.ts';
export {
  GLIBC_LABELS,
  GLIBC_PRECEDENCES,
  LINUX_LABELS,
  mergeEntries,
  RFC_6724_ENTRIES,
} from './addrsel/default-tables.ts';
export type { Destination, DestinationRuleNumber } from './addrsel/destination-rules.ts';
export {
  type DestinationDialect,
  GLIBC_DESTINATION,
  LINUX_SOURCE,
  RFC_6724_DESTINATION,
  RFC_6724_SOURCE,
  ROAMING_SOURCE,
  type SourceDialect,
} from './addrsel/dialect.ts';
export { writeGaiConf } from './addrsel/gai-conf.ts';
export { type RoutedDestination, routeDestination } from './addrsel/io/machine.ts';
export { readTable } from './addrsel/io/system-tables.ts';
export { writePolicyJson } from './addrsel/policy-json.ts';
export { type PolicyPrefix, parsePolicyPrefix } from './addrsel/policy-prefix.ts';
export { NO_LABEL, type PolicyEntry, PolicyTable } from './addrsel/policy-table.ts';
export { type Exclusion, explainSource, type SourceExplanation, selectSource } from './addrsel/select-source.ts';
export { type DestinationExplanation, explainDestinations, sortDestinations } from './addrsel/sort-destinations.ts';
export type { SourceAddress, SourceQuestion } from './addrsel/source-address.ts';
export type { SourceRuleNumber } from './addrsel/source-rules.ts';
export { type DiffRow, diffTables, groupsAlike } from './addrsel/table-diff.ts';
export { type AddressFacts, readAddressFacts } from './host/address-facts.ts';
