/**
 * The rules by which one source address is better than another (RFC 6724 section 5), in their order.
 */
import type { SourceDialect } from './dialect.ts';
import { commonBits, ipv6Form, MAPPED_BITS } from './ipv6-form.ts';
import type { PolicyTable } from './policy-table.ts';
import { type Decision, decide, preferred, type Rule } from './rule.ts';
import type { SourceAddress, SourceQuestion } from './source-address.ts';

/** A destination with what the rules ask of it. */
export interface Target {
  readonly bytes: Uint8Array;
  readonly scope: number;
  readonly label: number;
  readonly interfaceName: string | undefined;
  readonly nextHop: string | undefined;
}

/** A candidate with what the rules ask of it, for one target. */
export interface Candidate<Address extends SourceAddress = SourceAddress> {
  readonly address: Address;
  readonly bytes: Uint8Array;
  readonly isTarget: boolean;
  readonly scope: number;
  readonly label: number;
  /** Up to the candidate's prefix length: CommonPrefixLen of RFC 6724 section 2.2. */
  readonly commonPrefix: number;
}

export type SourceRuleNumber = '1' | '2' | '3' | '4' | '5' | '5.5' | '6' | '7' | 'orchid' | '8';

interface Context {
  readonly target: Target;
  readonly dialect: SourceDialect;
}

const outgoingInterfaceRule = (
  place: SourceDialect['outgoingInterface'],
): Rule<SourceRuleNumber, Candidate, Context> => ({
  number: '5',
  name: 'prefer outgoing interface',
  compare: (a, b, { target: { interfaceName }, dialect }) =>
    interfaceName === undefined || dialect.outgoingInterface !== place
      ? 0
      : preferred(a.address.interfaceName === interfaceName, b.address.interfaceName === interfaceName),
});

export const SOURCE_RULES: readonly Rule<SourceRuleNumber, Candidate, Context>[] = [
  { number: '1', name: 'prefer same address', compare: (a, b) => preferred(a.isTarget, b.isTarget) },
  { number: '2', name: 'prefer appropriate scope', compare: compareScopes },
  {
    number: '3',
    name: 'avoid deprecated addresses',
    compare: (a, b) => preferred(!a.address.deprecated, !b.address.deprecated),
  },
  {
    number: '4',
    name: 'prefer home addresses',
    compare: (a, b, { dialect }) =>
      dialect.homeAddresses === 'ignore' ? 0 : homeRank(b.address) - homeRank(a.address),
  },
  outgoingInterfaceRule('first'),
  {
    number: '5.5',
    name: 'prefer addresses in a prefix advertised by the next-hop',
    // A prefix of unknown origin counts as another router's, so that the rules stay an order.
    compare: (a, b, { target: { nextHop } }) =>
      nextHop === undefined ? 0 : preferred(a.address.advertisedBy === nextHop, b.address.advertisedBy === nextHop),
  },
  {
    number: '6',
    name: 'prefer matching label',
    compare: (a, b, { target }) => preferred(a.label === target.label, b.label === target.label),
  },
  {
    number: '7',
    name: 'prefer temporary addresses',
    compare: (a, b, { dialect }) => preferred(isOfWantedLife(a, dialect), isOfWantedLife(b, dialect)),
  },
  {
    number: 'orchid',
    name: 'prefer ORCHIDs for ORCHIDs only',
    compare: (a, b, { target, dialect }) =>
      dialect.separateOrchids
        ? preferred(isOrchid(a.bytes) === isOrchid(target.bytes), isOrchid(b.bytes) === isOrchid(target.bytes))
        : 0,
  },
  outgoingInterfaceRule('last'),
  { number: '8', name: 'use longest matching prefix', compare: (a, b) => b.commonPrefix - a.commonPrefix },
];

/** Which of two is better, and by which rule; undefined where no rule tells them apart. */
export function decideSource(a: Candidate, b: Candidate, context: Context): Decision<SourceRuleNumber> | undefined {
  return decide(SOURCE_RULES, a, b, context);
}

export function targetOf(question: SourceQuestion, table: PolicyTable): Target {
  const bytes = ipv6Form(question.ip);
  const scope = table.scopeOf(bytes);
  // A zone names the interface, as in `fe80::1%eth0`.
  const interfaceName = question.interfaceName ?? question.ip.split('%')[1];
  return { bytes, scope, label: table.labelOf(bytes, interfaceName), interfaceName, nextHop: question.nextHop };
}

export function candidateOf<Address extends SourceAddress>(
  address: Address,
  target: Target,
  table: PolicyTable,
): Candidate<Address> {
  const bytes = ipv6Form(address.ip);
  const common = commonBits(bytes, target.bytes);
  return {
    address,
    bytes,
    isTarget: common === 128,
    scope: table.scopeOf(bytes),
    label: table.labelOf(bytes, address.interfaceName),
    commonPrefix: Math.min(common, sourcePrefixBits(address)),
  };
}

/** An address's prefix length in IPv6 form. */
export function sourcePrefixBits({ ip, prefixLength }: SourceAddress): number {
  return ip.includes(':') ? prefixLength : prefixLength + MAPPED_BITS;
}

function compareScopes(a: Candidate, b: Candidate, { target }: Context): number {
  if (a.scope === b.scope) return 0;
  const smaller = a.scope < b.scope ? -1 : 1;
  return Math.min(a.scope, b.scope) < target.scope ? -smaller : smaller;
}

/**
 * Home and care-of at once (the node is at home), then home, then care-of. One that is neither has its place between:
 * Linux marks home addresses only, and prefers them to all others.
 */
export function homeRank({ home = false, careOf = false }: SourceAddress): number {
  if (home) return careOf ? 3 : 2;
  return careOf ? 0 : 1;
}

function isOfWantedLife({ address }: Candidate, { temporary }: SourceDialect): boolean {
  const wanted = temporary === 'by-interface' ? address.temporaryPreferred === true : temporary === 'prefer';
  return (address.temporary === true) === wanted;
}

/** 2001:10::/28. */
function isOrchid(bytes: Uint8Array): boolean {
  return bytes[0] === 0x20 && bytes[1] === 0x01 && bytes[2] === 0x00 && (bytes[3] as number) >> 4 === 1;
}
