/**
 * Datagram service: the flows of one UDP socket of the application. It tells whose each datagram is that comes, by one
 * look at its first byte in nearly all cases, and which way each goes that the application sends:
 *
 *     came:  packet of a flow      -> opened, delivered under the flow's name
 *            L4_INIT, L4_OFFER     -> the responder, the contacts
 *            plain, from a name    -> overtaken by its flow: as it is; else a stranger: under an alias
 *            plain                 -> the application's, as it is
 *     sent:  to a flow's name      -> sealed, to where the peer is
 *            to an alias           -> to the stranger
 *            to anybody else       -> as it is; contacts keep count
 */
import { isLinkLocal, type TransportAddress } from '../../core/address.ts';
import { concatBytes } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import type { Association } from '../association.ts';
import type { DatagramFlow, OwnAddresses } from '../datagram/datagram-flow.ts';
import type { FlowEnd, FlowEvent } from '../datagram/flow-event.ts';
import type { InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';
import { isOpenDatagram, MAX_DATAGRAM_PAYLOAD, mayBeFlowDatagram } from '../wire/datagram.ts';
import { decodeInit, TRANSPORT } from '../wire/init.ts';
import { SIGNAL_TYPE, type SignalType, signalTypeOf } from '../wire/signal-header.ts';
import type { Callers } from './callers.ts';
import { DatagramContacts, type DatagramContactsHost, type FlowWish, verdictKey } from './datagram-contacts.ts';
import type { DatagramHub } from './datagram-hub.ts';
import { DatagramNames, type PlainPeers } from './datagram-names.ts';
import { FlowDriver, type FlowHost } from './flow-driver.ts';
import { FlowList } from './flow-list.ts';
import { FormerFlows } from './former-flows.ts';
import type { DatagramPort, DatagramService, DatagramServiceOptions, OutgoingDatagram } from './mobile-datagrams.ts';
import { PeerRecovery, type PeerRecoveryHost } from './peer-recovery.ts';
import type { SharedAlarm } from './shared-alarm.ts';
import type { VerdictCache } from './verdict-cache.ts';

const FIRST_MAGIC_BYTE = 0x4c;

/**
 * There is one for every UDP socket, and many processes have thousands: it is the host of what it drives itself, instead
 * of handing functions around, and makes what most sockets never need, or not any more, only for as long as it is needed.
 */
export class MobileDatagramService implements DatagramService, DatagramContactsHost, FlowHost, PlainPeers {
  readonly #hub: DatagramHub;
  readonly #options: DatagramServiceOptions;
  readonly #port: DatagramPort;
  /** While there are plain peers. */
  #contacts: DatagramContacts | undefined;
  readonly #names: DatagramNames = new DatagramNames(this);
  readonly #drivers: FlowList = new FlowList();
  #former: FormerFlows | undefined;
  /** To whom was sent last: most sockets have one peer, or answer whom they just heard. */
  #lastSent: FlowDriver | undefined;
  #connected: TransportAddress | undefined;
  #hostName: string | undefined;
  /** The kernel lets others in than the connected peer. */
  #openToAll = false;
  /** Since it was connected: plain datagrams to the peer, and ICMP for them. */
  #sentPlain = 0;
  #unreachable = 0;

  constructor(hub: DatagramHub, options: DatagramServiceOptions) {
    this.#hub = hub;
    this.#options = options;
    this.#port = options.port;
  }

  // ---- DatagramService -----------------------------------------------------------------------------------------------

  get flows(): number {
    return this.#drivers.size;
  }

  /** Of the socket. */
  get local(): TransportAddress {
    return this.#port.local;
  }

  handleDatagram(bytes: Buffer, from: TransportAddress): boolean {
    if (mayBeFlowDatagram(bytes)) {
      const driver = this.#hub.find(bytes);
      if (driver !== undefined) return this.#handlePacket(driver, bytes, from);
      if (isOpenDatagram(bytes) ? this.#handleOpen(bytes, from) : this.#isNoise(bytes)) return true;
    } else if (bytes[0] === FIRST_MAGIC_BYTE) {
      const type = signalTypeOf(bytes);
      if (type !== undefined && this.#handleSignal(type, bytes, from)) return true;
    }
    return this.#handlePlain(bytes, from);
  }

  handleUnreachable(): boolean {
    if (this.#connected === undefined) return false;
    this.#contacts?.noteUnreachable(this.#connected);
    if (this.#unreachable >= this.#sentPlain) return true;
    this.#unreachable += 1;
    return false;
  }

  send(pieces: readonly Uint8Array[], to: TransportAddress): OutgoingDatagram | undefined | 'dropped' | 'too-long' {
    const last = this.#lastSent;
    if (last !== undefined && last.name.port === to.port && last.name.ip === to.ip) return this.#sendBy(last, pieces);
    const named = this.#names.empty ? undefined : this.#names.get(to);
    if (named instanceof FlowDriver) {
      this.#lastSent = named;
      return this.#sendBy(named, pieces);
    }
    if (named !== undefined) {
      return this.#requires(named.address) ? 'dropped' : { bytes: payloadOf(pieces), to: named.address };
    }
    this.#notePlain(to);
    return undefined;
  }

  connected(remote: TransportAddress, host?: string): void {
    this.disconnected();
    const name = { ip: remote.ip, port: remote.port };
    this.#connected = name;
    this.#hostName = host;
    // The application hears nobody else from now on, and can't answer them.
    const now = monotonicNow();
    for (const driver of this.#drivers.all()) if (!this.#isConnectedTo(driver.name)) driver.close(now);
    const known = this.#names.get(name);
    if (known instanceof FlowDriver && known.carries) this.#widen();
  }

  disconnected(): void {
    this.#connected = undefined;
    this.#hostName = undefined;
    this.#openToAll = false;
    this.#sentPlain = 0;
    this.#unreachable = 0;
    // Whom to ask may be another matter now.
    this.#contacts?.clear();
  }

  close(): void {
    const now = monotonicNow();
    this.#connected = undefined;
    for (const driver of this.#drivers.all()) {
      if (driver.flow.phase === 'confirmed' && this.#hub.letsPart) this.#part(driver);
      else {
        driver.close(now);
        this.#abandon(driver);
      }
    }
    this.#contacts?.clear();
    this.#names.clear();
    this.#hub.closed(this);
  }

  // ---- what the hub asks ---------------------------------------------------------------------------------------------

  /** We may be somewhere else. Returns whether the peer was asked: nobody hears who has no address. */
  announce(driver: FlowDriver, now: Instant): boolean {
    const own = this.#own();
    if (own.addresses.length === 0 && !isLinkLocal(driver.flow.remote.ip)) return false;
    driver.handleNetworkChange(now, own);
    if (driver.isLost) this.#recoveryOf(driver)?.seek();
    return driver.isLost;
  }

  #own(): OwnAddresses {
    const { sessionPort, addresses } = this.#hub.whereabouts(this.#port.local);
    return { port: sessionPort, addresses };
  }

  // ---- datagrams that come -------------------------------------------------------------------------------------------

  #handlePacket(driver: FlowDriver, bytes: Buffer, from: TransportAddress): boolean {
    // Flows are found in the whole process; one that is somebody else's has no business at this socket.
    if (!this.#drivers.has(driver)) return true;
    const payload = driver.handleDatagram(monotonicNow(), bytes, from);
    if (payload === undefined || !(driver.open || this.#isStillCalled(driver))) return true;
    const { buffer, byteOffset, length } = payload;
    this.#port.deliver(Buffer.isBuffer(payload) ? payload : Buffer.from(buffer, byteOffset, length), driver.name);
    return true;
  }

  /** A flow that is over delivers what its end has overtaken, unless its name is another's meanwhile. */
  #isStillCalled({ name }: FlowDriver): boolean {
    return this.#names.get(name) === undefined;
  }

  /** Returns false where the OPEN is none: it names no association of ours. */
  #handleOpen(bytes: Buffer, from: TransportAddress): boolean {
    const association = this.#hub.associationOf(bytes);
    if (association === undefined) return false;
    const name = this.#names.nameFor(from);
    if (name === undefined || !this.#options.accepts(from.ip)) return true;
    const opened = this.#hub.accept(association, bytes, from);
    if (opened === undefined) return true;
    this.#contacts?.forget(from);
    const driver = this.#add(opened.flow, association, opened.portPair, name, this.#requires(name));
    return this.#handlePacket(driver, bytes, from);
  }

  #isNoise(bytes: Buffer): boolean {
    this.#former ??= new FormerFlows();
    if (!this.#former.isNoise(bytes)) return false;
    this.#hub.noteUnknown();
    return true;
  }

  #handleSignal(type: SignalType, bytes: Buffer, from: TransportAddress): boolean {
    if (type === SIGNAL_TYPE.init) return this.#handleInit(bytes, from);
    if (type === SIGNAL_TYPE.rendezvousAnswer) {
      // One that comes too late, or twice, is no business of the application's either.
      this.#hub.rendezvous?.handleAnswer(bytes, from);
      return this.#hub.rendezvous !== undefined;
    }
    if (type !== SIGNAL_TYPE.offer) return false;
    this.#contacts?.handleOffer(bytes, from);
    return true;
  }

  /** The application has a TCP listener on the same port. */
  #handleStreamInit(bytes: Buffer, from: TransportAddress): boolean {
    const answer = this.#hub.answerStreamInit(this.#port.local, bytes, from);
    if (answer !== undefined) this.#port.transmit(answer, from);
    return true;
  }

  #handleInit(bytes: Buffer, from: TransportAddress): boolean {
    try {
      if (decodeInit(bytes).transport !== TRANSPORT.udp) return this.#handleStreamInit(bytes, from);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return true;
    }
    const known = this.#names.get(from);
    const isOurs = known instanceof FlowDriver && known.flow.role === 'initiator' && known.flow.phase === 'opening';
    if (isOurs || this.#contacts?.giveWay(bytes, from) === false) return true;
    const allowed = this.#options.accepts(from.ip);
    const answer = this.#hub.answerInit(bytes, from, this.#port.local, allowed);
    if (answer !== undefined) this.#port.transmit(answer, from);
    return true;
  }

  #handlePlain(bytes: Buffer, from: TransportAddress): boolean {
    const named = this.#names.empty ? undefined : this.#names.get(from);
    if (named instanceof FlowDriver && named.takesPlain(monotonicNow())) return false;
    if (this.#connected !== undefined && (named !== undefined || !this.#isConnectedTo(from))) return true;
    if (named !== undefined) {
      const alias = this.#requires(from) ? undefined : this.#names.aliasFor(from);
      if (alias !== undefined) this.#port.deliver(bytes, alias.name);
      return true;
    }
    this.#contacts ??= new DatagramContacts(this);
    this.#contacts.noteHeard(from);
    return false;
  }

  // ---- datagrams that go ---------------------------------------------------------------------------------------------

  #sendBy(driver: FlowDriver, pieces: readonly Uint8Array[]): OutgoingDatagram | undefined | 'dropped' | 'too-long' {
    if (driver.goesPlain) return this.#sendBeside(driver, pieces);
    const payload = payloadOf(pieces);
    if (payload.length > MAX_DATAGRAM_PAYLOAD) return 'too-long';
    const bytes = driver.send(monotonicNow(), payload);
    return bytes === undefined ? 'dropped' : { bytes, to: driver.flow.remote };
  }

  /** Plain, until the flow stands; by an alias to where the peer is. */
  #sendBeside({ firstAt, name }: FlowDriver, pieces: readonly Uint8Array[]): OutgoingDatagram | undefined {
    return firstAt === name ? undefined : { bytes: payloadOf(pieces), to: firstAt };
  }

  #notePlain(to: TransportAddress): void {
    if (this.#connected !== undefined) this.#sentPlain += 1;
    this.#contacts ??= new DatagramContacts(this);
    this.#contacts.noteSent(to);
  }

  // ---- DatagramContactsHost ------------------------------------------------------------------------------------------

  get alarm(): SharedAlarm {
    return this.#hub.alarm;
  }

  get verdicts(): VerdictCache {
    return this.#hub.verdicts;
  }

  get callers(): Callers {
    return this.#hub.callers;
  }

  transmit(bytes: Uint8Array, to: TransportAddress): void {
    this.#port.transmit(bytes, to);
  }

  handshake(now: Instant, remote: TransportAddress): InitiatorHandshake {
    return this.#hub.handshake(now, remote, this.#port.local);
  }

  agreed(remote: TransportAddress, association: Association, portPair: PortPair): void {
    this.#open(remote, remote, association, portPair, this.#requires(remote));
  }

  knows(address: TransportAddress): boolean {
    return this.#contacts?.knows(address) === true;
  }

  wish(remote: TransportAddress): FlowWish {
    const initiative = this.#options.initiates(remote, this.#connected !== undefined);
    return initiative !== 'never' && this.#requires(remote) ? 'must' : initiative;
  }

  // ---- flows ---------------------------------------------------------------------------------------------------------

  #requires(remote: TransportAddress): boolean {
    return this.#options.requires?.(remote, this.#connected !== undefined) === true;
  }

  #open(
    name: TransportAddress,
    remote: TransportAddress,
    association: Association,
    portPair: PortPair,
    carriesAtOnce: boolean,
  ): void {
    if (this.#names.get(name) !== undefined) return;
    const flow = this.#hub.open(association, portPair, remote);
    if (flow === undefined) return;
    const driver = this.#add(flow, association, portPair, { ip: name.ip, port: name.port }, carriesAtOnce);
    const { addresses, sessionPort } = association.peer;
    // A shared address leads to many nodes; these are those of the one that answered.
    if (addresses.length === 0) return;
    driver.learnPeerAddresses(
      monotonicNow(),
      addresses.map((ip) => ({ ip, port: sessionPort })),
    );
  }

  #add(
    flow: DatagramFlow,
    association: Association,
    portPair: PortPair,
    name: TransportAddress,
    carriesAtOnce: boolean,
  ): FlowDriver {
    const driver = new FlowDriver({ flow, association, portPair, name, host: this, carriesAtOnce });
    this.#drivers.add(driver);
    if (this.#contacts?.empty) this.#contacts = undefined;
    this.#names.take(driver);
    this.#hub.add(flow, driver, this);
    return driver;
  }

  // ---- FlowHost ------------------------------------------------------------------------------------------------------

  carries(driver: FlowDriver): void {
    this.#hub.opened(driver, this.#port.local);
    if (this.#isConnectedTo(driver.name)) this.#widen();
  }

  located(driver: FlowDriver, event: FlowEvent): void {
    this.#hub.located(driver, event, this.#port.local);
  }

  silent(driver: FlowDriver): void {
    this.#recoveryOf(driver)?.seek(true);
  }

  lost(driver: FlowDriver): void {
    this.#recoveryOf(driver)?.handleLoss();
  }

  closed(driver: FlowDriver, reason: FlowEnd): void {
    this.#release(driver);
    this.#hub.ended(driver, this.#port.local, reason);
    // It can't be had, for whatever reason: plain for as long as if the peer had said so.
    if (reason === 'unconfirmed') this.#hub.verdicts.remember(monotonicNow(), verdictKey(driver.name), 'plain');
    this.#narrow(driver);
  }

  /** What its end has overtaken may still come. */
  parted(): void {}

  ended(driver: FlowDriver): void {
    this.#forget(driver);
  }

  // --------------------------------------------------------------------------------------------------------------------

  #release(driver: FlowDriver): void {
    this.#names.release(driver);
    if (this.#lastSent === driver) this.#lastSent = undefined;
  }

  /** The socket goes before the peer can have heard that the flow is over. */
  #part(driver: FlowDriver): void {
    this.#release(driver);
    this.#drivers.delete(driver);
    const last = this.#hub.part(driver);
    if (last !== undefined) this.#port.transmit(last.bytes, last.to);
  }

  #abandon(driver: FlowDriver): void {
    driver.abandon();
    this.#release(driver);
    this.#forget(driver);
  }

  #forget(driver: FlowDriver): void {
    this.#drivers.delete(driver);
    this.#hub.forget(driver.flow);
  }

  #recoveryOf(driver: FlowDriver): PeerRecovery | undefined {
    if (driver.recovery === undefined && this.#hub.mayRecover()) {
      driver.recovery = new PeerRecovery(driver, this.#recoveryHost());
      this.#hub.recovering(driver);
    }
    return driver.recovery;
  }

  #recoveryHost(): PeerRecoveryHost {
    const hub = this.#hub;
    return {
      rendezvous: hub.rendezvous,
      transmit: (bytes, to) => this.transmit(bytes, to),
      hostName: () => this.#hostName,
      whereabouts: () => hub.whereabouts(this.local),
      handshake: (remote) => this.handshake(monotonicNow(), remote),
      replaced: (driver, address, association, portPair) => {
        this.#abandon(driver);
        hub.ended(driver, this.local, 'replaced');
        this.#open(driver.name, address, association, portPair, true);
      },
      gone: (driver) => {
        this.#abandon(driver);
        hub.ended(driver, this.local, 'refused');
        this.#narrow(driver);
        if (this.#isConnectedTo(driver.name)) this.#port.refused();
      },
    };
  }

  // ---- connected sockets ---------------------------------------------------------------------------------------------

  #isConnectedTo({ ip, port }: TransportAddress): boolean {
    const remote = this.#connected;
    return remote !== undefined && remote.port === port && remote.ip === ip;
  }

  #widen(): void {
    if (this.#openToAll) return;
    this.#openToAll = true;
    this.#port.openToAll();
  }

  /** The flow with the connected peer is over: what others send is the kernel's to keep away again. */
  #narrow(driver: FlowDriver): void {
    if (!this.#openToAll || !this.#isConnectedTo(driver.name)) return;
    this.#openToAll = false;
    this.#sentPlain = 0;
    this.#unreachable = 0;
    this.#port.closeToOthers();
  }
}

function payloadOf(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  return first !== undefined && pieces.length === 1 ? first : concatBytes(...pieces);
}
