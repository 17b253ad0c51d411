/** What is measured of UDP. */
import { runPair, start } from './run-programs.ts';
import type { Scenario } from './scenarios.ts';
import { flows, GMAC, HMAC, mobileOnly, OFF_POLICY, PLAIN, type Variant } from './variants.ts';

const DATAGRAMS = { warmUp: 60_000, counted: 300_000 };
const IDLE = { warmUp: 500, counted: 3_000 };

async function idleFlowBytes(variant: Variant): Promise<number> {
  const server = start('datagram-server', [], variant);
  try {
    const port = await server.message();
    const client = start('datagram-idle-client', [String(port), String(IDLE.warmUp), String(IDLE.counted)], variant);
    try {
      await client.message();
      const memory = async (): Promise<{ rss: number; peers: number }> => {
        const answer = server.message();
        server.process.send('memory');
        return (await answer) as { rss: number; peers: number };
      };
      const before = await memory();
      const held = client.message();
      client.process.send('go');
      await held;
      const after = await memory();
      return (after.rss - before.rss) / (after.peers - before.peers);
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
    rounds: 3,
    variants: () => [PLAIN, mobileOnly(HMAC)],
    measure: idleFlowBytes,
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
