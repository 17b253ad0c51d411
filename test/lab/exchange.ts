/**
 * Exchanges: unmodified node programs (programs/exchange.mjs) that send each other seeded streams with mobisock
 * preloaded, and what a test asks of them. Everything waits for a line that a program prints, never for time to pass.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import { builtPackage } from '../built-package.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { type BasicReport, REPORT_LIMIT_MS, ReportingProgram } from './reporting-program.ts';
import type { Family } from './topology.ts';

export const EXCHANGE_PORT = 7000;
const PROGRAM = join(import.meta.dirname, 'programs', 'exchange.mjs');
/** Small writes in quick succession, so that the first byte after a pause doesn't wait for its turn. */
export const PACED: SendPlan = { bytes: 4096, everyMs: 4 };
export const FULL: SendPlan = { full: true };

export interface SendPlan {
  readonly full?: boolean;
  readonly bytes?: number;
  readonly everyMs?: number;
  readonly heedless?: boolean;
}

export interface ExchangePlan {
  readonly send?: SendPlan;
  readonly read?: boolean;
  readonly connections?: number;
  /** Connections count from here; different where several clients have one server. */
  readonly firstNumber?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface ExchangeStatus {
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  readonly drains: number;
  readonly writableLength: number;
  readonly writableNeedDrain: boolean;
}

/** A line of the program, or a session event of mobisock's (`session:move` and so on). */
export interface Report extends BasicReport {
  readonly name?: string;
  readonly code?: string;
  readonly error?: string;
  readonly first?: number;
  readonly sent?: number;
  readonly received?: number;
  readonly rss?: number;
  readonly gapMs?: number;
  readonly session?: string;
  readonly local?: { readonly ip: string };
  readonly remote?: { readonly ip: string };
  readonly remoteAddress?: string;
  readonly exchanges?: readonly ExchangeStatus[];
}

export class Exchange extends ReportingProgram<Report> {
  constructor(host: Host, plan: Readonly<Record<string, unknown>>, env: ExchangePlan['env']) {
    const program = host.run('node', [PROGRAM, JSON.stringify(plan)], {
      nodeFlags: ['--import', builtPackage()],
      // A busy machine may need longer for the first contact than a plain connect is made to wait.
      env: { MOBISOCK_EVENTS: 'stderr', MOBISOCK_HEAD_START: '1000', ...env },
    });
    super(program);
  }

  async status(): Promise<Report & { readonly exchanges: readonly ExchangeStatus[] }> {
    this.tell('status');
    const report = await this.report('status');
    return { ...report, exchanges: report.exchanges ?? [] };
  }

  /** Waits, by asking again and again, until the program's account of itself is as wanted. */
  async until(
    wanted: (status: ExchangeStatus) => boolean,
    limitMs: number = REPORT_LIMIT_MS,
  ): Promise<ExchangeStatus[]> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const { exchanges } = await this.status();
      if (exchanges.length > 0 && exchanges.every(wanted)) return [...exchanges];
      if (performance.now() > deadline) throw new Error(`never as wanted: ${JSON.stringify(exchanges)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Waits until more stream bytes have come in on every connection than are in now. */
  async progress(bytes: number = 1): Promise<void> {
    const before = new Map((await this.status()).exchanges.map(({ name, received }) => [name, received]));
    await this.until(({ name, received }) => received >= (before.get(name) ?? 0) + bytes);
  }

  /** When the first byte came at or behind `at`, on each of `connections`. */
  async firstAfter(at: number, connections: number = 1): Promise<number[]> {
    this.tell(`first-after ${at}`);
    const firsts: number[] = [];
    while (firsts.length < connections) firsts.push((await this.report('first-after')).first ?? Number.NaN);
    return firsts;
  }
}

export async function startServer(host: Host, plan: ExchangePlan = {}): Promise<Exchange> {
  const { send, read, env } = plan;
  const server = new Exchange(host, { listen: { host: '::', port: EXCHANGE_PORT }, send, read }, env);
  await server.report('listening');
  return server;
}

export function startClient(host: Host, address: string, plan: ExchangePlan = {}): Exchange {
  const { env, ...rest } = plan;
  return new Exchange(host, { connect: { host: address, port: EXCHANGE_PORT }, ...rest }, env);
}

export interface Pair {
  readonly client: Exchange;
  readonly server: Exchange;
}

/** A client on its first network and a server on `east`, with a session between them that both have bytes from. */
export async function startPair(
  lab: Lab,
  plan: { client?: ExchangePlan; server?: ExchangePlan; family?: Family; network?: string } = {},
): Promise<Pair> {
  const { client: clientPlan = { send: PACED }, server: serverPlan = { send: PACED } } = plan;
  const server = await startServer(lab.server, serverPlan);
  const client = startClient(lab.client, lab.server.address(plan.network ?? 'east', plan.family ?? 'ipv6'), clientPlan);
  const connections = clientPlan.connections ?? 1;
  for (let i = 0; i < connections; i++) {
    await client.report('session:open');
    await server.report('session:open');
    await client.report('connected');
    await server.report('connected');
  }
  if (serverPlan.send !== undefined && clientPlan.read !== false) await client.progress();
  if (clientPlan.send !== undefined && serverPlan.read !== false) await server.progress();
  return { client, server };
}

/** Both ends finish, and each has exactly what the other sent: the programs compare bytes, this compares counts. */
export async function expectAllDelivered(
  { client, server }: Pair,
  connections: number = 1,
  limitMs: number = REPORT_LIMIT_MS,
): Promise<void> {
  client.tell('finish');
  server.tell('finish');
  await expectClosedInOrder({ client, server }, connections, limitMs);
}

export async function expectClosedInOrder(
  { client, server }: Pair,
  connections: number = 1,
  limitMs: number = REPORT_LIMIT_MS,
): Promise<void> {
  for (let i = 0; i < connections; i++) {
    const ours = await client.report('close', undefined, limitMs);
    const theirs = await server.report('close', ({ name }) => name === ours.name, limitMs);
    expect([ours.error, theirs.error]).toEqual([undefined, undefined]);
    expect(theirs.received).toBe(ours.sent);
    expect(ours.received).toBe(theirs.sent);
  }
  expect([...client.reports('corrupt'), ...server.reports('corrupt')]).toEqual([]);
}
