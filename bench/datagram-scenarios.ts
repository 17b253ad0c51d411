/** What is measured of UDP. */
import { runPair, start } from './run-programs.ts';
import type { Scenario } from './scenarios.ts';
import { flows, GMAC, HMAC, mobileOnly, OFF_POLICY, PLAIN, type Variant } from './variants.ts';

const DATAGRAMS = { warmUp: 60_000, counted: 300_000 };
// Enough that the growth of the heap itself is spread thin.
const IDLE = { warmUp: 2_000, counted: 8_000 };
/** Megabytes. V8's young generation stays small: as it is by default it would grow by 2 KB for each of these flows. */
const SMALL_YOUNG_GENERATION = '--max-semi-space-size=1';

async function idleFlowBytes(of: Variant, side: 'client' | 'server'): Promise<number> {
  const variant = { ...of, nodeFlags: [SMALL_YOUNG_GENERATION, ...of.nodeFlags] };
  const server = start('datagram-server', [], variant);
  try {
    const port = await server.message();
    const client = start('datagram-idle-client', [String(port), String(IDLE.warmUp), String(IDLE.counted)], variant);
    try {
      await client.message();
      const serverRss = async (): Promise<number> => {
        const answer = server.message();
        server.process.send('memory');
        return ((await answer) as { rss: number }).rss;
      };
      const serverBefore = await serverRss();
      const answer = client.message();
      client.process.send('go');
      const { before, after } = (await answer) as { before: number; after: number };
      const bytes = side === 'client' ? after - before : (await serverRss()) - serverBefore;
      return bytes / IDLE.counted;
    } finally {
      client.stop();
    }
  } finally {
    server.stop();
  }
}

export const DATAGRAM_SCENARIOS: readonly Scenario[] = [
  {
    name: 'datagrams',
    title: 'Datagrams of 1200 bytes, one flow',
    unit: '1/s',
    betterIs: 'more',
    rounds: 5,
    variants: () => [PLAIN, OFF_POLICY, mobileOnly(HMAC), mobileOnly(GMAC)],
    measure: (variant) =>
      runPair<number>(
        variant,
        { name: 'datagram-server' },
        {
          name: 'datagram-client',
          args: (port) => [String(port), String(DATAGRAMS.warmUp), String(DATAGRAMS.counted)],
        },
      ),
  },
  {
    name: 'idle-flow',
    title: 'Memory of an idle UDP peer, server',
    unit: 'bytes',
    betterIs: 'less',
    rounds: 1,
    variants: () => [PLAIN, mobileOnly(HMAC)],
    measure: (variant) => idleFlowBytes(variant, 'server'),
  },
  {
    name: 'idle-flow-client',
    title: 'Memory of an idle connected UDP socket, client',
    unit: 'bytes',
    betterIs: 'less',
    rounds: 1,
    variants: () => [PLAIN, mobileOnly(HMAC)],
    measure: (variant) => idleFlowBytes(variant, 'client'),
  },
  {
    name: 'flow-lookup',
    title: 'A datagram finds its flow and is opened',
    unit: 'us',
    betterIs: 'less',
    rounds: 3,
    variants: () => [flows(1_000), flows(10_000), flows(50_000)],
    measure: async (variant) => (await start('flow-lookup', [], variant).message()) as number,
  },
];
