/**
 * Peer: the other process of one association, with the sessions to it, and the exchange of L4_UPDATEs by which both
 * sides know where the other is. One that does not answer is sought: `peer-search.ts`.
 */
import { formatTransportAddress, type TransportAddress } from '../../core/address.ts';
import { Alarm, monotonicNow, wallNow } from '../../host/clock.ts';
import { connectUdp } from '../../host/connected-udp.ts';
import type { Association } from '../association.ts';
import { UpdateExchange } from '../update-exchange.ts';
import { type DecodedUpdate, encodeWhereabouts, type Whereabouts } from '../wire/update.ts';
import { PeerSearch } from './peer-search.ts';
import type { RendezvousDirectory } from './rendezvous-directory.ts';
import type { StreamDriver } from './stream-driver.ts';

export interface PeerHost {
  readonly rendezvous: RendezvousDirectory | undefined;
  /** Where we are, as this peer may know it. */
  whereabouts(peer: Peer): Whereabouts;
  /** Sends from the port at which this peer's answers arrive. */
  sendSignal(peer: Peer, bytes: Uint8Array, to: TransportAddress): void;
  /** Whether hosts other than the peer may have that address too. */
  mayBeAnycast(ip: string): boolean;
  /** The peer is somewhere else now. */
  peerMoved(peer: Peer): void;
}

/** How long an unreachable answer to a probe may take before the probe is given up. */
const PROBE_MS = 3_000;
/** Former addresses of a peer: those of its last moves matter, for as long as a path of ours still leads there. */
const MAX_LEFT = 32;
/** Unverified places: those of a name, and where the rendezvous services saw the peer. The oldest goes first. */
const MAX_HINTS = 16;
/** Who was heard just now is not sought because a path has died; it is when nothing comes of dialing. */
const HEARD_MS = 1_000;

export class Peer {
  readonly association: Association;
  /** Where it was first reached: always worth a try. Of peers that reached us, only where they are on this host. */
  readonly contactIp: string | undefined;
  readonly drivers: Set<StreamDriver> = new Set();
  /** The state sequence number of ours that it was last told of; 0 for none. */
  toldSequence = 0;
  /** The name under which the application reached it first. */
  name: string | undefined;
  readonly #metAt = wallNow();
  readonly #host: PeerHost;
  readonly #exchange: UpdateExchange = new UpdateExchange();
  #announcedAt = Number.NEGATIVE_INFINITY;
  readonly #alarm: Alarm;
  /** Source of the newest genuine L4_UPDATE: reaches a peer behind a NAT. */
  #observed: TransportAddress | undefined;
  readonly #left = new Set<string>();
  #heardAt = Number.NEGATIVE_INFINITY;
  /** Made when it is first needed: most peers are never lost. */
  #search: PeerSearch | undefined;
  readonly #hints = new Map<string, TransportAddress>();

  constructor(association: Association, contactIp: string | undefined, host: PeerHost) {
    this.association = association;
    this.contactIp = contactIp;
    this.#host = host;
    this.#alarm = new Alarm((now) => this.#run(now));
    this.#alarm.unref();
  }

  /** Where its session port may be reached, the likeliest first. */
  destinations(): TransportAddress[] {
    const { addresses, sessionPort, stateSequence } = this.association.peer;
    if (sessionPort === 0) return [];
    // Another host there would say that it knows nothing of our sessions, and be believed.
    const isShared = this.contactIp !== undefined && addresses.length > 0 && this.#host.mayBeAnycast(this.contactIp);
    const contactIp = isShared ? undefined : this.contactIp;
    // Before the peer has moved, the address that answered us is the surest; NAT may hide it from the peer itself.
    const ips = stateSequence === 0 ? [contactIp, ...addresses] : [...addresses, contactIp];
    return [...new Set(ips)].filter((ip) => ip !== undefined).map((ip) => ({ ip, port: sessionPort }));
  }

