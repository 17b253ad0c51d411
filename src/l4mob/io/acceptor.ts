/**
 * Acceptor: the responder's half of an endpoint. It keeps the application's listeners, answers L4_INIT for them on
 * companion UDP ports, and takes subflows: OPEN makes a session, RESUME brings one back.
 */
import { type Family, familyOf, isLoopback, type TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import type { Instant } from '../../core/time.ts';
import { Alarm, after, monotonicNow } from '../../host/clock.ts';
import type { LocalAddress } from '../../host/local-addresses.ts';
import { osRandom } from '../../host/random.ts';
import { type TcpConnection, UNHEARD } from '../../host/tcp-connection.ts';
import { type Association, isGenuineResume, refuseUnknown } from '../association.ts';
import { MAX_PORT_CANDIDATES, MAX_TOMBSTONES, TOMBSTONE_MS } from '../limits.ts';
import { type PortPair, PortPairTable, portPairKey, portPairText } from '../port-pairs.ts';
import { type OfferedService, Responder } from '../responder.ts';
import { type SessionIdentity, StreamSession } from '../stream-session.ts';
import { type Authenticated, decodeOpen, decodeResume, HELLO_TYPE, type Open, type RefuseCode } from '../wire/hello.ts';
import { decodeInit, TRANSPORT } from '../wire/init.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../wire/signal-header.ts';
import { Companions } from './companions.ts';
import type { DriverHost } from './driver-host.ts';
import type { ListenHandle, ListenRequest } from './mobile-stream.ts';
import type { Peer } from './peer.ts';
import { SessionPort, type SessionPortHost } from './session-port.ts';
import type { SessionTerms } from './session-terms.ts';
import type { SessionWatcher } from './session-watcher.ts';
import { StreamDriver } from './stream-driver.ts';
import { warmUp } from './warm-up.ts';

export interface AcceptorHost extends SessionWatcher {
  /** Addresses that a responder bound to `address` may name. */
  ownAddresses(address: string): readonly string[];
  /** All usable ones of this host. */
  localAddresses(): readonly LocalAddress[];
  /** From soon on, {@link Acceptor.addressesChanged} is called whenever they change. */
  watchAddresses(): void;
  handleUpdate(bytes: Uint8Array, from: TransportAddress): void;
  /** Its last session has ended. */
  peerIdle(peer: Peer): void;
  /** The peer of an association that just got a session. */
  /** `contactIp`: where the peer is reached for sure, if that is known. */
  peerOf(association: Association, port: SessionPort, contactIp: string | undefined): Peer;
  warn(message: string): void;
}

export interface AcceptorOptions extends SessionTerms {
  /** First and last session port to try; 0 for any. */
  readonly sessionPorts: readonly [number, number];
}

/** Hellos and sessions turned away, by reason. */
export interface AcceptorCounters {
  malformedHellos: number;
  unknownHellos: number;
  forgedHellos: number;
  staleHellos: number;
  replayedOpens: number;
  refusedOpens: number;
}

/** Who was turned away has read why, or never will. */
const TURNED_AWAY_MS = 1_000;

interface AcceptedSession {
  readonly driver: StreamDriver;
  readonly association: Association;
  readonly identity: SessionIdentity;
  readonly openNumber: number;
  readonly sessionPort: SessionPort;
}

interface Listener {
  readonly request: ListenRequest;
  readonly sessionPort: SessionPort;
  readonly companions: Companions;
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #host: AcceptorHost;
  readonly #driverHost: DriverHost;
  readonly #portHost: SessionPortHost;
  readonly #portPairs: PortPairTable = new PortPairTable();
  readonly #responder: Responder;
  #warm = false;
  readonly #sessionPorts = new Map<string, SessionPort>();
  readonly #listeners = new Set<Listener>();
  readonly #sessions = new Map<number, AcceptedSession>();
  /** When ended sessions are forgotten, by key, the first one first. */
  readonly #tombstones = new Map<number, Instant>();
  readonly #burial: Alarm = new Alarm((now) => this.#buryDue(now));
  readonly counters: AcceptorCounters = {
    malformedHellos: 0,
    unknownHellos: 0,
    forgedHellos: 0,
    staleHellos: 0,
    replayedOpens: 0,
    refusedOpens: 0,
  };

  constructor(options: AcceptorOptions, host: AcceptorHost) {
    this.#options = options;
    this.#host = host;
    this.#burial.unref();
    this.#driverHost = {
      dial: () => {}, // only the initiator dials, and only it is refused
      refused: () => {},
      peerSilent: (driver) => {
        driver.peer.probe(() => driver.update((session) => session.handlePeerGone()));
        driver.peer.announce();
      },
      ended: (driver) => this.#ended(driver),
      opened: () => {},
      parted: (driver) => this.#bury(portPairKey(driver.session.portPair)),
      life: (event) => host.life(event),
    };
    this.#portHost = {
      handleInBandInit: (port, bytes, from) => this.#answerInBandInit(port, bytes, from),
      handleHello: (port, connection, hello, rest) => this.#handleHello(port, connection, hello, rest),
      handleSignal: (bytes, from) => host.handleUpdate(bytes, from),
      malformedHello: () => {
        this.counters.malformedHellos += 1;
      },
      unavailable: (port, error) => host.warn(`no session port on ${port.address}: ${error.message}`),
    };
    this.#responder = new Responder({ ...options, random: osRandom, now: monotonicNow(), portPairs: this.#portPairs });
  }

  get responder(): Responder {
    return this.#responder;
  }

  // ---- listeners ---------------------------------------------------------------------------------------------------

  listen(request: ListenRequest): ListenHandle {
    if (!this.#warm) {
      this.#warm = true;
      const { groups, suites } = this.#options;
      setImmediate(() => warmUp(groups, suites)).unref();
    }
    const sessionPort = this.#sessionPortFor(request);
    sessionPort.listeners.set(request.port, request);
    const listener: Listener = { request, sessionPort, companions: this.#companionsOf(request, sessionPort) };
    if (listener.companions.perAddress) this.#host.watchAddresses();
    this.#listeners.add(listener);
    return {
      close: () => {
        listener.companions.close();
        this.#listeners.delete(listener);
        if (sessionPort.listeners.get(request.port) === request) sessionPort.listeners.delete(request.port);
        this.#closeIfIdle(sessionPort);
      },
    };
  }

  yieldUdpPort(port: number): void {
    for (const listener of this.#listeners) {
      if (listener.request.port === port) listener.companions.close();
    }
  }

  /**
   * Answers an L4_INIT for a listener that came to the application's own UDP socket, bound to `local`: the companion made
   * way for that one. Never for a listener that may be bound to another address than the one asked.
   */
  answerInitAt(local: TransportAddress, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined {
    for (const { request, sessionPort } of this.#listeners) {
      if (request.port !== local.port || !listensAt(request, local.ip, familyOf(from.ip))) continue;
      this.#responder.handleTimeout(monotonicNow());
      return this.#answerInit(bytes, from, sessionPort, request);
    }
    return undefined;
  }

  addressesChanged(): void {
    for (const { companions } of this.#listeners) companions.follow();
  }

  signal(port: number, bytes: Uint8Array, to: TransportAddress): void {
    for (const sessionPort of this.#sessionPorts.values()) {
      if (sessionPort.port === port) return sessionPort.send(bytes, to);
    }
  }

  close(): void {
    for (const { companions } of this.#listeners) companions.close();
    for (const port of this.#sessionPorts.values()) port.close();
    this.#burial.set(undefined);
    this.#listeners.clear();
    this.#sessionPorts.clear();
  }

  #companionsOf(request: ListenRequest, sessionPort: SessionPort): Companions {
    const { address, port, ipv6Only = false } = request;
    return new Companions({
      address,
      port,
      ipv6Only,
      ownAddresses: () => this.#host.localAddresses(),
      answer: (bytes, from) => {
        if (signalTypeOf(bytes) !== SIGNAL_TYPE.init) return undefined;
        this.#responder.handleTimeout(monotonicNow());
        return this.#answerInit(bytes, from, sessionPort, request);
      },
      onError: (ip, error) => {
        this.#host.warn(`no UDP port ${port} on ${ip}, so new peers won't find the listener there: ${error.message}`);
      },
    });
  }

  #sessionPortFor({ address, ipv6Only = false }: ListenRequest): SessionPort {
    const name = `${address} ${ipv6Only}`;
    const existing = this.#sessionPorts.get(name);
    if (existing !== undefined) return existing;
    const port = new SessionPort({ address, ipv6Only, ports: this.#options.sessionPorts, host: this.#portHost });
    this.#sessionPorts.set(name, port);
    return port;
  }

  /** A port that no listener and no session needs is not left open. */
  #closeIfIdle(port: SessionPort): void {
    if (port.listeners.size > 0) return;
    for (const { sessionPort } of this.#sessions.values()) if (sessionPort === port) return;
    port.close();
    for (const [name, known] of this.#sessionPorts) if (known === port) this.#sessionPorts.delete(name);
  }

  // ---- L4_INIT -----------------------------------------------------------------------------------------------------

  #answerInit(
    bytes: Uint8Array,
    from: TransportAddress,
    via: SessionPort,
    request: ListenRequest,
  ): Uint8Array | undefined {
    if (via.port === 0) return undefined;
    const allowed = request.accepts?.(from.ip) ?? true;
    const service: OfferedService = {
      sessionPort: via.port,
      addresses: isLoopback(from.ip) ? [] : this.#host.ownAddresses(request.address),
      ...(allowed ? {} : { refusal: 'policy' as const }),
    };
    return this.#responder.handleInit(monotonicNow(), bytes, from, service);
  }

  #answerInBandInit(port: SessionPort, bytes: Uint8Array, from: TransportAddress): Uint8Array | undefined {
    const init = decodeInit(bytes);
    const request = port.listeners.get(init.responderPort);
    if (request === undefined || init.transport !== TRANSPORT.tcp) throw new WireError('in-band: no such listener');
    return this.#answerInit(bytes, from, port, request);
  }

  // ---- hellos ------------------------------------------------------------------------------------------------------

  #handleHello(port: SessionPort, connection: TcpConnection, hello: Buffer, rest: Buffer): void {
    if (hello[0] === HELLO_TYPE.open) this.#handleOpen(port, connection, decodeOpen(hello), rest);
    else if (hello[0] === HELLO_TYPE.resume) this.#handleResume(connection, hello, rest);
    else throw new WireError('hello: REFUSE to a responder');
  }

  #handleOpen(port: SessionPort, connection: TcpConnection, open: Authenticated<Open>, rest: Buffer): void {
    const { message, mac } = open;
    const association = this.#responder.association(message.associationId);
    if (association === undefined) return this.#turnUnknownAway(connection);
    const identity = association.identify(open);
    if (identity === undefined) {
      this.counters.forgedHellos += 1;
      // L4_INIT or L4_OFFER may have been changed on the way: then the peer has another key, and can't know.
      if (!this.#responder.isConfirmed(association)) return turnAway(connection, refuseUnknown());
      connection.close();
      return;
    }
    this.#responder.confirm(association);
    const refuse = (code: RefuseCode, ports: readonly number[] = []): void => {
      this.counters.refusedOpens += 1;
      turnAway(connection, association.refuse(code, ports, mac));
    };
    const { portPair } = message;
    const running = this.#sessions.get(portPairKey(portPair));
    const hello = {
      kind: 'open',
      receiveOffset: 0,
      stateSequence: message.stateSequence,
      window: message.window,
    } as const;
    if (running?.association === association && running.openNumber === message.openNumber) {
      if (running.driver.attachAccepted(connection, hello, rest)) return;
      this.counters.staleHellos += 1;
      return refuse('stale');
    }
    if (running !== undefined) return refuse('port-pair', this.#freePorts(portPair));
    const request = port.listeners.get(portPair.responder);
    if (request === undefined) return refuse('listener-gone');
    if (request.accepts?.(connection.remote.ip) === false) return refuse('policy');
    if (this.#sessions.size - this.#tombstones.size >= this.#options.limits.sessions) return refuse('limit');
    if (!association.useOpenNumber(message.openNumber)) {
      this.counters.replayedOpens += 1;
      return refuse('stale');
    }
    const driver = this.#newSession(port, connection, association, identity, message.openNumber);
    // Attached first: an owner that turns the session away at once has a peer to tell.
    driver.attachAccepted(connection, hello, rest);
    request.onSession(driver);
    driver.tellOwner();
    this.#options.keyPairs.refillSoon();
  }

  #handleResume(connection: TcpConnection, bytes: Buffer, rest: Buffer): void {
    const resume = decodeResume(bytes);
    const { message } = resume;
    const running = this.#sessions.get(portPairKey(message.portPair));
    if (running === undefined || Buffer.compare(running.association.id, message.associationId) !== 0) {
      return this.#turnUnknownAway(connection);
    }
    if (!isGenuineResume(running.identity.keys, resume)) {
      this.counters.forgedHellos += 1;
      connection.close();
      return;
    }
    if (running.driver.attachAccepted(connection, { kind: 'resume', ...message }, rest)) return;
    this.counters.staleHellos += 1;
    turnAway(connection, running.association.refuse('stale', [], resume.mac));
  }

  #newSession(
    port: SessionPort,
    connection: TcpConnection,
    association: Association,
    identity: SessionIdentity,
    openNumber: number,
  ): StreamDriver {
    const { portPair } = identity;
    const key = portPairKey(portPair);
    const session = new StreamSession({
      role: 'responder',
      identity,
      limits: this.#options.limits,
      now: monotonicNow(),
    });
    const { ip } = connection.remote;
    // A peer on this host may have no other address to name, and there is no NAT between.
    const peer = this.#host.peerOf(association, port, isLoopback(ip) ? ip : undefined);
    const driver = new StreamDriver({
      id: `r-${portPairText(portPair)}`,
      session,
      peer,
      local: { ip: connection.local.ip, port: portPair.responder },
      remote: { ip: connection.remote.ip, port: portPair.initiator },
      host: this.#driverHost,
    });
    peer.drivers.add(driver);
    this.#portPairs.take(portPair);
    this.#sessions.set(key, { driver, association, identity, openNumber, sessionPort: port });
    this.#host.started(driver);
    return driver;
  }

  #ended(driver: StreamDriver): void {
    const { peer } = driver;
    peer.drivers.delete(driver);
    if (peer.drivers.size === 0) this.#host.peerIdle(peer);
    this.#entomb(portPairKey(driver.session.portPair));
    this.#host.ended(driver);
  }

  /** The session has ended: it answers resumes for a while, then its port pair is free. */
  #entomb(key: number): void {
    this.#tombstones.set(key, monotonicNow() + TOMBSTONE_MS);
    const [oldest] = this.#tombstones.keys();
    if (oldest !== undefined && this.#tombstones.size > MAX_TOMBSTONES) this.#bury(oldest);
    if (this.#burial.deadline === undefined) this.#buryNext();
  }

  #buryDue(now: Instant): void {
    for (const [key, due] of this.#tombstones) {
      if (due > now) break;
      this.#bury(key);
    }
    this.#buryNext();
  }

  /** All stand equally long, so one alarm is enough; it finds out by itself that its tombstone has gone before. */
  #buryNext(): void {
    const [next] = this.#tombstones.values();
    this.#burial.set(next);
  }

  #bury(key: number): void {
    const buried = this.#sessions.get(key);
    if (buried === undefined || !this.#tombstones.delete(key)) return;
    this.#sessions.delete(key);
    this.#portPairs.free(buried.identity.portPair);
    this.#closeIfIdle(buried.sessionPort);
  }

  #turnUnknownAway(connection: TcpConnection): void {
    this.counters.unknownHellos += 1;
    turnAway(connection, refuseUnknown());
  }

  #freePorts({ responder }: PortPair): number[] {
    return this.#portPairs.candidates(monotonicNow(), osRandom, responder, MAX_PORT_CANDIDATES);
  }
}

function listensAt({ address, ipv6Only = false }: ListenRequest, ip: string, family: Family): boolean {
  if (address === ip || (address === '0.0.0.0' && family === 4)) return true;
  return address === '::' && (family === 6 || !ipv6Only);
}

function turnAway(connection: TcpConnection, refusal: Uint8Array): void {
  const cancelTimer = after(TURNED_AWAY_MS, () => connection.close());
  const close = (): void => {
    cancelTimer();
    connection.close();
  };
  connection.handler = { ...UNHEARD, onEnd: close, onError: cancelTimer };
  connection.write([refusal]);
  connection.end();
}
