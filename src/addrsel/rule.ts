/**
 * A rule of address selection, and the decision by a list of them: the first one that tells two apart.
 */

export interface Rule<RuleNumber extends string, Thing, Context> {
  /** As in RFC 6724. */
  readonly number: RuleNumber;
  /** Its headline there. */
  readonly name: string;
  /** Negative where `a` is better, positive where `b` is, 0 where the rule says nothing. */
  compare(a: Thing, b: Thing, context: Context): number;
}

export interface Decision<RuleNumber extends string> {
  readonly number: RuleNumber;
  readonly name: string;
  readonly better: 'a' | 'b';
}

/** Undefined where no rule tells the two apart. */
export function decide<RuleNumber extends string, Thing, Context>(
  rules: readonly Rule<RuleNumber, Thing, Context>[],
  a: Thing,
  b: Thing,
  context: Context,
): Decision<RuleNumber> | undefined {
  for (const { number, name, compare } of rules) {
    const order = compare(a, b, context);
    if (order !== 0) return { number, name, better: order < 0 ? 'a' : 'b' };
  }
  return undefined;
}

/** The one of which it holds comes first. */
export function preferred(a: boolean, b: boolean): number {
  return Number(b) - Number(a);
}