  /** In-band and by UDP, so that the peer finds us both behind a NAT and without one. */
  introduce(): void {
    const whereabouts = encodeWhereabouts(this.#host.whereabouts(this));
    for (const driver of this.drivers) {
      driver.update((session) => session.announce(whereabouts));
      break;
    }
    this.announce();
  }

  /**
   * We are somewhere else, or have to make ourselves known: tell until answered, and seek who does not answer.
   * `overdue`: on a session it has not answered for long already.
   */
  announce(overdue: boolean = false): void {
    this.#announcedAt = monotonicNow();
    this.#tell();
    if (this.drivers.size > 0) this.#beginSearch(overdue);
  }

  /** A session has no path: its peer may be somewhere else. Does nothing while it is sought. */
  seek(): void {
    if (this.#search?.active !== true && monotonicNow() - this.#heardAt > HEARD_MS) this.#beginSearch();
  }

  /** A signal for this association came. Returns false where it is not genuine. */
  handleUpdate(decoded: DecodedUpdate, from: TransportAddress): boolean {
    if (!this.association.accepts(decoded)) return false;
    this.#observed = from;
    this.#heardAt = monotonicNow();
    const { update } = decoded;
    if (update.answersPacketNumber !== undefined) this.#answered(update.answersPacketNumber);
    // Whoever tells where it is lives: its sessions wait for it longer, also where that is no news.
    if (this.#learn(update) || !update.fromResponder) this.#host.peerMoved(this);
    if (update.answerWanted) this.#host.sendSignal(this, this.#encode(false, update.packetNumber), from);
    this.#alarm.set(this.#exchange.pollTimeout());
    return true;
  }

  /** An ADDRESSES record came on one of its sessions. */
  handleWhereabouts(whereabouts: Whereabouts): void {
    if (this.#learn(whereabouts)) this.#host.peerMoved(this);
  }

  /** Whether the peer has said that it is no longer at this address of its own. */
  hasLeft(ip: string): boolean {
    return this.#left.has(ip);
  }

  #answered(packetNumber: number): void {
    this.#exchange.answered(packetNumber);
    if (this.#exchange.pollTimeout() !== undefined) return;
    this.#search?.stop();
    this.#hints.clear();
  }

  #beginSearch(overdue = false): void {
    const { association } = this;
    if (this.#host.rendezvous === undefined && this.name === undefined) return;
    this.#search ??= new PeerSearch({
      role: association.role,
      rendezvous: this.#host.rendezvous,
      metAt: this.#metAt,
      versions: { own: 0, heard: 0 },
      keys: () => association.rendezvousKeys(),
      name: () => this.name,
      peerPort: () => association.peer.sessionPort,
      whereabouts: () => this.#host.whereabouts(this),
      send: (bytes, to) => this.#host.sendSignal(this, bytes, to),
      isLost: () => this.#isLost,
      handleFound: ({ whereabouts, seenFrom }) => {
        this.handleWhereabouts(whereabouts);
        this.#noteHints([seenFrom]);
        this.#tell();
      },
      handleHints: (places) => {
        if (this.#noteHints(places)) this.#tell();
      },
    });
    this.#search.begin(overdue);
  }

  get #isLost(): boolean {
    return this.drivers.size > 0 && (this.#isSilent || this.#isWaitedFor);
  }

  /**
   * It does not answer, and to an initiator, whose sessions have asked it too, it says nothing on any of them either: a
   * network may let nothing through but TCP. A responder's paths may lead to where the peer was.
   */
  get #isSilent(): boolean {
    if (this.#exchange.pollTimeout() === undefined) return false;
    const isInitiator = this.association.role === 'initiator';
    return !isInitiator || [...this.drivers].every(({ session }) => session.heardAt <= this.#announcedAt);
  }

  /** A path is none before the peer has confirmed it: what took the connection may be gone already. */
  get #isWaitedFor(): boolean {
    return [...this.drivers].some(({ path, session }) => path === undefined || session.state === 'suspended');
  }

  /** Returns whether there was a new one among them. */
  #noteHints(places: readonly TransportAddress[]): boolean {
    const known = new Set(this.#signalDestinations().map(formatTransportAddress));
    const news = places.filter((place) => !known.has(formatTransportAddress(place)));
    for (const place of news) this.#hints.set(formatTransportAddress(place), place);
    for (const oldest of this.#hints.keys()) {
      if (this.#hints.size <= MAX_HINTS) break;
      this.#hints.delete(oldest);
    }
    return news.length > 0;
  }

  #tell(): void {
    this.#exchange.start(monotonicNow(), this.association.packetNumber + 1);
    this.#run(monotonicNow());
  }

  /** Returns whether it was news. */
  #learn(whereabouts: Whereabouts): boolean {
    const before = this.association.peer.addresses;
    if (!this.association.learnWhereabouts(whereabouts)) return false;
    if (this.#left.size > MAX_LEFT) this.#left.clear();
    for (const ip of before) this.#left.add(ip);
    for (const ip of whereabouts.addresses) this.#left.delete(ip);
    return true;
  }

  /**
   * Asks whether the peer is still there, from a socket of its own that hears ICMP: `onRefused` when its host answers
   * that nobody has the port any more.
   */
  probe(onRefused: () => void): void {
    for (const to of this.#signalDestinations()) {
      const udp = connectUdp({
        remote: to,
        onDatagram: () => udp.close(),
        onUnreachable: (error) => {
          if (error.code === 'ECONNREFUSED') onRefused();
        },
      });
      udp.send(this.#encode(true));
      const giveUp = new Alarm(() => udp.close());
      giveUp.unref();
      giveUp.set(monotonicNow() + PROBE_MS);
    }
  }

  close(): void {
    this.#exchange.stop();
    this.#search?.stop();
    this.#alarm.set(undefined);
  }

  #run(now: number): void {
    if (this.#exchange.takeDue(now)) {
      if (this.drivers.size === 0 || (this.#exchange.exhausted && !this.#isWaitedFor)) this.#exchange.stop();
      for (const to of this.#signalDestinations()) this.#host.sendSignal(this, this.#encode(true), to);
    }
    this.#alarm.set(this.#exchange.pollTimeout());
  }

  #encode(answerWanted: boolean, answers?: number): Uint8Array {
    return this.association.encodeUpdate(this.#host.whereabouts(this), answerWanted, answers);
  }

  #signalDestinations(): TransportAddress[] {
    const all = this.destinations();
    if (this.#observed !== undefined) all.push(this.#observed);
    all.push(...this.#hints.values());
    return [...new Map(all.map((to) => [formatTransportAddress(to), to])).values()];
  }
}
