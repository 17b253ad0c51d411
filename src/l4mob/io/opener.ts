/**
 * Opener: the initiator's half of an endpoint. A first contact asks by L4_INIT and connects to the session port that
 * L4_OFFER names; a later contact with the same process connects at once. It also dials for sessions that lost their
 * subflow, and finds a way on when an OPEN was refused.
 */
import { familyOf, formatTransportAddress } from '../../core/address.ts';
import { monotonicNow } from '../../host/clock.ts';
import { osRandom } from '../../host/random.ts';
import type { TcpConnection } from '../../host/tcp-connection.ts';
import { type Dial, dialTcp } from '../../host/tcp-dialer.ts';
import type { Association } from '../association.ts';
import { InitiatorHandshake } from '../initiator-handshake.ts';
import { MAX_PORT_CANDIDATES } from '../limits.ts';
import { type PortPair, PortPairTable, portPairText } from '../port-pairs.ts';
import { StreamSession } from '../stream-session.ts';
import type { Refuse } from '../wire/hello.ts';
import { TRANSPORT } from '../wire/init.ts';
import { dialCandidates, type SourcesFor } from './dial-candidates.ts';
import type { DriverHost } from './driver-host.ts';
import { type ContactParticipant, type FirstContact, FirstContacts, type FirstContactsHost } from './first-contact.ts';
import {
  type Agreement,
  type HandshakeHandlers,
  type RunningHandshake,
  runInBandHandshake,
  runUdpHandshake,
} from './handshake-runner.ts';
import type { OpenHandlers, OpenRequest, PendingOpen, PlainReason, Verdict } from './mobile-stream.ts';
import type { Peer } from './peer.ts';
import type { SessionTerms } from './session-terms.ts';
import type { SessionWatcher } from './session-watcher.ts';
import { SpareConnections } from './spare-connections.ts';
import { StreamDriver } from './stream-driver.ts';
import { VerdictCache } from './verdict-cache.ts';

export interface OpenerHost extends SessionWatcher {
  /** A new association: its peer, reached at `contactIp`. */
  peerOf(association: Association, contactIp: string): Peer;
  forgetPeer(peer: Peer): void;
  readonly sourcesFor: SourcesFor;
  /** Whether there is a peer with an association of this id. */
  isKnown(associationId: Uint8Array): boolean;
}

/** The session port of a peer that has just answered: unreachable if it takes longer than this, or 5 round trips. */
const SESSION_PORT_MS = 250;
const SESSION_PORT_ROUND_TRIPS = 5;
/** A dial for a running session; the ladder in the session repeats it. */
const REDIAL_MS = 3_000;

export interface OpenerCounters {
  rejectedOffers: number;
}

export class Opener implements FirstContactsHost {
  readonly #options: SessionTerms;
  readonly #host: OpenerHost;
  readonly #driverHost: DriverHost;
  readonly #portPairs: PortPairTable = new PortPairTable();
  readonly #verdicts: VerdictCache;
  /** Peers by the destination under which the application reaches them. */
  readonly #peers = new Map<string, Peer>();
  readonly contacts: FirstContacts = new FirstContacts(this);
  readonly spares: SpareConnections = new SpareConnections();
  readonly #dials = new WeakMap<StreamDriver, Dial>();
  #sessions = 0;
  readonly counters: OpenerCounters = { rejectedOffers: 0 };

