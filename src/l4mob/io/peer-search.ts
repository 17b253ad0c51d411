/**
 * Peer search: what is done about a peer that answers at none of its known addresses, because it has moved at the same
 * time as we have. Its name is looked up again, and it is sought at the rendezvous services; all this beside the
 * L4_UPDATEs to its known addresses and the dialing, which go on.
 *
 * What a name server or a rendezvous service says is a hint: it gets an L4_UPDATE, and only if the peer answers that is
 * anything made of it. No connection is ever dialed on a hint: whoever took it could end a session by knowing nothing
 * of it. What the peer itself has sealed is another matter: that is as good as word from the peer.
 * docs/protocol.md, "Both move at once".
 */
import type { TransportAddress } from '../../core/address.ts';
import { Deadlines } from '../../core/deadlines.ts';
import { Alarm, monotonicNow, wallNow } from '../../host/clock.ts';
import { lookupAddresses } from '../../host/name-lookup.ts';
import { osRandom } from '../../host/random.ts';
import type { RendezvousKeys } from '../key-schedule.ts';
import { MAX_ADDRESSES } from '../limits.ts';
import type { PeerFound, RendezvousClient, RendezvousVersions } from '../rendezvous/rendezvous-client.ts';
import type { SessionRole } from '../session-event.ts';
import type { Whereabouts } from '../wire/update.ts';
import type { RendezvousDirectory, RendezvousSearch } from './rendezvous-directory.ts';

/**
 * Who seeks: the sessions of an association together, or whatever else shares a secret with its peer and has a port of
 * its own. Two that seek under the same keys would overwrite each other's word.
 */
export interface PeerSearchHost {
  readonly role: SessionRole;
  readonly rendezvous: RendezvousDirectory | undefined;
  /** When keys were agreed, on the wall clock. */
  readonly metAt: number;
  readonly versions: RendezvousVersions;
  /** Asked once, when the rendezvous services are first needed. */
  keys(): RendezvousKeys;
  /** The name under which the application reached the peer. */
  name(): string | undefined;
  /** The peer's port for signals, at whatever address its name leads to. */
  peerPort(): number;
  whereabouts(): Whereabouts;
  /** From the port at which signals go out and come in, so that a NAT has one mapping for both. */
  send(bytes: Uint8Array, to: TransportAddress): void;
  /** Whether anybody still waits for the peer. */
  isLost(): boolean;
  /** The peer's own word, and a hint. */
  handleFound(found: PeerFound): void;
  /** Unverified: the peer may be there. */
  handleHints(places: readonly TransportAddress[]): void;
}

/** A peer that has not moved answers an L4_UPDATE within a round trip: what is beyond that begins after it. */
const NAME_AFTER_MS = 100;
const RENDEZVOUS_AFTER_MS = 200;
/** Waits between lookups of the name; the last one repeats. Name servers learn of moves in their own time. */
const NAME_WAITS_MS = [2_000, 5_000, 15_000, 30_000] as const;
/** Too many others search, or the names of the services are not known: again after this. */
const TURN_MS = 1_000;

export class PeerSearch implements RendezvousSearch {
  readonly #host: PeerSearchHost;
  readonly #deadlines: Deadlines<'name' | 'rendezvous'> = new Deadlines(['name', 'rendezvous']);
  readonly #alarm: Alarm;
  #client: RendezvousClient | undefined;
  #lookups = 0;
  /** State sequence of ours that the services were told. */
  #toldSequence = 0;

  constructor(host: PeerSearchHost) {
    this.#host = host;
    this.#alarm = new Alarm((now) => this.#run(now));
    this.#alarm.unref();
  }

  get active(): boolean {
    return this.#client?.running === true || this.#deadlines.next() !== undefined;
  }

  /** The peer may be lost, or we are somewhere else while it is. `overdue`: it has owed an answer for long already. */
  begin(overdue: boolean = false): void {
    const now = monotonicNow();
    this.#lookups = 0;
    if (this.#mayLookUp) this.#deadlines.set('name', now + (overdue ? 0 : NAME_AFTER_MS));
    const news = this.#toldSequence !== this.#host.whereabouts().stateSequence;
    if (this.#client?.running === true) {
      if (news) this.#deadlines.set('rendezvous', now);
    } else if (this.#host.rendezvous !== undefined) {
      this.#deadlines.set('rendezvous', now + (overdue ? 0 : RENDEZVOUS_AFTER_MS));
    }
    this.#settle();
  }

  /** The peer was heard. */
  stop(): void {
    this.#deadlines.clearAll();
    if (this.#client?.running === true) {
      this.#host.rendezvous?.leave(this.#client.id);
      this.#client.stop();
    }
    this.#settle();
  }

  handleAnswer(bytes: Uint8Array, from: TransportAddress): boolean {
    const client = this.#client;
    if (client?.handleDatagram(monotonicNow(), bytes, from) !== true) return false;
    for (let found = client.pollEvent(); found !== undefined; found = client.pollEvent()) {
      this.#host.handleFound(found);
    }
    this.#run(monotonicNow());
    return true;
  }

  get #mayLookUp(): boolean {
    return this.#host.role === 'initiator' && this.#host.name() !== undefined;
  }

  get #sinceMetMs(): number {
    return wallNow() - this.#host.metAt;
  }

  #run(now: number): void {
    if (!this.#host.isLost()) return this.stop();
    for (let due = this.#deadlines.takeDue(now); due !== undefined; due = this.#deadlines.takeDue(now)) {
      if (due === 'name') this.#lookUp(now);
      else this.#seek(now);
    }
    this.#client?.handleTimeout(now, this.#sinceMetMs);
    this.#settle();
  }

  #settle(): void {
    const client = this.#client;
    for (let next = client?.pollTransmit(); next !== undefined; next = client?.pollTransmit()) {
      this.#host.send(next.bytes, next.to);
    }
    const times = [this.#deadlines.next(), client?.pollTimeout()].filter((at) => at !== undefined);
    this.#alarm.set(times.length === 0 ? undefined : Math.min(...times));
  }

  #lookUp(now: number): void {
    const name = this.#host.name();
    if (name === undefined) return;
    const wait = NAME_WAITS_MS[Math.min(this.#lookups, NAME_WAITS_MS.length - 1)] as number;
    this.#lookups += 1;
    this.#deadlines.set('name', now + wait);
    // That it can't be resolved at the moment is what an outage looks like; the next lookup may fare better.
    lookupAddresses(name, (addresses) => {
      if (!this.#host.isLost()) return;
      const port = this.#host.peerPort();
      this.#host.handleHints(addresses.slice(0, MAX_ADDRESSES).map((ip) => ({ ip, port })));
    });
  }

  #seek(now: number): void {
    const { role, rendezvous, versions } = this.#host;
    if (rendezvous === undefined) return;
    this.#client ??= rendezvous.newClient({ role, keys: this.#host.keys(), random: osRandom, versions });
    const services = rendezvous.addresses();
    rendezvous.refresh(() => this.#servicesMoved());
    const ready = this.#client !== undefined && services.length > 0 && rendezvous.hasRoomFor(this.#client.id);
    if (this.#client === undefined || !ready) return this.#deadlines.set('rendezvous', now + TURN_MS);
    const own = this.#host.whereabouts();
    this.#client.start(now, this.#sinceMetMs, own, services);
    this.#toldSequence = own.stateSequence;
    rendezvous.enter(this.#client.id, this);
  }

  #servicesMoved(): void {
    if (!this.#host.isLost()) return;
    this.#deadlines.set('rendezvous', monotonicNow());
    this.#settle();
  }
}
