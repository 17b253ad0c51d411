/** What is measured of anycast resolution. */
import { contactFigures } from './contacts.ts';
import { runPair, start } from './run-programs.ts';
import type { Scenario } from './scenarios.ts';
import { OFF_POLICY, type Variant } from './variants.ts';

/** So many questions at a time, each for an address of its own; the programs run from the sources. */
function atOnce(count: number): Variant {
  return { name: `${count} at once`, nodeFlags: ['--import', 'tsx'], env: { AT_ONCE: String(count) } };
}

/** The program runs from the sources. */
function call(name: 'cached' | 'resolve'): Variant {
  return { name: `${name}()`, nodeFlags: ['--import', 'tsx'], env: { CALL: name } };
}

const UNICAST = { warmUp: 4_000, counted: 4_000 };
const NAMED: Variant = {
  ...OFF_POLICY,
  name: 'others named anycast',
  env: { ...OFF_POLICY.env, MOBISOCK_ANYCAST: '2001:db8:53::/48,198.51.100.0/24', MOBISOCK_AARPD: 'off' },
};

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
  {
    name: 'aarpd-cached',
    title: 'A resolution that is in the cache of aarpd, and not in the process',
    unit: 'us',
    betterIs: 'less',
    rounds: 3,
    variants: () => [atOnce(1), atOnce(50)],
    measure: (variant) =>
      runPair<number>(
        variant,
        { name: 'aarpd-server' },
        { name: 'aarpd-client', args: (ready) => [JSON.stringify(ready)] },
      ),
  },
  {
    name: 'unicast-connect',
    title: 'A plain connect to an address that is not named anycast',
    unit: 'ms',
    betterIs: 'less',
    rounds: 5,
    variants: () => [OFF_POLICY, NAMED],
    measure: async (variant) => (await contactFigures(variant, UNICAST, 1)).connectedMs,
  },
];
