/**
 * `npm run bench`: mobisock beside plain sockets and node's TLS, same programs, same machine, same run. Prints medians
 * and ratios against the first variant of each table; `--json` prints all figures; `--only NAME` (may repeat) picks
 * scenarios; `--rounds N` overrides how often each is run.
 */
import { parseArgs } from 'node:util';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { tlsVariant, type Variant } from './variants.ts';

interface Row {
  readonly variant: string;
  readonly figures: number[];
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

async function measure(scenario: Scenario, tls: Variant, rounds: number): Promise<Row[]> {
  const variants = scenario.variants(tls);
  const rows = variants.map(({ name }): Row => ({ variant: name, figures: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) rows[i]?.figures.push(await scenario.measure(variant));
  }
  return rows;
}

/** The median of the ratios round by round: both sides of each were measured within seconds. */
function ratio(row: Row, base: Row): number {
  return median(row.figures.map((figure, i) => figure / (base.figures[i] ?? Number.NaN)));
}

function print({ title, unit, betterIs }: Scenario, rows: readonly Row[]): void {
  const [base] = rows;
  if (base === undefined) return;
  console.log(`\n${title} (${unit}, ${betterIs} is better)`);
  for (const row of rows) {
    const figure = median(row.figures);
    const digits = figure >= 100 ? 0 : 3;
    const spread = `${Math.min(...row.figures).toFixed(digits)} to ${Math.max(...row.figures).toFixed(digits)}`;
    const line = [
      row.variant.padEnd(28),
      figure.toFixed(digits).padStart(10),
      `x ${ratio(row, base).toFixed(2)}`.padStart(9),
    ];
    console.log(`  ${line.join('')}   ${spread}`);
  }
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
  },
});
const unknown = values.only?.filter((name) => !SCENARIOS.some((s) => s.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`--only: no scenario ${unknown.join(', ')}; there are ${SCENARIOS.map((s) => s.name).join(', ')}`);
  process.exit(2);
}
const tls = tlsVariant();
const results: Record<string, Row[]> = {};
for (const scenario of SCENARIOS) {
  if (values.only !== undefined && !values.only.includes(scenario.name)) continue;
  const rows = await measure(scenario, tls, Number(values.rounds ?? scenario.rounds));
  results[scenario.name] = rows;
  if (!values.json) print(scenario, rows);
}
if (values.json)
  console.log(JSON.stringify({ node: process.version, date: new Date().toISOString(), results }, null, 2));
