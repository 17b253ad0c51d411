/**
 * Datagram pairs: unmodified programs (programs/numbered-datagrams.mjs) that send each other numbered datagrams over
 * UDP with mobisock preloaded, and what a test asks of them. What is lost is for the test to judge; what comes twice,
 * altered, or under a wrong name is always wrong.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { REPLAY_WINDOW_NUMBERS } from '../../src/l4mob/replay-window.ts';
import { builtPackage } from '../built-package.ts';
import type { DatagramLog } from './datagram-log.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { type BasicReport, REPORT_LIMIT_MS, ReportingProgram } from './reporting-program.ts';
import type { Family } from './topology.ts';

export const DATAGRAM_PORT = 7200;
/** A packet of a flow with a datagram of the application, and where that begins. */
const DATA_TYPE = 10;
const PACKET_NUMBER_AT = 13;
const DATA_HEADER_BYTES = 21;
/** For a program to read what is in its socket's buffer. */
const READ_LIMIT_MS = 2_000;
const NUMBERED = 'n'.charCodeAt(0);
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
}

export interface SessionEvent extends BasicReport {
  readonly session: string;
}

export class DatagramEnd extends ReportingProgram<DatagramReport> {
  /** A file takes them all, however slowly they are read. */
  readonly #events: string;

  constructor(lab: Lab, host: Host, plan: Readonly<Record<string, unknown>>, env: DatagramPlan['env']) {
    const events = join(lab.directory, `${host.name}.events`);
    const program = host.run('node', [PROGRAM, JSON.stringify(plan)], {
      nodeFlags: ['--import', builtPackage()],
      env: { MOBISOCK_EVENTS: events, ...env },
    });
    super(program);
    this.#events = events;
  }

  /** Mobisock's, of that name, so far. */
  events(name: 'open' | 'move' | 'suspend' | 'resume' | 'close'): SessionEvent[] {
    const lines = existsSync(this.#events) ? readFileSync(this.#events, 'utf8').split('\n').slice(0, -1) : [];
    return lines.map((line) => JSON.parse(line) as SessionEvent).filter(({ event }) => event === `session:${name}`);
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

  begin(): void {
    this.tell('send');
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

export interface DatagramPairPlan {
  readonly client?: DatagramPlan;
  readonly server?: DatagramPlan;
  readonly family?: Family;
  /** Of the server. Default: east. */
  readonly network?: string;
  /** For all flows to open. */
  readonly limitMs?: number;
  /** Nobody sends numbered datagrams before {@link DatagramEnd.begin}. */
  readonly held?: boolean;
}

/** A client on its first network and a server, with a flow between them for each of the client's sockets. */
export async function startDatagramPair(lab: Lab, plan: DatagramPairPlan = {}): Promise<DatagramPair> {
  const { family = 'ipv4', network = 'east', limitMs = REPORT_LIMIT_MS } = plan;
  const host = family === 'ipv6' ? '::' : '0.0.0.0';
  const { send: serverSend, env: serverEnv } = plan.server ?? {};
  const { send: clientSend, env: clientEnv, sockets = 1 } = plan.client ?? {};
  const server = new DatagramEnd(
    lab,
    lab.server,
    { listen: { host, port: DATAGRAM_PORT }, send: serverSend },
    serverEnv,
  );
  await server.report('listening');
  const connect = { host: lab.server.address(network, family), port: DATAGRAM_PORT };
  const client = new DatagramEnd(lab, lab.client, { connect, sockets, send: clientSend }, clientEnv);
  await client.report('open', undefined, limitMs);
  for (const end of [client, server]) {
    await expect.poll(() => end.events('open').length, { timeout: limitMs }).toBe(sockets);
  }
  client.tell('quiet');
  if (clientSend !== undefined && plan.held !== true) client.begin();
  if (serverSend !== undefined && plan.held !== true) server.begin();
  return { client, server };
}

/** Nothing came twice, altered or under a wrong name, no socket had an error, and no flow ended. */
export async function expectNothingWrong({ client, server }: DatagramPair): Promise<void> {
  for (const end of [client, server]) {
    const { peers, altered, misnamed, errors } = await end.status();
    expect({ altered, misnamed, errors: errors.length }).toEqual({ altered: 0, misnamed: 0, errors: 0 });
    expect(peers.filter(({ doubled }) => doubled > 0)).toEqual([]);
    expect(end.events('close')).toEqual([]);
  }
}

export interface Delivery {
  readonly sent: number;
  readonly arrived: number;
  readonly delivered: number;
  /** So long behind newer ones (a router's queue for a neighbour that had left) that they could be copies. */
  readonly tooLate: number;
  /** Arrived at the receiver's kernel as they were sent, and in time, but not at its application. */
  readonly missing: readonly number[];
  /** The other way round. */
  readonly invented: readonly number[];
}

/** What became of the numbered datagrams from one host to the application at the other, once nobody sends any more. */
export async function delivery(from: DatagramLog, to: DatagramLog, receiver: DatagramEnd): Promise<Delivery> {
  const packets = (await from.sent()).filter((packet) => packet[0] === DATA_TYPE);
  const genuine = new Set(packets.map((packet) => packet.toString('latin1')));
  const intact = (await to.arrived()).filter((packet) => genuine.has(packet.toString('latin1')));
  const inTime = withoutTooLate(intact);
  const [sent, arrived] = [numbersOf(packets), numbersOf(inTime)];
  const deadline = performance.now() + READ_LIMIT_MS;
  let delivered = await receiver.numbers();
  while (delivered.size < arrived.size && performance.now() < deadline) delivered = await receiver.numbers();
  return {
    sent: sent.size,
    arrived: arrived.size,
    delivered: delivered.size,
    tooLate: numbersOf(intact).size - arrived.size,
    missing: [...arrived].filter((number) => !delivered.has(number)),
    invented: [...delivered].filter((number) => !arrived.has(number)),
  };
}

/** As the receiver's window judges them. */
function withoutTooLate(packets: readonly Buffer[]): Buffer[] {
  let newest = 0;
  return packets.filter((packet) => {
    const number = Number(packet.readBigUInt64BE(PACKET_NUMBER_AT));
    newest = Math.max(newest, number);
    return number > newest - REPLAY_WINDOW_NUMBERS;
  });
}

/** In suites that do not encrypt. */
function numbersOf(packets: readonly Buffer[]): Set<number> {
  const datagrams = packets.map((packet) => packet.subarray(DATA_HEADER_BYTES));
  return new Set(datagrams.filter((each) => each[1] === NUMBERED).map((each) => each.readUInt32BE(4)));
}