  constructor(options: SessionTerms, host: OpenerHost) {
    this.#options = options;
    this.#host = host;
    this.#verdicts = new VerdictCache(options.limits.verdicts);
    this.#driverHost = {
      dial: (driver) => this.#dial(driver),
      refused: (driver, refuse) => this.#recover(driver, refuse),
      peerSilent: (driver) => driver.peer.announce(true),
      ended: (driver) => this.#ended(driver),
      parted: () => {},
      opened: ({ peer }) => {
        setImmediate(() => this.spares.opened(peer));
        options.keyPairs.refillSoon();
      },
      life: (event) => host.life(event),
    };
  }

  verdict(ip: string, port: number): Verdict {
    const destination = formatTransportAddress({ ip, port });
    const now = monotonicNow();
    if (this.#peers.get(destination)?.association.isFresh(now) === true) return 'aware';
    return this.#verdicts.get(now, destination);
  }

  rememberPlain(ip: string, port: number, ttlMs?: number): void {
    const destination = formatTransportAddress({ ip, port });
    // The answer to an L4_INIT may have come while the plain connect won.
    if (this.verdict(ip, port) === 'unknown') this.#verdicts.remember(monotonicNow(), destination, 'plain', ttlMs);
  }

  open(request: OpenRequest, handlers: OpenHandlers): PendingOpen {
    const opening = new Opening(this, request, handlers);
    opening.start();
    return opening;
  }

  // ---- what an Opening needs -----------------------------------------------------------------------------------------

  knownPeer(request: OpenRequest): Peer | undefined {
    for (const ip of request.addresses) {
      const destination = formatTransportAddress({ ip, port: request.port });
      const peer = this.#peers.get(destination);
      if (peer?.association.isFresh(monotonicNow()) === true) return peer;
      if (peer !== undefined) this.forget(peer);
    }
    return undefined;
  }

  remember(request: OpenRequest, agreement: Agreement): Peer {
    const peer = this.#host.peerOf(agreement.association, agreement.contactIp);
    const destination = formatTransportAddress({ ip: agreement.contactIp, port: request.port });
    this.#peers.set(destination, peer);
    this.#verdicts.forget(destination);
    if (this.#peers.size > this.#options.limits.associations) {
      for (const oldest of this.#peers.values()) {
        this.forget(oldest);
        break;
      }
    }
    return peer;
  }

  /** An answer that came too late for its own connection is good for the next one. */
  rememberAware(request: OpenRequest, { contactIp }: Agreement): void {
    const destination = formatTransportAddress({ ip: contactIp, port: request.port });
    this.#verdicts.remember(monotonicNow(), destination, 'aware');
  }

  forget(peer: Peer): void {
    for (const [destination, known] of this.#peers) if (known === peer) this.#peers.delete(destination);
    this.spares.drop(peer);
    this.#host.forgetPeer(peer);
  }

  get full(): boolean {
    return this.#sessions >= this.#options.limits.sessions;
  }

  handshake(request: OpenRequest, handlers: HandshakeHandlers): RunningHandshake {
    const { addresses, port, localAddress, sessionPort } = request;
    const portCandidates = this.#freePorts(request, MAX_PORT_CANDIDATES);
    if (portCandidates.length === 0) {
      process.nextTick(() => handlers.onFailed('limit'));
      return { goOnUnreferenced: () => {} };
    }
    const make = (now: number): InitiatorHandshake =>
      new InitiatorHandshake({
        random: osRandom,
        now,
        transport: TRANSPORT.tcp,
        responderPort: port,
        groups: this.#options.groups,
        suites: this.#options.suites,
        portCandidates,
        isPortFree: (initiator) => this.#portPairs.isFree(monotonicNow(), { initiator, responder: port }),
        isIdFree: (id) => !this.#host.isKnown(id),
      });
    const counted: HandshakeHandlers = {
      onAgreed: (agreement) => handlers.onAgreed(agreement),
      onFailed: (reason) => {
        this.#options.keyPairs.refillSoon();
        handlers.onFailed(reason);
      },
      onRejected: (count) => {
        this.counters.rejectedOffers += count;
      },
    };
    if (sessionPort === undefined) return runUdpHandshake(addresses, port, localAddress, make, counted);
    const candidates = addresses.map((ip) => ({ ip, port: sessionPort }));
    return runInBandHandshake(candidates, REDIAL_MS, make, counted);
  }

  freePortPair(request: OpenRequest): PortPair | undefined {
    const [initiator] = this.#freePorts(request, 1);
    return initiator === undefined ? undefined : { initiator, responder: request.port };
  }

  /** Initiator ports that are free here; no other than the one that the application wants to be known by. */
  #freePorts({ port: responder, localPort }: OpenRequest, count: number): number[] {
    const now = monotonicNow();
    if (localPort === undefined) return this.#portPairs.candidates(now, osRandom, responder, count);
    return this.#portPairs.isFree(now, { initiator: localPort, responder }) ? [localPort] : [];
  }

  newSession(
    peer: Peer,
    request: OpenRequest,
    portPair: PortPair,
    connection: TcpConnection,
    roundTripMs: number,
  ): StreamDriver {
    this.#portPairs.take(portPair);
    this.#sessions += 1;
    const session = new StreamSession({
      role: 'initiator',
      identity: peer.association.newSession(osRandom, portPair),
      limits: this.#options.limits,
      now: monotonicNow(),
    });
    const driver = new StreamDriver({
      id: `i-${portPairText(portPair)}`,
      session,
      peer,
      request,
      local: { ip: localIp(connection, peer), port: portPair.initiator },
      remote: { ip: peer.contactIp ?? '', port: request.port },
      host: this.#driverHost,
    });
    peer.drivers.add(driver);
    driver.begin(connection, roundTripMs);
    this.#host.started(driver);
    return driver;
  }

  // ---- running sessions ----------------------------------------------------------------------------------------------

  #ended(driver: StreamDriver): void {
    driver.peer.drivers.delete(driver);
    this.#dials.get(driver)?.cancel();
    this.#portPairs.free(driver.session.portPair);
    this.#sessions -= 1;
    this.#host.ended(driver);
  }

  #dial(driver: StreamDriver): void {
    this.#dials.get(driver)?.cancel();
    driver.peer.seek();
    const candidates = dialCandidates(driver.peer.destinations(), this.#host.sourcesFor);
    const dial = dialTcp({
      candidates,
      timeoutMs: REDIAL_MS,
      onConnected: (connection, roundTripMs) => driver.attachDialed(connection, roundTripMs),
      onFailed: (reason) => driver.dialFailed(reason),
    });
    this.#dials.set(driver, dial);
  }

  /** An OPEN was refused after the application was told that it is connected. */
  #recover(driver: StreamDriver, { code, ports }: Refuse): void {
    const { peer, request } = driver;
    if (request === undefined) return;
    if (code === 'port-pair') {
      const { localPort } = request;
      const free = ports.find(
        (p) =>
          localPort === undefined && this.#portPairs.isFree(monotonicNow(), { initiator: p, responder: request.port }),
      );
      const portPair = free === undefined ? this.freePortPair(request) : { initiator: free, responder: request.port };
      if (portPair !== undefined) return this.#reopen(driver, peer, portPair);
    }
    this.forget(peer);
    if (code !== 'unknown' || driver.contactedAnew) {
      return driver.update((session) => session.fail('ECONNREFUSED'));
    }
    driver.contactedAnew = true;
    this.#contactAnew(driver, request);
  }

  /**
   * The process behind the port is another one now, or somebody has changed L4_INIT or L4_OFFER on the way. Nothing was
   * delivered, so whoever answers now may have it all.
   */
  #contactAnew(driver: StreamDriver, request: OpenRequest): void {
    const handlers: HandshakeHandlers = {
      onAgreed: (agreement) => {
        agreement.connection?.close();
        this.#reopen(driver, this.remember(request, agreement), agreement.portPair);
      },
      onFailed: () => driver.update((session) => session.fail('ECONNREFUSED')),
    };
    this.handshake(request, handlers);
  }

  #reopen(driver: StreamDriver, peer: Peer, portPair: PortPair): void {
    if (driver.session.state === 'ended') return;
    driver.peer.drivers.delete(driver);
    peer.drivers.add(driver);
    driver.peer = peer;
    driver.update((session, now) => {
      this.#portPairs.free(session.portPair);
      this.#portPairs.take(portPair);
      session.reopen(now, peer.association.newSession(osRandom, portPair));
    });
  }
}

