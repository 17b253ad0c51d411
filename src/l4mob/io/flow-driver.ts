/**
 * Flow driver: one datagram flow on a socket of the application. Feeds the flow, puts its own packets on the wire,
 * keeps its place in the shared alarm, and turns its events into what they mean for the socket.
 *
 * Until both sides are sure of the flow, the application's datagrams go on plain beside it, so that nothing is lost
 * over a flow that never comes to stand.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { wallNow } from '../../host/clock.ts';
import type { Association } from '../association.ts';
import type { DatagramFlow, OwnAddresses } from '../datagram/datagram-flow.ts';
import type { DatagramTransmit, FlowEnd, FlowEvent } from '../datagram/flow-event.ts';
import { type PortPair, portPairText } from '../port-pairs.ts';
import type { RendezvousVersions } from '../rendezvous/rendezvous-client.ts';
import type { FlowList } from './flow-list.ts';
import type { PeerRecovery } from './peer-recovery.ts';
import type { AlarmOwner, SharedAlarm } from './shared-alarm.ts';

/** The socket that the flow is on. */
export interface FlowHost {
  readonly alarm: SharedAlarm;
  transmit(bytes: Uint8Array, to: TransportAddress): void;
  /** Datagrams go by the flow from now on. */
  carries(driver: FlowDriver): void;
  /** Events that say where the peer is, for those who look. */
  located(driver: FlowDriver, event: FlowEvent): void;
  silent(driver: FlowDriver): void;
  lost(driver: FlowDriver): void;
  /** Nothing goes by it any more; what was overtaken may still come. */
  closed(driver: FlowDriver, reason: FlowEnd): void;
  /** After it was closed from here: the peer knows. */
  parted(driver: FlowDriver): void;
  ended(driver: FlowDriver): void;
}

export interface FlowDriverInit {
  readonly flow: DatagramFlow;
  readonly association: Association;
  readonly portPair: PortPair;
  readonly name: TransportAddress;
  readonly host: FlowHost;
  /** Nothing may go plain, or plain datagrams would not get to the peer. */
  readonly carriesAtOnce: boolean;
}

/** Plain datagrams that the flow has overtaken are the peer's for this long: more than any path holds them up. */
const OVERTAKEN_MS = 3_000;

export class FlowDriver implements AlarmOwner {
  dueAt: Instant = 0;
  place = -1;
  readonly flow: DatagramFlow;
  readonly association: Association;
  readonly name: TransportAddress;
  /** Where the peer was when the flow began: its name, or what its name stands for. */
  readonly firstAt: TransportAddress;
  /** The list's. */
  list: FlowList | undefined;
  previousInList: FlowDriver | undefined;
  nextInList: FlowDriver | undefined;
  /** When the keys were agreed, on the wall clock. */
  readonly metAt: number = wallNow();
  #host: FlowHost;
  readonly #portPair: PortPair;
  #carries: boolean;
  #plainUntil: Instant = Number.POSITIVE_INFINITY;
  #open = true;
  #suspended = false;
  #moves = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  /** While the peer is lost. */
  recovery: PeerRecovery | undefined;
  /** Made with the first recovery; outlives them all. */
  rendezvousVersions: RendezvousVersions | undefined;

  constructor({ flow, association, portPair, name, host, carriesAtOnce }: FlowDriverInit) {
    this.flow = flow;
    this.association = association;
    this.#portPair = portPair;
    this.name = name;
    const { ip, port } = flow.remote;
    this.firstAt = ip === name.ip && port === name.port ? name : { ip, port };
    this.#host = host;
    this.#carries = carriesAtOnce;
  }

  /** For people who look. */
  get id(): string {
    return `u-${portPairText(this.#portPair)}`;
  }

  /** Whether the flow stands, so that the application's datagrams go by it. */
  get carries(): boolean {
    return this.#carries;
  }

  /**
   * Whether the application's datagrams still go as they are. Not to where the peer seems to be since, as whoever copies
   * an OPEN decides where that is: the flow sends no more there than it may.
   */
  get goesPlain(): boolean {
    const { remote } = this.flow;
    return !this.#carries && remote.port === this.firstAt.port && remote.ip === this.firstAt.ip;
  }

