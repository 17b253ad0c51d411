/** What is measured of anycast resolution. */
import { start } from './run-programs.ts';
import type { Scenario } from './scenarios.ts';
import type { Variant } from './variants.ts';

/** The program runs from the sources. */
function call(name: 'cached' | 'resolve'): Variant {
  return { name: `${name}()`, nodeFlags: ['--import', 'tsx'], env: { CALL: name } };
}

export const ANYCAST_SCENARIOS: readonly Scenario[] = [
  {
    name: 'aarp-cached',
    title: 'A resolution that is in the cache of the process',
    unit: 'us',
    betterIs: 'less',
    rounds: 3,
    variants: () => [call('cached'), call('resolve')],
    measure: async (variant) => (await start('aarp-cached', [], variant).message()) as number,
  },
];
