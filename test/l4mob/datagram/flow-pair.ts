/** Two ends of a datagram flow and a wire in the test's hands. */
import type { TransportAddress } from '../../../src/core/address.ts';
import { Association } from '../../../src/l4mob/association.ts';
import type { DatagramFlow } from '../../../src/l4mob/datagram/datagram-flow.ts';
import type { FlowEvent } from '../../../src/l4mob/datagram/flow-event.ts';
import { FlowTable } from '../../../src/l4mob/datagram/flow-table.ts';
import type { FlowTiming } from '../../../src/l4mob/datagram/flow-timing.ts';
import { SUITES, type Suite } from '../../../src/l4mob/suite.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { run } from '../wire/samples.ts';

export const CLIENT: TransportAddress = { ip: '192.0.2.1', port: 40_000 };
export const CLIENT_ELSEWHERE: TransportAddress = { ip: '192.0.2.200', port: 40_000 };
export const SERVER: TransportAddress = { ip: '198.51.100.1', port: 5_000 };
export const SERVER_ELSEWHERE: TransportAddress = { ip: '198.51.100.200', port: 5_000 };
export const STRANGER: TransportAddress = { ip: '203.0.113.66', port: 666 };
export const PORT_PAIR = { initiator: 40_000, responder: 5_000 } as const;

export interface OnTheWire {
  readonly bytes: Buffer;
  readonly to: TransportAddress;
}

export function associations(suite: Suite): [Association, Association] {
  const shared = { id: run(0xc0, 8), secret: run(0x10, 32), suite, expiresAt: 3_600_000 };
  const peer = { stateSequence: 0, sessionPort: 0, addresses: [] };
  return [
    new Association({ ...shared, peer, role: 'initiator' }),
    new Association({ ...shared, peer, role: 'responder' }),
  ];
}

export class FlowPair {
  now = 1_000;
  readonly ours: Association;
  readonly theirs: Association;
  readonly clients: FlowTable = new FlowTable({ random: new SeededRandom(1) });
  readonly servers: FlowTable;
  readonly client: DatagramFlow;
  clientAt: TransportAddress = CLIENT;
  serverAt: TransportAddress = SERVER;
  readonly #timing: FlowTiming | undefined;

  constructor({ suite = SUITES[0], timing, maxFlows }: { suite?: Suite; timing?: FlowTiming; maxFlows?: number } = {}) {
    if (suite === undefined) throw new Error('no suite');
    [this.ours, this.theirs] = associations(suite);
    this.servers = new FlowTable({ random: new SeededRandom(2), ...(maxFlows === undefined ? {} : { maxFlows }) });
    this.#timing = timing;
    const client = this.clients.open(this.now, this.ours, PORT_PAIR, SERVER, timing);
    if (client === undefined) throw new Error('no room');
    this.client = client;
  }

  get server(): DatagramFlow {
    const [server] = this.servers.flows();
    if (server === undefined) throw new Error('no flow at the server');
    return server;
  }

  /** What the server makes of a datagram; undefined too where it is nobody's. */
  toServer(bytes: Uint8Array, from: TransportAddress = this.clientAt): string | undefined {
    const flow = this.servers.find(bytes) ?? this.servers.accept(this.now, this.theirs, bytes, from, this.#timing);
    return text(flow?.handleDatagram(this.now, bytes, from));
  }

  toClient(bytes: Uint8Array, from: TransportAddress = this.serverAt): string | undefined {
    return text(this.clients.find(bytes)?.handleDatagram(this.now, bytes, from));
  }

  /** Sends application data; the datagram is the test's to deliver. */
  send(flow: DatagramFlow, payload = 'data'): Buffer {
    const bytes = flow.send(this.now, Buffer.from(payload));
    if (bytes === undefined) throw new Error('dropped');
    return bytes;
  }

  /** All that a flow wants to send now. */
  drain(flow: DatagramFlow): OnTheWire[] {
    const packets: OnTheWire[] = [];
    for (let out = flow.pollTransmit(); out !== undefined; out = flow.pollTransmit()) packets.push(out);
    return packets;
  }

  /** Lets both talk until neither has more to say; what goes to other places than theirs is lost. */
  settle(): void {
    for (let round = 0; round < 10; round++) {
      this.client.handleTimeout(this.now);
      const [server] = this.servers.flows();
      server?.handleTimeout(this.now);
      for (const { bytes, to } of this.drain(this.client)) if (same(to, this.serverAt)) this.toServer(bytes);
      const [flow] = this.servers.flows();
      if (flow === undefined) continue;
      for (const { bytes, to } of this.drain(flow)) if (same(to, this.clientAt)) this.toClient(bytes);
    }
  }

  /** Lets time pass in steps of 10 ms, settling on the way. */
  pass(ms: number): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(until, this.now + 10);
      this.settle();
    }
  }

  confirmed(): this {
    this.settle();
    this.pass(10_000); // the first questions are over then
    eventsOf(this.client);
    eventsOf(this.server);
    return this;
  }
}

export function eventsOf(flow: DatagramFlow): FlowEvent[] {
  const events: FlowEvent[] = [];
  for (let event = flow.pollEvent(); event !== undefined; event = flow.pollEvent()) events.push(event);
  return events;
}

export function same(a: TransportAddress, b: TransportAddress): boolean {
  return a.ip === b.ip && a.port === b.port;
}

function text(payload: Uint8Array | undefined): string | undefined {
  return payload && Buffer.from(payload).toString();
}
