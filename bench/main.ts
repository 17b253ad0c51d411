/**
 * `npm run bench`: mobisock beside plain sockets and node's TLS, same programs, same machine, same run. Prints medians
 * and ratios against the first variant of each table.
 */
import { parseArgs } from 'node:util';
import { figureText, median, NEVER, ratio } from './figures.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import { tlsVariant, type Variant } from './variants.ts';

interface Row {
  readonly variant: string;
  readonly figures: number[];
}

async function measure(scenario: Scenario, tls: Variant, rounds: number): Promise<Row[]> {
  const variants = scenario.variants(tls);
  const rows = variants.map(({ name }): Row => ({ variant: name, figures: [] }));
  for (let round = 0; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) rows[i]?.figures.push(await scenario.measure(variant));
  }
  return rows;
}

function print({ title, unit, betterIs, giveUpMs = 0 }: Scenario, rows: readonly Row[]): void {
  const [base] = rows;
  if (base === undefined) return;
  console.log(`\n${title} (${unit}, ${betterIs} is better)`);
  for (const { variant, figures } of rows) {
    const figure = median(figures);
    const digits = figure >= 100 ? 0 : 3;
    const [least, most] = [Math.min(...figures), Math.max(...figures)];
    const spread = least === NEVER ? '' : `${figureText(least, digits)} to ${figureText(most, digits)}`;
    const gaveUp = most === NEVER ? `gave up after ${giveUpMs / 1000} s` : '';
    const times = ratio(figures, base.figures);
    const line = [
      variant.padEnd(28),
      figureText(figure, digits).padStart(10),
      (times === undefined ? '-' : `x ${times.toFixed(2)}`).padStart(9),
    ];
    console.log(`  ${line.join('')}   ${[spread, gaveUp].filter(Boolean).join(', ')}`);
  }
}

const USAGE = `npm run bench -- [options]
  --only NAME   one scenario, may repeat: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --rounds N    how often each is run
  --json        all figures, "never" for what did not happen
`;

function options() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        only: { type: 'string', multiple: true },
        rounds: { type: 'string' },
      },
    }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exit(2);
  }
}

const values = options();
if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
const unknown = values.only?.filter((name) => !SCENARIOS.some((s) => s.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`--only: no scenario ${unknown.join(', ')}; there are ${SCENARIOS.map((s) => s.name).join(', ')}`);
  process.exit(2);
}
const tls = tlsVariant();
const results: Record<string, Row[]> = {};
const skipped: Record<string, string> = {};
for (const scenario of SCENARIOS) {
  if (values.only !== undefined && !values.only.includes(scenario.name)) continue;
  const missing = await scenario.missing?.();
  if (missing !== undefined) {
    skipped[scenario.name] = missing;
    if (!values.json) console.log(`\n${scenario.title}: skipped, ${missing}`);
    continue;
  }
  const rows = await measure(scenario, tls, Number(values.rounds ?? scenario.rounds));
  results[scenario.name] = rows;
  if (!values.json) print(scenario, rows);
}
if (values.json) {
  const report = { node: process.version, date: new Date().toISOString(), results, skipped };
  console.log(JSON.stringify(report, (_, value) => (value === NEVER ? 'never' : value), 2));
}