/** Who asked for an IPv4 host by its mapped address sees the like on its own side. */
function localIp({ local }: TcpConnection, { contactIp = '' }: Peer): string {
  return familyOf(contactIp) === 6 && familyOf(local.ip) === 4 ? `::ffff:${local.ip}` : local.ip;
}

class Opening implements PendingOpen, ContactParticipant {
  readonly #opener: Opener;
  readonly #request: OpenRequest;
  readonly #handlers: OpenHandlers;
  #done = false;
  #contact: FirstContact | undefined;
  #dialing: Dial | undefined;

  constructor(opener: Opener, request: OpenRequest, handlers: OpenHandlers) {
    this.#opener = opener;
    this.#request = request;
    this.#handlers = handlers;
  }

  cancel(): void {
    this.#done = true;
    this.#contact?.leave(this);
    this.#dialing?.cancel();
  }

  start(): void {
    if (this.#opener.full) {
      process.nextTick(() => this.#plain('limit'));
      return;
    }
    const peer = this.#opener.knownPeer(this.#request);
    if (peer === undefined) this.#firstContact();
    else this.#laterContact(peer);
  }

  #laterContact(peer: Peer): void {
    const portPair = this.#opener.freePortPair(this.#request);
    if (portPair === undefined) return void process.nextTick(() => this.#plain('limit'));
    const spare = this.#request.localAddress === undefined ? this.#opener.spares.take(peer) : undefined;
    if (spare === undefined) return this.#dialKnown(peer, portPair);
    const { connection, roundTripMs } = spare;
    // No application expects to be connected before the event loop has turned.
    setImmediate(() => {
      if (this.#done) connection.close();
      else if (connection.closed) this.#dialKnown(peer, portPair);
      else this.#open(peer, portPair, connection, roundTripMs);
    });
  }

  #dialKnown(peer: Peer, portPair: PortPair): void {
    this.#dial(peer, portPair, SESSION_PORT_MS, () => {
      this.#opener.forget(peer);
      this.#firstContact();
    });
  }

  #firstContact(): void {
    this.#contact = this.#opener.contacts.join(this.#request, this);
  }

  agreed(peer: Peer, roundTripMs: number, offered: Agreement | undefined): boolean {
    if (this.#done) return false;
    this.#handlers.onOffer();
    if (this.#done) return false;
    if (offered?.connection !== undefined) {
      this.#open(peer, offered.portPair, offered.connection, roundTripMs);
      return true;
    }
    const portPair = offered?.portPair ?? this.#opener.freePortPair(this.#request);
    if (portPair === undefined) {
      this.#plain('limit');
      return false;
    }
    const timeoutMs = Math.max(SESSION_PORT_MS, SESSION_PORT_ROUND_TRIPS * roundTripMs);
    this.#dial(peer, portPair, timeoutMs, () => {
      this.#opener.forget(peer);
      this.#plain('session-port-unreachable');
    });
    return true;
  }

  failed(reason: PlainReason): void {
    this.#plain(reason);
  }

  #dial(peer: Peer, portPair: PortPair, timeoutMs: number, onFailed: () => void): void {
    this.#dialing = dialTcp({
      candidates: peer.destinations(),
      timeoutMs,
      localAddress: this.#request.localAddress,
      onConnected: (connection, roundTripMs) => {
        if (this.#done) connection.close();
        else this.#open(peer, portPair, connection, roundTripMs);
      },
      onFailed: () => {
        if (!this.#done) onFailed();
      },
    });
  }

  #open(peer: Peer, portPair: PortPair, connection: TcpConnection, roundTripMs: number): void {
    this.#done = true;
    this.#handlers.onOpen(this.#opener.newSession(peer, this.#request, portPair, connection, roundTripMs));
  }

  #plain(reason: PlainReason): void {
    if (this.#done) return;
    this.#done = true;
    this.#handlers.onPlain(reason);
  }
}
