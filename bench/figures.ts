/** What is done with figures: they are numbers in the scenario's unit, or NEVER. */

/** A figure of what did not happen while anybody waited. Sorts behind all others. */
export const NEVER: number = Number.POSITIVE_INFINITY;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/**
 * The median of the ratios round by round: both sides of each were measured within seconds. Undefined where either side
 * has a NEVER.
 */
export function ratio(figures: readonly number[], base: readonly number[]): number | undefined {
  if ([...figures, ...base].includes(NEVER)) return undefined;
  return median(figures.map((figure, i) => figure / (base[i] ?? Number.NaN)));
}

export function figureText(figure: number, digits: number): string {
  return figure === NEVER ? 'never' : figure.toFixed(digits);
}
