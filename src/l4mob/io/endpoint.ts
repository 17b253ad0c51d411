/**
 * Endpoint: a process's one place where sessions begin, arrive and live on. It ties the initiator's half (opener), the
 * responder's half (acceptor), the peers of all associations, and the watch over this host's addresses.
 */
import { isLoopback, isUnspecified, type TransportAddress } from '../../core/address.ts';
import { toHex } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import {
  type AddressChange,
  type AddressInformer,
  type AddressWatch,
  openAddressWatch,
} from '../../host/address-watch.ts';
import { after } from '../../host/clock.ts';
import { findableAddresses, type LocalAddress, rereadLocalAddresses } from '../../host/local-addresses.ts';
import { requireTcpHandles } from '../../host/tcp-connection.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import type { Association } from '../association.ts';
import { GROUPS, type Group } from '../key-agreement.ts';
import {
  DEFAULT_ENDPOINT_LIMITS,
  DEFAULT_STREAM_LIMITS,
  type EndpointLimits,
  MAX_ADDRESSES,
  type StreamLimits,
} from '../limits.ts';
import type { ResponderCounters } from '../responder.ts';
import { SUITES, type Suite } from '../suite.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../wire/signal-header.ts';
import { decodeUpdate, type Whereabouts } from '../wire/update.ts';
import { Acceptor } from './acceptor.ts';
import { DatagramHub } from './datagram-hub.ts';
import type { SourcesFor } from './dial-candidates.ts';
import { KeyPairReserve } from './key-pair-reserve.ts';
import type { DatagramEndpoint, DatagramService, DatagramServiceOptions } from './mobile-datagrams.ts';
import type {
  EndpointCounters,
  ListenHandle,
  ListenRequest,
  MobilityEndpoint,
  OpenHandlers,
  OpenRequest,
  PendingOpen,
  SessionInfo,
  SessionLifeEvent,
  Verdict,
} from './mobile-stream.ts';
import { Opener } from './opener.ts';
import { NO_PACKETS } from './packet-counters.ts';
import { Peer, type PeerHost } from './peer.ts';
import { RendezvousDirectory, type RendezvousPlace } from './rendezvous-directory.ts';
import { sessionInfo } from './session-info.ts';
import type { SessionTerms } from './session-terms.ts';
import type { SessionWatcher } from './session-watcher.ts';
import type { StreamDriver } from './stream-driver.ts';

/** A change of network comes as a handful of events within this time. */
const PATH_CHECK_MS = 50;
/** Dials that succeed at once are over by then; the others had better know where else the peer may be. */
const SEEK_MS = 50;
const NONE_LOST: ReadonlySet<string> = new Set();

export interface EndpointOptions {
  readonly groups?: readonly Group[];
  readonly suites?: readonly Suite[];
  readonly limits?: Partial<StreamLimits & EndpointLimits>;
  /** First and last session port to try; 0 (the default) for any. */
  readonly sessionPorts?: readonly [number, number];
  /** Services by which peers that move at the same time find each other again. */
  readonly rendezvous?: readonly RendezvousPlace[];
  /** Empty data on datagram flows after so long without any, so that NATs remember them. Never by default. */
  readonly natKeepAliveMs?: number;
  /** From where sessions dial again. */
  readonly sourcesFor?: SourcesFor;
  /** Addresses (canonical text) that several hosts may have: a session goes on at its peer's own ones. */
  readonly mayBeAnycast?: (ip: string) => boolean;
  /** Tells of changes of addresses where this process has no way to hear of them at once. */
  readonly addressInformer?: AddressInformer;
  onLife?(event: SessionLifeEvent): void;
  /** Something doesn't work as it should but nothing breaks: for logs. */
  onWarning?(message: string): void;
}