  /** False from its end on. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether the peer owes an answer, so that it may be anywhere. */
  get isLost(): boolean {
    return this.#open && this.flow.unansweredSince !== undefined;
  }

  get suspended(): boolean {
    return this.#suspended;
  }

  /** Of either end. */
  get moves(): number {
    return this.#moves;
  }

  /** Of the application's. */
  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** Whether a plain datagram from the address that is its name can be the peer's. */
  takesPlain(now: Instant): boolean {
    return now < this.#plainUntil;
  }

  send(now: Instant, payload: Uint8Array): Buffer | undefined {
    const bytes = this.flow.send(now, payload);
    if (bytes !== undefined) this.#bytesSent += payload.length;
    this.#host.alarm.expect(this, this.flow.pollTimeout());
    return bytes;
  }

  /** Returns what is the application's. */
  handleDatagram(now: Instant, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined {
    const payload = this.flow.handleDatagram(now, bytes, from);
    if (payload !== undefined) this.#bytesReceived += payload.length;
    this.#settle(now);
    return payload;
  }

  handleNetworkChange(now: Instant, own: OwnAddresses): void {
    this.flow.handleNetworkChange(now, own);
    this.#settle(now);
  }

  learnPeerAddresses(now: Instant, addresses: readonly TransportAddress[]): void {
    this.flow.learnPeerAddresses(now, addresses);
    this.#settle(now);
  }

  close(now: Instant): void {
    this.flow.close(now);
    this.#settle(now);
  }

  /**
   * Ends the flow, whose socket is about to go: from now on it is on another, and waits there for {@link closeAgain}.
   * What comes back is to go from the old one.
   */
  part(now: Instant, host: FlowHost): DatagramTransmit | undefined {
    this.#host = host;
    this.flow.close(now);
    const first = this.flow.pollTransmit();
    this.#settle(now);
    host.alarm.forget(this);
    return first;
  }

  closeAgain(now: Instant): void {
    this.flow.closeAgain(now);
    this.#settle(now);
  }

  /** Forgets the flow without a word: who would hear it knows nothing of it, or is gone. */
  abandon(): void {
    this.#open = false;
    this.endRecovery();
    this.#host.alarm.forget(this);
  }

  endRecovery(): void {
    this.recovery?.stop();
    this.recovery = undefined;
  }

  handleAlarm(now: Instant): void {
    this.flow.handleTimeout(now);
    this.#settle(now);
  }

  #settle(now: Instant): void {
    const { flow } = this;
    for (let out = flow.pollTransmit(); out !== undefined; out = flow.pollTransmit()) {
      this.#host.transmit(out.bytes, out.to);
    }
    this.#host.alarm.expect(this, flow.pollTimeout());
    for (let event = flow.pollEvent(); event !== undefined; event = flow.pollEvent()) this.#handleEvent(now, event);
  }

  #handleEvent(now: Instant, event: FlowEvent): void {
    switch (event.type) {
      case 'confirmed':
        if (this.flow.role === 'initiator') this.#stand(now);
        break;
      case 'validated':
        // A responder's data is held to what came until then, and what goes plain is not.
        if (this.flow.role === 'responder') this.#stand(now);
        break;
      case 'silent':
        this.#host.silent(this);
        break;
      case 'lost':
        if (!this.#suspended) this.#host.located(this, event);
        this.#suspended = true;
        this.#host.lost(this);
        break;
      case 'found':
        this.#suspended = false;
        this.endRecovery();
        this.#host.located(this, event);
        break;
      case 'closed':
        this.#open = false;
        this.endRecovery();
        this.#host.closed(this, event.reason);
        break;
      case 'parted':
        this.#host.parted(this);
        break;
      case 'ended':
        this.#host.ended(this);
        break;
      default:
        if (event.type === 'moved' || event.type === 'peer-moved') this.#moves += 1;
        this.#host.located(this, event);
    }
  }

  #stand(now: Instant): void {
    if (this.#plainUntil !== Number.POSITIVE_INFINITY) return;
    this.#carries = true;
    this.#plainUntil = now + OVERTAKEN_MS;
    this.#host.carries(this);
  }
}
