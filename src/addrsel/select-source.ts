/**
 * Source address selection (RFC 6724 sections 4 and 5): of a host's addresses, the one from which packets to a
 * destination should leave.
 */
import { isLinkLocal } from '../core/address.ts';
import { RFC_6724_SOURCE, type SourceDialect } from './dialect.ts';
import { isMapped } from './ipv6-form.ts';
import type { PolicyTable } from './policy-table.ts';
import { SCOPE } from './scope.ts';
import type { SourceAddress, SourceQuestion } from './source-address.ts';
import {
  type Candidate,
  candidateOf,
  decideSource,
  type SourceRuleNumber,
  type Target,
  targetOf,
} from './source-rules.ts';

/** Why an address is no candidate at all. */
export type Exclusion =
  | 'other family'
  | 'tentative'
  | 'not a unicast address'
  | 'on another interface than the outgoing one';

export interface SourceExplanation<Address extends SourceAddress> {
  readonly chosen: Address | undefined;
  /** The other candidates, in the order given, each with the rule that decided against it. */
  readonly beaten: readonly {
    readonly address: Address;
    /** `order`: no rule told the two apart, and the chosen one was there first. */
    readonly rule: SourceRuleNumber | 'order';
    readonly ruleName: string;
  }[];
  readonly excluded: readonly { readonly address: Address; readonly why: Exclusion }[];
}

/**
 * The source for a destination, or undefined where no address can be one. Where no rule tells two apart the earlier in
 * `addresses` is chosen, as by Linux in the order of RTM_GETADDR.
 *
 * For IPv4 destinations the rules are applied to IPv4 addresses in mapped form. RFC 6724 leaves those to the host, and
 * Linux takes the route's preferred source or the interface's first address: there, ask the route.
 *
 * @throws UsageError where a text is no address.
 */
export function selectSource<Address extends SourceAddress>(
  question: SourceQuestion,
  addresses: readonly Address[],
  table: PolicyTable,
  dialect: SourceDialect = RFC_6724_SOURCE,
): Address | undefined {
  return explainSource(question, addresses, table, dialect).chosen;
}

/** As {@link selectSource}, with what decided against each of the others. */
export function explainSource<Address extends SourceAddress>(
  question: SourceQuestion,
  addresses: readonly Address[],
  table: PolicyTable,
  dialect: SourceDialect = RFC_6724_SOURCE,
): SourceExplanation<Address> {
  const target = targetOf(question, table);
  const excluded: { address: Address; why: Exclusion }[] = [];
  const candidates: Candidate<Address>[] = [];
  for (const address of addresses) {
    const candidate = candidateOf(address, target, table);
    const why = exclusion(candidate, target, dialect);
    if (why === undefined) candidates.push(candidate);
    else excluded.push({ address, why });
  }
  const context = { target, dialect };
  let best = candidates[0];
  for (const candidate of candidates) {
    if (best !== undefined && decideSource(candidate, best, context)?.better === 'a') best = candidate;
  }
  const beaten = candidates
    .filter((candidate) => candidate !== best)
    .map((candidate) => {
      const decision = best && decideSource(best, candidate, context);
      const rule: SourceRuleNumber | 'order' = decision?.number ?? 'order';
      return { address: candidate.address, rule, ruleName: decision?.name ?? 'first given' };
    });
  return { chosen: best?.address, beaten, excluded };
}

function exclusion(candidate: Candidate, target: Target, dialect: SourceDialect): Exclusion | undefined {
  const { address, bytes, isTarget } = candidate;
  if (isMapped(bytes) !== isMapped(target.bytes)) return 'other family';
  if (address.tentative) return 'tentative';
  if (!isUnicast(bytes)) return 'not a unicast address';
  if (target.interfaceName === undefined || address.interfaceName === target.interfaceName) return undefined;
  const sameLink = isMulticast(target.bytes) || target.scope <= SCOPE.linkLocal;
  // What goes to the host itself has no outgoing interface to speak of; an address of a link is another on each.
  if (isTarget && !isLinkLocal(address.ip)) return undefined;
  const inSet = dialect.candidates === 'host' && !sameLink;
  return inSet ? undefined : 'on another interface than the outgoing one';
}

function isUnicast(bytes: Uint8Array): boolean {
  return !isMulticast(bytes) && bytes.some((byte, i) => byte !== 0 && (i >= 12 || !isMapped(bytes)));
}

/** ff00::/8 and 224.0.0.0/4. */
function isMulticast(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff || (isMapped(bytes) && (bytes[12] as number) >> 4 === 14);
}
