/**
 * What is measured. Each scenario gives one figure per variant and round; rounds go over all variants in turn, so that
 * a machine that gets slower gets slower for all.
 */
import { ANYCAST_SCENARIOS } from './anycast-scenarios.ts';
import { type ContactFigures, contactFigures } from './contacts.ts';
import { DATAGRAM_SCENARIOS } from './datagram-scenarios.ts';
import { GIVE_UP_MS, handoverMissing, handoverMs } from './handover.ts';
import { runPair, start } from './run-programs.ts';
import { DEFAULT, GCM, GMAC, HMAC, mobileOnly, OFF_POLICY, PLAIN, type Variant } from './variants.ts';

export interface Scenario {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly betterIs: 'more' | 'less';
  readonly variants: (tls: Variant) => readonly Variant[];
  readonly rounds: number;
  /** How long it waits before a figure is NEVER. */
  readonly giveUpMs?: number;
  /** Why it can't be measured here, in words. */
  missing?(): Promise<string | undefined>;
  /** In `unit`, or NEVER. */
  measure(variant: Variant): Promise<number>;
}

const THROUGHPUT_BYTES = { warmUp: 500e6, counted: 3e9 };
// A compiler at work takes from both sides, and it is at work for some 3000 contacts.
const FIRST_CONTACTS = { warmUp: 4_000, counted: 1_000 };
const LATER_CONTACTS = { warmUp: 2_000, counted: 2_000 };
const HTTP = { warmUp: 8_000, counted: 40_000 };
// Enough that the growth of the heap itself is spread thin.
const IDLE = { warmUp: 1_000, counted: 5_000 };

const firstContacts = (variant: Variant): Promise<ContactFigures> =>
  contactFigures(variant, FIRST_CONTACTS, FIRST_CONTACTS.warmUp + FIRST_CONTACTS.counted);
const laterContacts = (variant: Variant): Promise<ContactFigures> => contactFigures(variant, LATER_CONTACTS, 1);

async function idleBytes(variant: Variant, side: 'client' | 'server'): Promise<number> {
  const server = start('idle-server', [], variant);
  try {
    const port = await server.message();
    const client = start('idle-client', [String(port), String(IDLE.warmUp), String(IDLE.counted)], variant);
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

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'throughput',
    title: 'Throughput, one connection, 64 KiB writes',
    unit: 'GB/s',
    betterIs: 'more',
    rounds: 5,
    variants: (tls) => [tls, PLAIN, HMAC, GMAC, GCM],
    measure: (variant) =>
      runPair<number>(
        variant,
        { name: 'throughput-server' },
        {
          name: 'throughput-client',
          args: (port) => [String(port), String(THROUGHPUT_BYTES.warmUp), String(THROUGHPUT_BYTES.counted)],
        },
      ),
  },
  {
    name: 'http',
    title: 'HTTP keep-alive requests, 8 connections',
    unit: '1/s',
    betterIs: 'more',
    rounds: 5,
    variants: () => [PLAIN, OFF_POLICY, HMAC, GMAC],
    measure: (variant) =>
      runPair<number>(
        variant,
        { name: 'http-server' },
        { name: 'http-client', args: (port) => [String(port), String(HTTP.warmUp), String(HTTP.counted)] },
      ),
  },
  {
    name: 'first-contact',
    title: "First contact, until 'connect'",
    unit: 'ms',
    betterIs: 'less',
    rounds: 5,
    variants: (tls) => [PLAIN, tls, DEFAULT],
    measure: async (variant) => (await firstContacts(variant)).connectedMs,
  },
  {
    name: 'later-contact',
    title: "Later contacts, until 'connect'",
    unit: 'ms',
    betterIs: 'less',
    rounds: 3,
    variants: (tls) => [PLAIN, tls, DEFAULT],
    measure: async (variant) => (await laterContacts(variant)).connectedMs,
  },
  {
    name: 'later-answer',
    title: 'Later contacts, until one byte came back',
    unit: 'ms',
    betterIs: 'less',
    rounds: 3,
    variants: (tls) => [PLAIN, tls, DEFAULT],
    measure: async (variant) => (await laterContacts(variant)).answeredMs,
  },
  {
    name: 'idle-client',
    title: 'Memory of an idle connection, client',
    unit: 'bytes',
    betterIs: 'less',
    rounds: 3,
    variants: (tls) => [PLAIN, tls, DEFAULT],
    measure: (variant) => idleBytes(variant, 'client'),
  },
  {
    name: 'idle-server',
    title: 'Memory of an idle connection, server',
    unit: 'bytes',
    betterIs: 'less',
    rounds: 3,
    variants: (tls) => [PLAIN, tls, DEFAULT],
    measure: (variant) => idleBytes(variant, 'server'),
  },
  {
    name: 'handover',
    title: 'The client moves: from the new address until the first byte',
    unit: 'ms',
    betterIs: 'less',
    rounds: 3,
    variants: (tls) => [PLAIN, tls, mobileOnly(DEFAULT)],
    giveUpMs: GIVE_UP_MS,
    missing: handoverMissing,
    measure: handoverMs,
  },
  ...DATAGRAM_SCENARIOS,
  ...ANYCAST_SCENARIOS,
];
