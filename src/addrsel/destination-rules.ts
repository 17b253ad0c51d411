/**
 * The rules by which one destination is better than another (RFC 6724 section 6), in their order. Rule 10, the order
 * as given, is no comparison of two and belongs to the sorting.
 */
import type { DestinationDialect } from './dialect.ts';
import { commonBits, ipv6Form, isMapped, MAPPED_BITS } from './ipv6-form.ts';
import type { PolicyTable } from './policy-table.ts';
import { preferred, type Rule } from './rule.ts';
import type { SourceAddress } from './source-address.ts';
import { homeRank, sourcePrefixBits } from './source-rules.ts';

export interface Destination {
  /** Any spelling; a link-local one may carry its zone. */
  readonly ip: string;
  /** Source(D): by `selectSource`, or by the kernel's own choice; undefined where there is none (rules 1 to 5, 9). */
  readonly source: SourceAddress | undefined;
  /** Known to be out of reach, by neighbour discovery or a failed connect (rule 1). */
  readonly unreachable?: boolean | undefined;
  /** The outgoing interface, for policy entries of an interface. */
  readonly interfaceName?: string | undefined;
  /**
   * Reached by a tunnel of a transition mechanism (rule 7): on Linux an outgoing interface of type ARPHRD_TUNNEL,
   * ARPHRD_TUNNEL6 or ARPHRD_SIT.
   */
  readonly encapsulated?: boolean | undefined;
}

/** A destination with what the rules ask of it. */
export interface RankedDestination<Given extends Destination = Destination> {
  readonly given: Given;
  readonly family: 4 | 6;
  readonly usable: boolean;
  readonly scope: number;
  readonly precedence: number;
  readonly source:
    | {
        readonly address: SourceAddress;
        readonly hasScope: boolean;
        readonly hasLabel: boolean;
        readonly commonPrefix: number;
      }
    | undefined;
}

export type DestinationRuleNumber = '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9' | '10';

/** Rules 1 to 8: what they leave equal is equal whatever it is compared with. */
export const DESTINATION_RULES: readonly Rule<DestinationRuleNumber, RankedDestination, undefined>[] = [
  { number: '1', name: 'avoid unusable destinations', compare: (a, b) => preferred(a.usable, b.usable) },
  { number: '2', name: 'prefer matching scope', compare: bySource(({ hasScope }) => Number(hasScope)) },
  { number: '3', name: 'avoid deprecated addresses', compare: bySource(({ address }) => Number(!address.deprecated)) },
  { number: '4', name: 'prefer home addresses', compare: bySource(({ address }) => homeRank(address)) },
  { number: '5', name: 'prefer matching label', compare: bySource(({ hasLabel }) => Number(hasLabel)) },
  { number: '6', name: 'prefer higher precedence', compare: (a, b) => b.precedence - a.precedence },
  {
    number: '7',
    name: 'prefer native transport',
    compare: (a, b) => preferred(!a.given.encapsulated, !b.given.encapsulated),
  },
  { number: '8', name: 'prefer smaller scope', compare: (a, b) => a.scope - b.scope },
];

/** Rule 9, within a family only. */
export const LONGEST_PREFIX_RULE: Rule<DestinationRuleNumber, RankedDestination, undefined> = {
  number: '9',
  name: 'use longest matching prefix',
  compare: (a, b) => (a.family === b.family ? byCommonPrefix(a, b, undefined) : 0),
};

export function rankDestination<Given extends Destination>(
  given: Given,
  table: PolicyTable,
  dialect: DestinationDialect,
): RankedDestination<Given> {
  const { ip, source, interfaceName, unreachable = false } = given;
  const bytes = ipv6Form(ip);
  const scope = table.scopeOf(bytes);
  const precedence = table.precedenceOf(bytes, interfaceName);
  const family = isMapped(bytes) ? 4 : 6;
  // Of two that are unusable only one may have a source: rules that ask for it would be no order among them.
  if (source === undefined || unreachable)
    return { given, family, usable: false, scope, precedence, source: undefined };
  const sourceBytes = ipv6Form(source.ip);
  return {
    given,
    family,
    usable: true,
    scope,
    precedence,
    source: {
      address: source,
      hasScope: table.scopeOf(sourceBytes) === scope,
      hasLabel: table.labelOf(sourceBytes, source.interfaceName) === table.labelOf(bytes, interfaceName),
      commonPrefix: commonPrefix(commonBits(bytes, sourceBytes), family, sourcePrefixBits(source), dialect),
    },
  };
}

function commonPrefix(common: number, family: 4 | 6, prefixBits: number, dialect: DestinationDialect): number {
  if (family === 4 && dialect.ipv4CommonPrefix === 'same-subnet') return common >= prefixBits ? common : MAPPED_BITS;
  return family === 6 && dialect.commonPrefix === 'address' ? common : Math.min(common, prefixBits);
}

const byCommonPrefix = bySource(({ commonPrefix: bits }) => bits);

/** The higher value of the source is better; says nothing unless both have a source. */
function bySource(
  value: (source: NonNullable<RankedDestination['source']>) => number,
): Rule<DestinationRuleNumber, RankedDestination, undefined>['compare'] {
  return (a, b) => (a.source === undefined || b.source === undefined ? 0 : value(b.source) - value(a.source));
}
