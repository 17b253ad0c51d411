/**
 * A virtual network: hosts with addresses that come and go, NATs that forget, cuts between places; datagrams that are
 * lost, doubled and overtaken. Virtual TCP is in {@link ./connection.ts}. Time is virtual and chance is seeded, so the
 * same seed gives the same trace.
 */
import type { TransportAddress } from '../../src/core/address.ts';
import { Connection, type ConnectionEnd } from './connection.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface Conditions {
  latencyMs: number;
  jitterMs: number;
  /** Of datagrams, and of TCP flights, which cost a retransmission then. */
  loss: number;
  duplication: number;
}

type DatagramHandler = (bytes: Buffer, from: TransportAddress, local: TransportAddress) => void;
type AcceptHandler = (end: ConnectionEnd) => void;

/** Of a host behind it: its connections and ports as the world sees them, until it forgets. */
interface Nat {
  publicIp: string;
  generation: number;
  /** Without a packet from inside for so long, it forgets. */
  readonly patienceMs?: number;
  usedAt?: number;
}

export class Host {
  readonly name: string;
  readonly network: Network;
  readonly addresses: Set<string> = new Set();
  readonly datagramHandlers: Map<number, DatagramHandler> = new Map();
  readonly acceptHandlers: Map<number, AcceptHandler> = new Map();
  readonly ends: Set<ConnectionEnd> = new Set();
  nat: Nat | undefined;
  /** Powered off: nothing goes in or out, and nobody is told. */
  vanished = false;
  onAddresses: ((lost: ReadonlySet<string>) => void) | undefined;

  constructor(network: Network, name: string, addresses: readonly string[]) {
    this.network = network;
    this.name = name;
    for (const ip of addresses) this.addresses.add(ip);
  }

  /** The addresses are these from now on. With `told` false nobody notices, as with a default route that goes bad. */
  moveTo(addresses: readonly string[], told = true): void {
    const lost = new Set([...this.addresses].filter((ip) => !addresses.includes(ip)));
    this.addresses.clear();
    for (const ip of addresses) this.addresses.add(ip);
    this.network.time.trace(`${this.name} is at ${addresses.join(' ') || 'no address'}`);
    if (told) this.onAddresses?.(lost);
  }

  /** The NAT forgets all mappings. Whoever is behind it isn't told. */
  rebind(publicIp?: string): void {
    if (this.nat === undefined) throw new Error(`${this.name} is not behind a NAT`);
    this.network.time.trace(`${this.name}'s NAT forgets`);
    this.nat = { ...this.nat, publicIp: publicIp ?? this.nat.publicIp, generation: this.nat.generation + 1 };
  }

  /** A NAT's patience may be over. `used`: a packet goes out. */
  passNat(used: boolean): void {
    const { nat } = this;
    if (nat?.patienceMs === undefined) return;
    const { now } = this.network.time;
    if (now - (nat.usedAt ?? now) > nat.patienceMs) this.rebind();
    if (this.nat !== undefined && (used || this.nat !== nat)) this.nat.usedAt = now;
  }

  /** All processes end; the kernel stays and closes their connections. */
  crashProcesses(how: 'closed' | 'reset'): void {
    this.network.time.trace(`${this.name}: processes end, ${how}`);
    this.datagramHandlers.clear();
    this.acceptHandlers.clear();
    this.onAddresses = undefined;
    for (const end of [...this.ends]) {
      if (how === 'closed') end.end();
      else end.destroy();
    }
  }

  vanish(): void {
    this.network.time.trace(`${this.name} vanishes`);
    this.vanished = true;
  }
}

export class Network {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly conditions: Conditions = { latencyMs: 10, jitterMs: 0, loss: 0, duplication: 0 };
  readonly #hosts: Host[] = [];
  readonly #cuts = new Set<string>();
  /** Sees every datagram and every TCP flight: for attackers. */
  onWire: ((bytes: Buffer, from: string, to: string) => void) | undefined;

  constructor(time: VirtualTime, random: SeededRandom) {
    this.time = time;
    this.random = random;
  }

  host(name: string, addresses: readonly string[]): Host {
    const host = new Host(this, name, addresses);
    this.#hosts.push(host);
    return host;
  }

  /** Nothing passes to or from this address. Nobody is told. */
  cut(ip: string): void {
    this.time.trace(`cut ${ip}`);
    this.#cuts.add(ip);
  }

  mend(ip: string): void {
    this.time.trace(`mend ${ip}`);
    this.#cuts.delete(ip);
  }

  mendAll(): void {
    this.#cuts.clear();
  }

  ownerOf(ip: string): Host | undefined {
    return this.#hosts.find((host) => !host.vanished && host.nat === undefined && host.addresses.has(ip));
  }

  /** Whether a packet from this host's address reaches that address. */
  passes(from: Host, localIp: string, remoteIp: string): boolean {
    if (from.vanished || !from.addresses.has(localIp) || this.#cuts.has(localIp) || this.#cuts.has(remoteIp))
      return false;
    const to = this.ownerOf(remoteIp);
    return to !== undefined && !to.vanished;
  }

  oneWayMs(): number {
    const { latencyMs, jitterMs } = this.conditions;
    return latencyMs + this.random.fraction() * jitterMs;
  }

  sendDatagram(from: Host, local: TransportAddress, to: TransportAddress, bytes: Uint8Array): void {
    const { loss, duplication } = this.conditions;
    const copy = Buffer.from(bytes);
    this.onWire?.(copy, local.ip, to.ip);
    from.passNat(true);
    const copies = this.random.chance(loss) ? 0 : this.random.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      this.time.after(this.oneWayMs(), () => this.#arrive(from, local, to, copy));
    }
  }

  #arrive(from: Host, local: TransportAddress, to: TransportAddress, bytes: Buffer): void {
    const nat = from.nat;
    const source = nat === undefined ? local : { ip: nat.publicIp, port: natPort(local.port, nat.generation) };
    const mapped = this.#behindNat(to);
    if (mapped !== undefined) {
      if (mapped.host.vanished || this.#cuts.has(local.ip)) return;
      const [inside] = mapped.host.addresses;
      if (inside === undefined || this.#cuts.has(inside)) return;
      const handler = mapped.host.datagramHandlers.get(mapped.port);
      handler?.(Buffer.from(bytes), source, { ip: inside, port: mapped.port });
      return;
    }
    if (!this.passes(from, local.ip, to.ip)) return;
    this.ownerOf(to.ip)?.datagramHandlers.get(to.port)?.(Buffer.from(bytes), source, to);
  }

  #behindNat(to: TransportAddress): { host: Host; port: number } | undefined {
    for (const host of this.#hosts) {
      host.passNat(false);
      const { nat } = host;
      if (nat === undefined || nat.publicIp !== to.ip) continue;
      const port = to.port ^ nat.generation;
      if (host.datagramHandlers.has(port)) return { host, port };
    }
    return undefined;
  }

  connect(from: Host, localIp: string, to: TransportAddress, timeoutMs: number, handlers: ConnectHandlers): Pending {
    return Connection.open(this, from, localIp, to, timeoutMs, handlers);
  }
}

export interface ConnectHandlers {
  onConnected(end: ConnectionEnd, roundTripMs: number): void;
  onFailed(failure: 'refused' | 'unreachable'): void;
}

export interface Pending {
  cancel(): void;
}

/** A NAT's outer port: another one after each time it has forgotten. */
function natPort(inner: number, generation: number): number {
  return inner ^ generation;
}
