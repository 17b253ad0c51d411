/**
 * A stand-in for the endpoint's datagram flows, for tests of the socket layer alone: a datagram of a flow has six bytes
 * in front, which say so and name the flow. No security; peers of a flow are followed to wherever they last sent from.
 * A flow begins with the first datagram to a port that a service of the same endpoint has.
 */
import type { TransportAddress } from '../../../src/core/address.ts';
import type {
  DatagramEndpoint,
  DatagramService,
  DatagramServiceOptions,
  Initiative,
  OutgoingDatagram,
} from '../../../src/l4mob/io/mobile-datagrams.ts';

const MAGIC = 0xf5;
const HEADER_BYTES = 6;
const LARGEST_BYTES = 65_507;
const KIND = { data: 0, bye: 1 } as const;

interface Flow {
  readonly id: number;
  readonly name: TransportAddress;
  at: TransportAddress;
}

let lastFlow = 0;

export class LoopbackDatagrams implements DatagramEndpoint {
  readonly services: Set<LoopbackService> = new Set();

  openDatagrams(options: DatagramServiceOptions): LoopbackService {
    const service = new LoopbackService(options, this);
    this.services.add(service);
    return service;
  }

  /** The service of a socket bound to that port. */
  at(port: number): LoopbackService {
    for (const service of this.services) if (service.options.port.local.port === port) return service;
    throw new Error(`no mobile socket on port ${port}`);
  }

  has(port: number): boolean {
    for (const { options } of this.services) if (options.port.local.port === port) return true;
    return false;
  }
}

export class LoopbackService implements DatagramService {
  readonly options: DatagramServiceOptions;
  readonly hosts: (string | undefined)[] = [];
  /** Whom the policy was asked about, and what it said. */
  readonly asked: Map<string, Initiative> = new Map();
  /** What `handleUnreachable` says. */
  unreachableIsOurs = false;
  readonly #endpoint: LoopbackDatagrams;
  readonly #byId = new Map<number, Flow>();
  readonly #byName = new Map<string, Flow>();
  #peer: TransportAddress | undefined;

  constructor(options: DatagramServiceOptions, endpoint: LoopbackDatagrams) {
    this.options = options;
    this.#endpoint = endpoint;
  }

  get flows(): number {
    return this.#byId.size;
  }

  handleUnreachable(): boolean {
    return this.unreachableIsOurs;
  }

  handleDatagram(bytes: Buffer, from: TransportAddress): boolean {
    if (bytes[0] !== MAGIC || bytes.length < HEADER_BYTES) return false;
    const id = bytes.readUInt32BE(2);
    if (bytes[1] === KIND.bye) {
      this.#forget(id);
      return true;
    }
    const flow = this.#byId.get(id) ?? this.#accepted(id, from);
    if (flow === undefined) return true;
    flow.at = { ...from };
    if (this.#peer !== undefined && same(this.#peer, flow.name)) this.options.port.openToAll();
    this.options.port.deliver(bytes.subarray(HEADER_BYTES), flow.name);
    return true;
  }

  send(pieces: readonly Uint8Array[], to: TransportAddress): OutgoingDatagram | undefined | 'too-long' {
    const flow = this.#byName.get(key(to)) ?? this.#opened(to);
    if (flow === undefined) return undefined;
    const bytes = Buffer.concat([header(KIND.data, flow.id), ...pieces]);
    return bytes.length > LARGEST_BYTES ? 'too-long' : { bytes, to: flow.at };
  }

  connected(remote: TransportAddress, host?: string): void {
    this.#peer = remote;
    this.hosts.push(host);
  }

  disconnected(): void {
    this.#peer = undefined;
  }

  close(): void {
    for (const { id, at } of this.#byId.values()) this.options.port.transmit(header(KIND.bye, id), at);
    this.#byId.clear();
    this.#byName.clear();
    this.#endpoint.services.delete(this);
  }

  #accepted(id: number, from: TransportAddress): Flow | undefined {
    return this.options.accepts(from.ip) ? this.#add({ id, name: { ...from }, at: { ...from } }) : undefined;
  }

  #opened(to: TransportAddress): Flow | undefined {
    const initiates = this.asked.get(key(to)) ?? this.options.initiates(to, this.#peer !== undefined);
    this.asked.set(key(to), initiates);
    if (initiates === 'never' || !this.#endpoint.has(to.port)) return undefined;
    return this.#add({ id: ++lastFlow, name: { ...to }, at: { ...to } });
  }

  #add(flow: Flow): Flow {
    this.#byId.set(flow.id, flow);
    this.#byName.set(key(flow.name), flow);
    return flow;
  }

  #forget(id: number): void {
    const flow = this.#byId.get(id);
    if (flow === undefined) return;
    this.#byId.delete(id);
    this.#byName.delete(key(flow.name));
    if (this.#peer !== undefined && same(this.#peer, flow.name)) this.options.port.closeToOthers();
  }
}

function header(kind: number, id: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(MAGIC, 0);
  bytes.writeUInt8(kind, 1);
  bytes.writeUInt32BE(id, 2);
  return bytes;
}

function key({ ip, port }: TransportAddress): string {
  return `${ip} ${port}`;
}

function same(a: TransportAddress, b: TransportAddress): boolean {
  return a.ip === b.ip && a.port === b.port;
}
