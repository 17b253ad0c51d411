/**
 * "Did you mean ...": the known name closest to a mistyped one, by Levenshtein distance. Only ever runs on the way to
 * an error message.
 */

/** Undefined where nothing known is close: more than a third of the letters would have to change. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  // Longer than any known name could be close to; also bounds the work on hostile input.
  if (name.length > 100) return undefined;
  const wanted = name.toLowerCase();
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const found = distance(wanted, candidate.toLowerCase());
    if (
      found <= Math.max(2, candidate.length / 3) &&
      found < candidate.length &&
      found < (best?.distance ?? Infinity)
    ) {
      best = { name: candidate, distance: found };
    }
  }
  return best?.name;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