export class Endpoint implements MobilityEndpoint, DatagramEndpoint {
  readonly #options: EndpointOptions;
  readonly #terms: SessionTerms;
  readonly #opener: Opener;
  readonly #acceptor: Acceptor;
  /** Made for the first UDP socket. */
  #datagrams: DatagramHub | undefined;
  readonly #drivers = new Set<StreamDriver>();
  /** By association id. */
  readonly #peers = new Map<string, Peer>();
  readonly #idlePeers = new WeakMap<Association, Peer>();
  #watch: AddressWatch | undefined;
  #watchSoon: NodeJS.Immediate | undefined;
  /** Rises with each change of our addresses. */
  #stateSequence = 1;
  /** Where answers to an initiator's signalling arrive. */
  #signalPort: UdpPort | undefined;
  #checkScheduled = false;
  #seekPathsScheduled = false;
  #seekScheduled = false;
  readonly #rendezvous: RendezvousDirectory | undefined;
  #forgedUpdates = 0;
  #badRecordsOfEnded = 0;
  /** A process that exits ends its connections in order; left to silence, peers would wait for it to come back. */
  readonly #onExit = (): void => {
    for (const driver of this.#drivers) driver.closeAtExit();
  };

  constructor(options: EndpointOptions = {}) {
    requireTcpHandles();
    this.#options = options;
    const { rendezvous = [] } = options;
    if (rendezvous.length > 0) {
      this.#rendezvous = new RendezvousDirectory(rendezvous, (message) => options.onWarning?.(message));
    }
    const keyPairs = new KeyPairReserve(options.groups ?? GROUPS);
    const suites = options.suites ?? SUITES;
    const limits = { ...DEFAULT_STREAM_LIMITS, ...DEFAULT_ENDPOINT_LIMITS, ...options.limits };
    this.#terms = { groups: keyPairs.groups, keyPairs, suites, limits };
    const watcher: SessionWatcher = {
      started: (driver: StreamDriver) => this.#started(driver),
      ended: (driver: StreamDriver) => this.#ended(driver),
      life: (event: SessionLifeEvent) => {
        if (event.name === 'suspend') this.#seekSoon();
        this.#options.onLife?.(event);
      },
    };
    this.#opener = new Opener(this.#terms, {
      ...watcher,
      peerOf: (association, contactIp) => this.#peer(association, contactIp, 0),
      forgetPeer: (peer) => this.#forgetPeer(peer),
      sourcesFor: options.sourcesFor ?? (() => []),
      isKnown: (associationId) => this.#peers.has(toHex(associationId)),
    });
    this.#acceptor = new Acceptor(
      { ...this.#terms, sessionPorts: options.sessionPorts ?? [0, 0] },
      {
        ...watcher,
        ownAddresses: (bound) => this.#ownAddresses(bound),
        localAddresses: () => this.#localAddresses(),
        // Loading what it takes would hold up the application, which has only asked to listen.
        watchAddresses: () => {
          this.#watchSoon ??= setImmediate(() => this.#openWatch()).unref();
        },
        handleUpdate: (bytes, from) => this.#handleUpdate(bytes, from),
        peerIdle: (peer) => this.#forgetPeer(peer),
        peerOf: (association, port, contactIp) => this.#peer(association, contactIp, port.port, port.address),
        warn: (message) => options.onWarning?.(message),
      },
    );
  }

  // ---- MobilityEndpoint ----------------------------------------------------------------------------------------------

  verdict(address: string, port: number): Verdict {
    return this.#opener.verdict(address, port);
  }

  rememberPlain(address: string, port: number, ttlMs?: number): void {
    this.#opener.rememberPlain(address, port, ttlMs);
  }

  open(request: OpenRequest, handlers: OpenHandlers): PendingOpen {
    return this.#opener.open(request, handlers);
  }

  listen(request: ListenRequest): ListenHandle {
    return this.#acceptor.listen(request);
  }

  openDatagrams(options: DatagramServiceOptions): DatagramService {
    this.#datagrams ??= new DatagramHub(this.#terms, {
      rendezvous: this.#rendezvous,
      natKeepAliveMs: this.#options.natKeepAliveMs,
      ownAddresses: (bound) => this.#ownAddresses(bound),
      watchAddresses: () => this.#openWatch(),
      stateSequence: () => this.#stateSequence,
      answerStreamInit: (local, bytes, from) => this.#acceptor.answerInitAt(local, bytes, from),
      life: (event) => this.#options.onLife?.(event),
    });
    return this.#datagrams.openDatagrams(options);
  }

  sessions(): SessionInfo[] {
    return [...[...this.#drivers].map(sessionInfo), ...(this.#datagrams?.sessions() ?? [])];
  }

  yieldUdpPort(port: number): void {
    this.#acceptor.yieldUdpPort(port);
  }

  close(): void {
    for (const driver of [...this.#drivers]) driver.abort();
    for (const peer of this.#peers.values()) peer.close();
    this.#opener.spares.dropAll();
    this.#acceptor.close();
    this.#datagrams?.close();
    this.#datagrams = undefined;
    this.#signalPort?.close();
    this.#watch?.close();
    clearImmediate(this.#watchSoon);
    this.#watchSoon = undefined;
    this.#watch = undefined;
  }

  counters(): EndpointCounters {
    let badRecords = this.#badRecordsOfEnded;
    for (const driver of this.#drivers) badRecords += driver.session.badRecords;
    return {
      ...this.#acceptor.counters,
      ...this.#opener.counters,
      ...sum(this.#acceptor.responder.counters, this.#datagrams?.inits),
      ...(this.#datagrams?.packets ?? NO_PACKETS),
      forgedUpdates: this.#forgedUpdates,
      badRecords,
    };
  }

  // ---- sessions ------------------------------------------------------------------------------------------------------

  #started(driver: StreamDriver): void {
    const { peer } = driver;
    if (this.#drivers.size === 0) process.on('exit', this.#onExit);
    this.#drivers.add(driver);
    peer.name ??= driver.request?.host;
    this.#rendezvous?.prepare();
    this.#openWatch();
    const path = driver.path ?? { local: driver.local, remote: driver.remote };
    const { role } = driver.session;
    this.#options.onLife?.({ name: 'open', session: driver.id, role, ...path });
    if (role === 'initiator' && peer.toldSequence !== this.#stateSequence) this.#introduce(peer);
  }

  #ended(driver: StreamDriver): void {
    this.#drivers.delete(driver);
    if (this.#drivers.size === 0) process.off('exit', this.#onExit);
    this.#badRecordsOfEnded += driver.session.badRecords;
  }

  // ---- peers ---------------------------------------------------------------------------------------------------------

  #peer(association: Association, contactIp: string | undefined, viaPort: number, bound = '::'): Peer {
    const known = this.#peers.get(association.idText) ?? this.#idlePeers.get(association);
    if (known !== undefined) {
      this.#peers.set(association.idText, known);
      return known;
    }
    const host: PeerHost = {
      rendezvous: this.#rendezvous,
      whereabouts: () => this.#whereabouts(association, viaPort, bound),
      sendSignal: (_, bytes, to) => this.#sendSignal(association, viaPort, bytes, to),
      mayBeAnycast: (ip) => this.#options.mayBeAnycast?.(ip) === true,
      peerMoved: (peer) => {
        this.#opener.spares.drop(peer);
        for (const driver of peer.drivers) {
          const remote = driver.path?.remote.ip;
          driver.update((session, now) => {
            // Asking whether the path still works would take a second, and the answer is known.
            if (remote !== undefined && peer.hasLeft(remote)) session.migrate();
            else session.handleNetworkChange(now);
          });
        }
      },
    };
    const peer = new Peer(association, contactIp, host);
    this.#peers.set(association.idText, peer);
    return peer;
  }

  /** Unless it has sessions. What it knows is kept for as long as its association is. */
  #forgetPeer(peer: Peer): void {
    if (peer.drivers.size > 0) return;
    peer.close();
    this.#peers.delete(peer.association.idText);
    this.#idlePeers.set(peer.association, peer);
  }

  #whereabouts(association: Association, viaPort: number, bound: string): Whereabouts {
    const sessionPort = association.role === 'responder' ? viaPort : (this.#signalPort?.port ?? 0);
    return { stateSequence: this.#stateSequence, sessionPort, addresses: this.#ownAddresses(bound) };
  }

  #sendSignal(association: Association, viaPort: number, bytes: Uint8Array, to: TransportAddress): void {
    if (association.role === 'responder') this.#acceptor.signal(viaPort, bytes, to);
    else this.#openSignalPort().send(bytes, to);
  }

  /** Behind the application's first bytes, which are in more of a hurry. */
  #introduce(peer: Peer): void {
    peer.toldSequence = this.#stateSequence;
    setImmediate(() => {
      if (peer.drivers.size > 0) this.#makeKnown(peer);
      else peer.toldSequence = 0;
    });
  }

  #makeKnown(peer: Peer): void {
    peer.toldSequence = this.#stateSequence;
    if (peer.association.role === 'initiator') this.#openSignalPort();
    peer.introduce();
  }

  #openSignalPort(): UdpPort {
    this.#signalPort ??= openUdpPort({
      address: '::',
      port: 0,
      onDatagram: (bytes, from) => this.#handleUpdate(bytes, from),
    });
    return this.#signalPort;
  }

  #handleUpdate(bytes: Uint8Array, from: TransportAddress): void {
    const type = signalTypeOf(bytes);
    if (type === SIGNAL_TYPE.rendezvousAnswer && this.#rendezvous?.handleAnswer(bytes, from) === true) return;
    if (type !== SIGNAL_TYPE.update) return;
    try {
      const decoded = decodeUpdate(bytes);
      const peer = this.#peers.get(toHex(decoded.update.associationId));
      if (peer?.handleUpdate(decoded, from) === true) return;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
    this.#forgedUpdates += 1;
  }

  /** Once for all sessions that a lost path suspends together. */
  #seekSoon(): void {
    if (this.#seekScheduled) return;
    this.#seekScheduled = true;
    after(SEEK_MS, () => {
      this.#seekScheduled = false;
      for (const { session, peer } of this.#drivers) if (session.state === 'suspended') peer.seek();
    });
  }

  // ---- our own addresses ---------------------------------------------------------------------------------------------

  #openWatch(): void {
    this.#watchSoon = undefined;
    if (this.#watch !== undefined) return;
    this.#watch = openAddressWatch({ informer: this.#options.addressInformer });
    this.#watch.subscribe((change) => this.#addressesChanged(change));
    this.#acceptor.addressesChanged(); // perhaps, since they were read to listen
  }

  /** Read anew where there is no watch. */
  #localAddresses(): readonly LocalAddress[] {
    return this.#watch?.addresses() ?? rereadLocalAddresses([]);
  }

  #addressesChanged(change: AddressChange): void {
    const lost = new Set(change.removed.map(({ ip }) => ip));
    this.#opener.spares.dropAll();
    this.#datagrams?.addressesChanged();
    for (const driver of [...this.#drivers]) {
      const { path } = driver;
      if (path !== undefined && lost.has(path.local.ip)) driver.networkChanged(lost);
    }
    if (change.added.length > 0 || change.routesChanged) this.#seekPathsSoon();
    this.#checkPathsSoon();
    if (change.added.length === 0 && change.removed.length === 0) return;
    this.#acceptor.addressesChanged();
    this.#stateSequence += 1;
    for (const peer of this.#peers.values()) if (peer.drivers.size > 0) this.#makeKnown(peer);
  }

  /** Suspended sessions dial: once for what the kernel has told in one go, since each dial starts over. */
  #seekPathsSoon(): void {
    if (this.#seekPathsScheduled) return;
    this.#seekPathsScheduled = true;
    setImmediate(() => {
      this.#seekPathsScheduled = false;
      for (const driver of [...this.#drivers]) if (driver.path === undefined) driver.networkChanged(NONE_LOST);
    });
  }

  /** Sessions whose path seems to work ask whether it still does: once for a burst of changes. */
  #checkPathsSoon(): void {
    if (this.#checkScheduled) return;
    this.#checkScheduled = true;
    after(PATH_CHECK_MS, () => {
      this.#checkScheduled = false;
      for (const driver of [...this.#drivers]) {
        // The others were told at once: telling them again would start over a dial that is under way.
        if (driver.session.state !== 'suspended') driver.networkChanged(NONE_LOST);
      }
    });
  }

  /** Those that a peer could use: for a listener on one address that one, else all by which others find this host. */
  #ownAddresses(bound: string): string[] {
    if (!isUnspecified(bound)) return isLoopback(bound) ? [] : [bound];
    this.#openWatch();
    return findableAddresses(this.#watch?.addresses() ?? []).slice(0, MAX_ADDRESSES);
  }
}

/** L4_INITs for streams, and those for datagram flows. */
function sum(streams: ResponderCounters, flows: ResponderCounters | undefined): ResponderCounters {
  if (flows === undefined) return streams;
  return {
    inits: streams.inits + flows.inits,
    offers: streams.offers + flows.offers,
    malformed: streams.malformed + flows.malformed,
    askedAgain: streams.askedAgain + flows.askedAgain,
    cookiesDemanded: streams.cookiesDemanded + flows.cookiesDemanded,
    refused: streams.refused + flows.refused,
  };
}
