/**
 * Datagram hub: what the UDP sockets of a process have in common: one table of flows, one alarm, one responder, what
 * is known of destinations, and word of every change of our addresses.
 */
import { isLoopback, type TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import { osRandom } from '../../host/random.ts';
import type { Association } from '../association.ts';
import type { DatagramFlow } from '../datagram/datagram-flow.ts';
import type { DatagramTransmit, FlowEnd, FlowEvent } from '../datagram/flow-event.ts';
import { FlowTable } from '../datagram/flow-table.ts';
import type { FlowTiming } from '../datagram/flow-timing.ts';
import { InitiatorHandshake } from '../initiator-handshake.ts';
import { MAX_PORT_CANDIDATES } from '../limits.ts';
import { type PortPair, PortPairTable } from '../port-pairs.ts';
import { Responder, type ResponderCounters } from '../responder.ts';
import { decodeDatagram } from '../wire/datagram.ts';
import { TRANSPORT } from '../wire/init.ts';
import type { Whereabouts } from '../wire/update.ts';
import { Callers } from './callers.ts';
import { CONTACT_WAITS_MS } from './datagram-contact.ts';
import { MobileDatagramService } from './datagram-service.ts';
import type { FlowDriver } from './flow-driver.ts';
import type { DatagramService, DatagramServiceOptions } from './mobile-datagrams.ts';
import type { SessionInfo, SessionLifeEvent } from './mobile-stream.ts';
import { MoveAnnouncements } from './move-announcements.ts';
import { type PacketCounters, packetCounters } from './packet-counters.ts';
import { PartingFlows, type PartingFlowsHost } from './parting-flows.ts';
import type { RendezvousDirectory } from './rendezvous-directory.ts';
import { flowInfo } from './session-info.ts';
import type { SessionTerms } from './session-terms.ts';
import { SharedAlarm } from './shared-alarm.ts';
import { VerdictCache } from './verdict-cache.ts';

export interface DatagramHubHost {
  readonly rendezvous: RendezvousDirectory | undefined;
  readonly natKeepAliveMs: number | undefined;
  /** As a peer of a socket bound to `address` may know them. */
  ownAddresses(address: string): readonly string[];
  /** {@link DatagramHub.addressesChanged} is called from now on. */
  watchAddresses(): void;
  /** Rises with each change of them. */
  stateSequence(): number;
  /** To an L4_INIT for a stream listener on the address and port of that socket, if there is one. */
  answerStreamInit(local: TransportAddress, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined;
  life(event: SessionLifeEvent): void;
}

/** Flows whose peer is gone without a word, and about which nobody asks, are not kept for ever. */
const IDLE_MS = 60 * 60_000;
/** Peers sought at a time, with sockets of their own: the others wait for the next time that they are found missing. */
const MAX_RECOVERIES = 256;
const ASSOCIATION_ID_AT = 1;
const ASSOCIATION_ID_END = 9;
const ORDERLY: ReadonlySet<string> = new Set<FlowEnd>(['local', 'peer', 'idle']);

interface Placed {
  readonly driver: FlowDriver;
  readonly service: MobileDatagramService;
}

export class DatagramHub implements PartingFlowsHost {
  readonly #terms: SessionTerms;
  readonly #host: DatagramHubHost;
  readonly #timing: FlowTiming;
  readonly #table: FlowTable;
  readonly #portPairs: PortPairTable = new PortPairTable();
  readonly #responder: Responder;
  readonly #services = new Set<DatagramService>();
  readonly #drivers = new Map<DatagramFlow, Placed>();
  readonly #recovering = new Set<FlowDriver>();
  readonly #parting: PartingFlows = new PartingFlows(this);
  #closing = false;
  readonly alarm: SharedAlarm = new SharedAlarm();
  readonly verdicts: VerdictCache;
  readonly callers: Callers = new Callers();
  readonly #announcements = new MoveAnnouncements<DatagramFlow>((flow, now) => this.#announce(flow, now));
  /** Peers hear that a process has exited: else they would wait for it to come back. */
  readonly #onExit = (): void => this.close();

  constructor(terms: SessionTerms, host: DatagramHubHost) {
    this.#terms = terms;
    this.#host = host;
    const { limits } = terms;
    this.#timing = {
      keepAliveMs: host.natKeepAliveMs,
      idleTimeoutMs: IDLE_MS,
      sessionTimeoutMs: limits.sessionTimeoutMs,
    };
    this.#table = new FlowTable({ random: osRandom, maxFlows: limits.sessions });
    this.verdicts = new VerdictCache(limits.verdicts);
    this.#responder = new Responder({ ...terms, random: osRandom, now: monotonicNow(), portPairs: this.#portPairs });
    process.on('exit', this.#onExit);
  }

  get packets(): PacketCounters {
    return packetCounters(this.#table.counters);
  }

  /** L4_INITs that came to mobile UDP sockets. */
  get inits(): ResponderCounters {
    return this.#responder.counters;
  }

  /** A packet of a flow that nobody here knows. */
  noteUnknown(): void {
    this.#table.counters.unknown += 1;
  }

  get rendezvous(): RendezvousDirectory | undefined {
    return this.#host.rendezvous;
  }

  openDatagrams(options: DatagramServiceOptions): DatagramService {
    const service = new MobileDatagramService(this, options);
    this.#services.add(service);
    return service;
  }

  closed(service: DatagramService): void {
    this.#services.delete(service);
  }

  close(): void {
    process.off('exit', this.#onExit);
    this.#closing = true;
    for (const service of [...this.#services]) service.close();
    this.#parting.close();
    this.#announcements.close();
    this.alarm.close();
  }

  // ---- flows ---------------------------------------------------------------------------------------------------------

  find(bytes: Uint8Array): FlowDriver | undefined {
    const flow = this.#table.find(bytes);
    return flow && (this.#drivers.get(flow)?.driver ?? this.#parting.driverOf(flow));
  }

  open(association: Association, portPair: PortPair, remote: TransportAddress): DatagramFlow | undefined {
    return this.#table.open(monotonicNow(), association, portPair, remote, this.#timing);
  }

  /** A flow for an OPEN of that association: genuine, and no replay. */
  accept(
    association: Association,
    bytes: Uint8Array,
    from: TransportAddress,
  ): { readonly flow: DatagramFlow; readonly portPair: PortPair } | undefined {
    const flow = this.#table.accept(monotonicNow(), association, bytes, from, this.#timing);
    if (flow === undefined) return undefined;
    this.#responder.confirm(association);
    const { initiatorPort, responderPort } = decodeDatagram(bytes);
    return { flow, portPair: { initiator: initiatorPort, responder: responderPort } };
  }

  /** Of an OPEN. */
  associationOf(bytes: Uint8Array): Association | undefined {
    return this.#responder.association(bytes.subarray(ASSOCIATION_ID_AT, ASSOCIATION_ID_END));
  }

  add(flow: DatagramFlow, driver: FlowDriver, service: MobileDatagramService): void {
    this.#drivers.set(flow, { driver, service });
    this.alarm.expect(driver, flow.pollTimeout());
  }

  forget(flow: DatagramFlow): void {
    this.#table.delete(flow);
    this.#drivers.delete(flow);
  }

  /** Whether there is time for what a flow has to say when its socket is gone. */
  get letsPart(): boolean {
    return !this.#closing;
  }

  /** See {@link FlowDriver.part}. */
  part(driver: FlowDriver): DatagramTransmit | undefined {
    return this.#parting.take(driver);
  }

  partingBegun(driver: FlowDriver, reason: FlowEnd): void {
    const service = this.#drivers.get(driver.flow)?.service;
    if (service !== undefined) this.ended(driver, service.local, reason);
    this.#drivers.delete(driver.flow);
  }

  mayRecover(): boolean {
    if (this.#recovering.size < MAX_RECOVERIES) return true;
    for (const driver of this.#recovering) {
      if (driver.isLost) continue;
      driver.endRecovery();
      this.#recovering.delete(driver);
    }
    return this.#recovering.size < MAX_RECOVERIES;
  }

  recovering(driver: FlowDriver): void {
    this.#recovering.add(driver);
  }

  // ---- contacts ------------------------------------------------------------------------------------------------------

  handshake(now: Instant, remote: TransportAddress, local: TransportAddress): InitiatorHandshake {
    const { groups, suites } = this.#terms;
    const candidates = this.#portPairs.candidates(now, osRandom, remote.port, MAX_PORT_CANDIDATES - 1);
    const handshake = new InitiatorHandshake({
      random: osRandom,
      now,
      transport: TRANSPORT.udp,
      responderPort: remote.port,
      groups,
      suites,
      portCandidates: [local.port, ...candidates.filter((port) => port !== local.port)],
      isPortFree: () => true,
      retransmitMs: CONTACT_WAITS_MS,
    });
    this.#terms.keyPairs.refillSoon();
    return handshake;
  }

  answerStreamInit(local: TransportAddress, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined {
    return this.#host.answerStreamInit(local, bytes, from);
  }

  answerInit(
    bytes: Uint8Array,
    from: TransportAddress,
    local: TransportAddress,
    allowed: boolean,
  ): Uint8Array | undefined {
    const now = monotonicNow();
    this.#responder.handleTimeout(now);
    const full = this.#table.size >= this.#terms.limits.sessions;
    const refusal = allowed ? (full ? 'limit' : undefined) : 'policy';
    const answer = this.#responder.handleInit(now, bytes, from, {
      sessionPort: local.port,
      addresses: isLoopback(from.ip) ? [] : this.#host.ownAddresses(local.ip),
      ...(refusal === undefined ? {} : { refusal }),
    });
    this.#terms.keyPairs.refillSoon();
    return answer;
  }

  // ---- our own addresses ---------------------------------------------------------------------------------------------

  whereabouts(local: TransportAddress): Whereabouts {
    const addresses = this.#host.ownAddresses(local.ip);
    return { stateSequence: this.#host.stateSequence(), sessionPort: local.port, addresses };
  }

  /** All flows say so. Those to loopback can't be concerned. */
  addressesChanged(): void {
    this.#announcements.begin(this.#drivers.keys());
  }

  #announce(flow: DatagramFlow, now: Instant): boolean {
    const placed = this.#drivers.get(flow);
    if (placed === undefined || !placed.driver.open || isLoopback(flow.remote.ip)) return false;
    return placed.service.announce(placed.driver, now);
  }

  // ---- for those who look --------------------------------------------------------------------------------------------

  sessions(): SessionInfo[] {
    return Array.from(this.#drivers.values(), ({ driver, service }) => flowInfo(driver, service.local));
  }

  opened(driver: FlowDriver, local: TransportAddress): void {
    this.#host.rendezvous?.prepare();
    this.#host.watchAddresses();
    this.#life('open', driver, local);
  }

  located(driver: FlowDriver, event: FlowEvent, local: TransportAddress): void {
    switch (event.type) {
      case 'peer-moved':
      case 'move-undone':
      case 'moved':
        if (event.type === 'moved') this.#announcements.answered(driver.flow);
        this.#life('move', driver, local);
        break;
      case 'lost':
        this.#life('suspend', driver, local);
        break;
      case 'found':
        this.#life('resume', driver, local, { gapMs: event.gapMs });
        break;
      default: // the rest is said elsewhere
    }
  }

  ended(driver: FlowDriver, local: TransportAddress, reason: FlowEnd | 'refused' | 'replaced'): void {
    this.#life('close', driver, local, ORDERLY.has(reason) ? {} : { error: reason });
  }

  #life(
    name: SessionLifeEvent['name'],
    { id, name: remote, flow: { role } }: FlowDriver,
    local: TransportAddress,
    more: Pick<SessionLifeEvent, 'gapMs' | 'error'> = {},
  ): void {
    this.#host.life({ name, session: id, role, local, remote, ...more });
  }
}
