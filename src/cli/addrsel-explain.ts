/**
 * `mobisock addrsel explain`: the addresses of hosts in the order in which they are tried, with reasons.
 */
import { lookup } from 'node:dns/promises';
import type { Destination } from '../addrsel/destination-rules.ts';
import {
  GLIBC_DESTINATION,
  LINUX_SOURCE,
  RFC_6724_DESTINATION,
  RFC_6724_SOURCE,
  type SourceDialect,
} from '../addrsel/dialect.ts';
import { type RoutedDestination, routeDestination } from '../addrsel/io/machine.ts';
import { readTable } from '../addrsel/io/system-tables.ts';
import type { PolicyTable } from '../addrsel/policy-table.ts';
import { explainSource, type SourceExplanation } from '../addrsel/select-source.ts';
import { type DestinationExplanation, explainDestinations } from '../addrsel/sort-destinations.ts';
import type { SourceAddress } from '../addrsel/source-address.ts';
import { addressBytes, familyOf, isLinkLocal } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';
import { type AddressFacts, readAddressFacts } from '../host/address-facts.ts';
import { libcFailure, loadLibc } from '../host/libc.ts';
import { readArguments } from './command.ts';

const RULES = {
  system: { source: LINUX_SOURCE, destination: GLIBC_DESTINATION },
  rfc6724: { source: RFC_6724_SOURCE, destination: RFC_6724_DESTINATION },
} as const;

/** More hosts on one command line are a slip of the shell. */
const HOST_LIMIT = 64;

interface Question {
  readonly sourceTable: PolicyTable;
  readonly source: SourceDialect;
  readonly addresses: readonly AddressFacts[];
  /** Whether the kernel goes by these very table and rules, so that its own choice counts. */
  readonly isSystem: boolean;
}

interface Explained extends Destination {
  readonly routed: RoutedDestination;
  readonly explanation: SourceExplanation<AddressFacts>;
}

export async function explain(args: readonly string[]): Promise<void> {
  const { words, options } = readArguments(args, { options: ['table', 'rules'], switches: [], words: HOST_LIMIT });
  const { table, rules = 'system' } = options;
  if (words.length === 0) throw new UsageError('addrsel explain: expected a host name or addresses');
  if (!Object.hasOwn(RULES, rules)) {
    throw new UsageError(`--rules: found "${rules}", expected one of ${Object.keys(RULES).join(', ')}`);
  }
  if (loadLibc() === undefined)
    throw new Error('routes can only be asked for on Linux and with koffi', { cause: libcFailure() });
  const { source, destination } = RULES[rules as keyof typeof RULES];
  const question: Question = {
    sourceTable: readTable(table ?? 'kernel'),
    source,
    addresses: readAddressFacts(),
    isSystem: table === undefined && rules === 'system',
  };
  const ips = [...new Set((await Promise.all(words.map(addressesOf))).flat())];
  const destinations = ips.map((ip) => explainOne(ip, question));
  const sorted = explainDestinations(destinations, readTable(table ?? 'glibc'), destination);
  process.stdout.write(sorted.map((one, i) => describe(one, i + 1)).join('\n'));
  const isNamed = question.isSystem && words.length === 1 && addressBytes(words[0] ?? '') === undefined;
  const order = sorted.map((one) => one.destination.ip);
  if (isNamed) process.stdout.write(compare(ips, order));
}

/** As the system's getaddrinfo gives them. */
async function addressesOf(host: string): Promise<readonly string[]> {
  if (addressBytes(host) !== undefined) return [host];
  const found = await lookup(host, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

function explainOne(ip: string, { sourceTable, source, addresses, isSystem }: Question): Explained {
  const routed = routeDestination(ip, addresses);
  const explanation = explainSource(routed, addresses, sourceTable, source);
  const usesKernels = isSystem || familyOf(routed.ip) === 4 || routed.source === undefined;
  return { ...routed, source: usesKernels ? routed.source : explanation.chosen, routed, explanation };
}

function describe({ destination, beforeNext }: DestinationExplanation<Explained>, place: number): string {
  const { ip, source, interfaceName, routed, explanation } = destination;
  const from = source === undefined ? `: ${whyUnusable(ip)}` : ` from ${source.ip} on ${interfaceName}`;
  const lines = [`${place}. ${ip}${from}`];
  if (source !== undefined) lines.push(...describeSource(source, routed, explanation));
  if (beforeNext !== undefined) lines.push(`   before the next by rule ${beforeNext.rule}, ${beforeNext.ruleName}`);
  return `${lines.join('\n')}\n`;
}

function whyUnusable(ip: string): string {
  if (isLinkLocal(ip) && familyOf(ip) === 6 && !ip.includes('%')) return 'link-local, so of which interface (%eth0)?';
  return 'no route, or no address to send from';
}

/** Where getaddrinfo itself has another order, something is at work that isn't known here. */
function compare(given: readonly string[], sorted: readonly string[]): string {
  return given.join() === sorted.join() ? '' : `\ngetaddrinfo has another order: ${given.join(', ')}\n`;
}

function describeSource(
  source: SourceAddress,
  routed: RoutedDestination,
  { chosen, beaten }: SourceExplanation<AddressFacts>,
): readonly string[] {
  if (familyOf(source.ip) === 4) return ['   source: as the route has it; RFC 6724 leaves IPv4 to the host'];
  if (chosen?.ip !== source.ip) {
    const ours = chosen === undefined ? 'none' : chosen.ip;
    return [`   source: as the kernel has it, by the route or a setting; by the rules it would be ${ours}`];
  }
  const lines = beaten.map(({ address, rule, ruleName }) => {
    const why = rule === 'order' ? 'being first in the order of the kernel' : `rule ${rule}, ${ruleName}`;
    return `   source rather than ${address.ip} by ${why}`;
  });
  return routed.source?.ip === source.ip
    ? lines
    : [...lines, `   (the kernel as it is now takes ${routed.source?.ip})`];
}
