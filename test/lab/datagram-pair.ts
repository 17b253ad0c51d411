/**
 * Datagram pairs: unmodified programs (programs/numbered-datagrams.mjs) that send each other numbered datagrams over
 * UDP with mobisock preloaded, and what a test asks of them. What is lost is for the test to judge; what comes twice,
 * altered, or under a wrong name is always wrong.
 */
import { join } from 'node:path';
import { expect } from 'vitest';
import { builtPackage } from '../built-package.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';
import type { Family } from './topology.ts';

export const DATAGRAM_PORT = 7200;
const PROGRAM = join(import.meta.dirname, 'programs', 'numbered-datagrams.mjs');

export interface DatagramSendPlan {
  /** Of each datagram, from 8 on. */
  readonly bytes: number;
  readonly everyMs: number;
  /** Datagrams each time. Default: 1. */
  readonly burst?: number;
}

export interface DatagramPlan {
  readonly send?: DatagramSendPlan | undefined;
  /** Of the client, each with a flow of its own. Default: 1. */
  readonly sockets?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface PeerStatus {
  readonly name: string;
  readonly sent: number;
  readonly received: number;
  readonly doubled: number;
}

export interface DatagramReport extends BasicReport {
  readonly peers?: readonly PeerStatus[];
  readonly altered?: number;
  readonly misnamed?: number;
  readonly strange?: number;
  readonly errors?: readonly string[];
  readonly firsts?: readonly number[];
  readonly ranges?: readonly (readonly (readonly [number, number])[])[];
  readonly session?: string;
}

export class DatagramEnd extends ReportingProgram<DatagramReport> {
  constructor(host: Host, plan: Readonly<Record<string, unknown>>, env: DatagramPlan['env']) {
    const program = host.run('node', [PROGRAM, JSON.stringify(plan)], {
      nodeFlags: ['--import', builtPackage()],
      env: { MOBISOCK_EVENTS: 'stderr', ...env },
    });
    super(program);
  }

  async status(): Promise<Required<Pick<DatagramReport, 'peers' | 'altered' | 'misnamed' | 'strange' | 'errors'>>> {
    this.tell('status');
    const { peers = [], altered = 0, misnamed = 0, strange = 0, errors = [] } = await this.report('status');
    return { peers, altered, misnamed, strange, errors };
  }

  /** When the first numbered datagram came at or behind `at`, from each peer. */
  async firstAfter(at: number, limitMs?: number): Promise<readonly number[]> {
    this.tell(`first-after ${at}`);
    return (await this.report('first-after', undefined, limitMs)).firsts ?? [];
  }

  async stop(): Promise<void> {
    this.tell('stop');
    await this.report('stopped');
  }

  /** The numbers that came from the only peer. */
  async numbers(): Promise<Set<number>> {
    this.tell('numbers');
    const [ranges = []] = (await this.report('numbers')).ranges ?? [];
    return new Set(ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i)));
  }
}

export interface DatagramPair {
  readonly client: DatagramEnd;
  readonly server: DatagramEnd;
}

/** A client on its first network and a server, with a flow between them for each of the client's sockets. */
export async function startDatagramPair(
  lab: Lab,
  plan: { client?: DatagramPlan; server?: DatagramPlan; family?: Family; network?: string; limitMs?: number } = {},
): Promise<DatagramPair> {
  const { family = 'ipv4', network = 'east', limitMs } = plan;
  const host = family === 'ipv6' ? '::' : '0.0.0.0';
  const { send: serverSend, env: serverEnv } = plan.server ?? {};
  const { send: clientSend, env: clientEnv, sockets = 1 } = plan.client ?? {};
  const server = new DatagramEnd(lab.server, { listen: { host, port: DATAGRAM_PORT }, send: serverSend }, serverEnv);
  await server.report('listening');
  const connect = { host: lab.server.address(network, family), port: DATAGRAM_PORT };
  const client = new DatagramEnd(lab.client, { connect, sockets, send: clientSend }, clientEnv);
  await client.report('open', undefined, limitMs);
  for (const end of [client, server]) for (let i = 0; i < sockets; i++) await end.report('session:open');
  if (clientSend !== undefined) client.tell('send');
  if (serverSend !== undefined) server.tell('send');
  return { client, server };
}

/** Nothing came twice, altered or under a wrong name, no socket had an error, and no flow ended. */
export async function expectNothingWrong({ client, server }: DatagramPair): Promise<void> {
  for (const end of [client, server]) {
    const { peers, altered, misnamed, errors } = await end.status();
    expect({ altered, misnamed, errors: errors.length }).toEqual({ altered: 0, misnamed: 0, errors: 0 });
    expect(peers.filter(({ doubled }) => doubled > 0)).toEqual([]);
    expect(end.reports('session:close')).toEqual([]);
  }
}
