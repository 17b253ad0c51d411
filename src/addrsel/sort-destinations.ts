/**
 * Destination address selection (RFC 6724 section 6): in which order the addresses of a name should be tried.
 */
import {
  DESTINATION_RULES,
  type Destination,
  type DestinationRuleNumber,
  LONGEST_PREFIX_RULE,
  type RankedDestination,
  rankDestination,
} from './destination-rules.ts';
import { type DestinationDialect, RFC_6724_DESTINATION } from './dialect.ts';
import type { PolicyTable } from './policy-table.ts';
import { decide } from './rule.ts';

export interface DestinationExplanation<Given extends Destination> {
  readonly destination: Given;
  /** What put it before the next one; undefined for the last. */
  readonly beforeNext: { readonly rule: DestinationRuleNumber; readonly ruleName: string } | undefined;
}

type Ranked = RankedDestination<Destination>;

const ALL_RULES = [...DESTINATION_RULES, LONGEST_PREFIX_RULE];

/**
 * The destinations, best first. Stable: what no rule tells apart stays in the order given (rule 10).
 *
 * @throws UsageError where a text is no address.
 */
export function sortDestinations<Given extends Destination>(
  destinations: readonly Given[],
  table: PolicyTable,
  dialect: DestinationDialect = RFC_6724_DESTINATION,
): Given[] {
  return sortRanked(destinations, table, dialect).map(({ given }) => given);
}

/** As {@link sortDestinations}, with the rule that put each before the next. */
export function explainDestinations<Given extends Destination>(
  destinations: readonly Given[],
  table: PolicyTable,
  dialect: DestinationDialect = RFC_6724_DESTINATION,
): DestinationExplanation<Given>[] {
  const sorted = sortRanked(destinations, table, dialect);
  return sorted.map((ranked, i) => {
    const next = sorted[i + 1];
    const decision = next && decide(ALL_RULES, ranked, next, undefined);
    const rule = decision?.better === 'a' ? decision : { number: '10' as const, name: 'the order as given' };
    return {
      destination: ranked.given,
      beforeNext: next && { rule: rule.number, ruleName: rule.name },
    };
  });
}

function sortRanked<Given extends Destination>(
  destinations: readonly Given[],
  table: PolicyTable,
  dialect: DestinationDialect,
): RankedDestination<Given>[] {
  const ranked = destinations.map((given) => rankDestination(given, table, dialect));
  return dialect.circles === 'merge' ? mergeSort(ranked) : sortInFamilyPlaces(ranked);
}

/** By rules 1 to 8; among what they leave equal, rule 9 for each family in the places that it has. */
function sortInFamilyPlaces<R extends Ranked>(ranked: readonly R[]): R[] {
  const sorted = [...ranked].sort((a, b) => orderBy(DESTINATION_RULES, a, b));
  for (let from = 0; from < sorted.length; ) {
    const first = sorted[from] as R;
    let to = from + 1;
    while (to < sorted.length && orderBy(DESTINATION_RULES, first, sorted[to] as R) === 0) to++;
    const equal = sorted.slice(from, to);
    for (const family of [4, 6] as const) {
      const members = equal.filter((member) => member.family === family);
      members.sort((a, b) => LONGEST_PREFIX_RULE.compare(a, b, undefined));
      for (let at = from; at < to; at++) {
        if (equal[at - from]?.family === family) sorted[at] = members.shift() as R;
      }
    }
    from = to;
  }
  return sorted;
}

/** Top down, the left half the smaller, as glibc's: in a circle the outcome depends on who is compared with whom. */
function mergeSort<R extends Ranked>(ranked: readonly R[]): R[] {
  if (ranked.length < 2) return [...ranked];
  const middle = ranked.length >> 1;
  const left = mergeSort(ranked.slice(0, middle));
  const right = mergeSort(ranked.slice(middle));
  const merged: R[] = [];
  let [i, j] = [0, 0];
  while (i < left.length && j < right.length) {
    const takesLeft = orderBy(ALL_RULES, left[i] as R, right[j] as R) <= 0;
    merged.push(takesLeft ? (left[i++] as R) : (right[j++] as R));
  }
  return [...merged, ...left.slice(i), ...right.slice(j)];
}

function orderBy(rules: typeof DESTINATION_RULES, a: Ranked, b: Ranked): number {
  const decision = decide(rules, a, b, undefined);
  if (decision === undefined) return 0;
  return decision.better === 'a' ? -1 : 1;
}
