/**
 * Datagram contacts: when one socket asks which of its peers to have a flow with.
 *
 * Not when the application connects or sends for the first time: a plain server would get a strange datagram for
 * nothing, and one that is not there would answer it by ICMP. But when the peer of an exchange that the application
 * began has answered, or when the application goes on sending to it (streams that go one way); where nobody has said
 * that this peer matters ('lasting'), only when answers have come for some time. Exchanges that a peer began are the
 * peer's to ask about, unless the application had called into a group for it. What was found is remembered for the
 * process (VerdictCache).
 */
import { formatTransportAddress, isGroupAddress, isUnspecified, type TransportAddress } from '../../core/address.ts';
import { AddressMap } from '../../core/address-map.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import type { Association } from '../association.ts';
import type { InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';
import type { Callers } from './callers.ts';
import { type ContactFailure, type ContactHost, DatagramContact } from './datagram-contact.ts';
import type { Initiative } from './mobile-datagrams.ts';
import type { SharedAlarm } from './shared-alarm.ts';
import type { VerdictCache } from './verdict-cache.ts';

/** Plain peers of a socket that are kept in mind. Who is pushed out is asked about again, or counted anew. */
const MAX_EXCHANGES = 4096;
/** Contacts of a socket under way: as many as a responder takes from one source without a word. */
const MAX_CONTACTS = 16;
/** Sockets are often closed with the answer. */
const AFTER_ANSWER_MS = 20;
/** A stream that goes one way: so many datagrams, over so long. */
const STREAM_DATAGRAMS = 3;
const STREAM_MS = 200;
/** Most questions and answers are over by then, repetitions included: what comes later is worth a question of ours. */
const LASTING_ANSWERS = 3;
const LASTING_MS = 1_000;
/** The peer's own limit, or ours: soon over. */
const BUSY_MS = 2_000;
/** How often to look whether a verdict has run out. */
const VERDICT_LOOK_MS = 60_000;
/** ICMP says that nobody is there. Only an answer makes us ask again before. */
const UNREACHABLE_MS = 10_000;

export type FlowWish = Initiative | 'must';

export interface DatagramContactsHost extends Pick<ContactHost, 'alarm' | 'handshake' | 'transmit'> {
  readonly verdicts: VerdictCache;
  /** Of all sockets. */
  readonly callers: Callers;
  /** Asked once for each exchange. */
  wish(remote: TransportAddress): FlowWish;
  agreed(remote: TransportAddress, association: Association, portPair: PortPair): void;
}

/** Plain datagrams with one peer. */
class Exchange implements TransportAddress {
  readonly ip: string;
  readonly port: number;
  readonly wish: FlowWish;
  /** The peer sent first. */
  readonly called: boolean;
  sent = 0;
  heard = 0;
  firstSentAt: Instant = 0;
  /** Until then it is not asked, whatever happens. */
  quietUntil: Instant = Number.NEGATIVE_INFINITY;
  contact: DatagramContact | undefined;

  constructor({ ip, port }: TransportAddress, wish: FlowWish, called: boolean) {
    this.ip = ip;
    this.port = port;
    this.wish = wish;
    this.called = called;
  }

  lasts(now: Instant): boolean {
    return this.heard >= LASTING_ANSWERS && now - this.firstSentAt >= LASTING_MS;
  }
}

export class DatagramContacts implements ContactHost {
  readonly #host: DatagramContactsHost;
  readonly #exchanges = new AddressMap<Exchange>();
  /** In the order in which they began. */
  readonly #order = new Set<Exchange>();
  #underWay = 0;
  /** Who answers now does so because the application has asked. */
  #calledGroup = false;

  constructor(host: DatagramContactsHost) {
    this.#host = host;
  }

  /** Nothing is kept in mind: another one would do as well. */
  get empty(): boolean {
    return this.#order.size === 0 && !this.#calledGroup;
  }

  knows(address: TransportAddress): boolean {
    return this.#exchanges.get(address) !== undefined;
  }

  /** The application has sent plain. */
  noteSent(to: TransportAddress): void {
    const exchange = this.#exchanges.get(to) ?? this.#begin(to, true);
    if (exchange.wish === 'never') return;
    const now = monotonicNow();
    if (exchange.sent === 0) exchange.firstSentAt = now;
    exchange.sent += 1;
    if (exchange.wish === 'lasting') return;
    const streams = exchange.sent >= STREAM_DATAGRAMS && now - exchange.firstSentAt >= STREAM_MS;
    if (exchange.wish === 'must') this.#ask(exchange, now, now);
    else if (streams) this.#ask(exchange, now, now);
  }

  /** A plain datagram came. */
  noteHeard(from: TransportAddress): void {
    const exchange = this.#exchanges.get(from) ?? this.#begin(from, false);
    if (exchange.wish === 'never' || exchange.sent === 0 || exchange.contact !== undefined) return;
    const now = monotonicNow();
    exchange.heard += 1;
    if (exchange.wish === 'lasting' && (!exchange.lasts(now) || this.#host.callers.has(exchange))) return;
    this.#ask(exchange, now, now + AFTER_ANSWER_MS);
  }

  /** ICMP came for that peer. */
  noteUnreachable(remote: TransportAddress): void {
    const exchange = this.#exchanges.get(remote);
    if (exchange === undefined) return;
    this.#stop(exchange);
    exchange.quietUntil = monotonicNow() + UNREACHABLE_MS;
  }

  handleOffer(bytes: Uint8Array, from: TransportAddress): void {
    this.#exchanges.get(from)?.contact?.handleOffer(bytes);
  }

  /** The peer asks us. Returns false where our own question to it stands instead. */
  giveWay(init: Uint8Array, from: TransportAddress): boolean {
    const exchange = this.#exchanges.get(from);
    if (exchange?.contact === undefined) return true;
    if (!exchange.contact.givesWayTo(init)) return false;
    this.#stop(exchange);
    exchange.quietUntil = monotonicNow() + BUSY_MS;
    return true;
  }

  /** There is a flow with that peer, or the exchange is to begin anew. */
  forget(address: TransportAddress): void {
    const exchange = this.#exchanges.get(address);
    if (exchange !== undefined) this.#remove(exchange);
  }

  clear(): void {
    for (const exchange of [...this.#order]) this.#remove(exchange);
    this.#calledGroup = false;
  }

  // ---- ContactHost ---------------------------------------------------------------------------------------------------

  get alarm(): SharedAlarm {
    return this.#host.alarm;
  }

  handshake(now: Instant, remote: TransportAddress): InitiatorHandshake {
    return this.#host.handshake(now, remote);
  }

  transmit(bytes: Uint8Array, to: TransportAddress): void {
    this.#host.transmit(bytes, to);
  }

  agreed({ remote }: DatagramContact, association: Association, portPair: PortPair): void {
    this.forget(remote);
    this.#host.verdicts.remember(monotonicNow(), verdictKey(remote), 'aware');
    this.#host.agreed(remote, association, portPair);
  }

  failed({ remote }: DatagramContact, failure: ContactFailure): void {
    const exchange = this.#exchanges.get(remote);
    if (exchange === undefined) return;
    this.#stop(exchange);
    const now = monotonicNow();
    const key = verdictKey(remote);
    const silent = failure.type === 'failed' && failure.reason === 'no-answer';
    // Others have an agreement with it: it has too much to do, or the network has.
    const busy = silent ? this.#host.verdicts.get(now, key) === 'aware' : failure.reason === 'limit';
    if (busy) exchange.quietUntil = now + BUSY_MS;
    else this.#host.verdicts.remember(now, key, 'plain');
  }

  // --------------------------------------------------------------------------------------------------------------------

  #begin(address: TransportAddress, ours: boolean): Exchange {
    const [oldest] = this.#order;
    if (oldest !== undefined && this.#order.size >= MAX_EXCHANGES) this.#remove(oldest);
    const group = isGroupAddress(address.ip);
    if (ours && group) this.#calledGroup = true;
    const called = !ours && !this.#calledGroup;
    const askable = !called && !group && !isUnspecified(address.ip) && address.port !== 0;
    const exchange = new Exchange(address, askable ? this.#host.wish(address) : 'never', called);
    if (called) this.#host.callers.add(exchange);
    this.#exchanges.set(exchange, exchange);
    this.#order.add(exchange);
    return exchange;
  }

  #ask(exchange: Exchange, now: Instant, at: Instant): void {
    if (exchange.contact !== undefined || now < exchange.quietUntil) return;
    if (this.#host.verdicts.get(now, verdictKey(exchange)) === 'plain') {
      exchange.quietUntil = now + VERDICT_LOOK_MS;
    } else if (this.#underWay >= MAX_CONTACTS) {
      exchange.quietUntil = now + BUSY_MS;
    } else {
      this.#underWay += 1;
      exchange.contact = new DatagramContact(this, exchange, at);
    }
  }

  #stop(exchange: Exchange): void {
    if (exchange.contact === undefined) return;
    exchange.contact.cancel();
    exchange.contact = undefined;
    this.#underWay -= 1;
  }

  #remove(exchange: Exchange): void {
    this.#stop(exchange);
    if (exchange.called) this.#host.callers.delete(exchange);
    this.#order.delete(exchange);
    this.#exchanges.delete(exchange);
  }
}

/** UDP and TCP at one port are two programs, perhaps. */
export function verdictKey(remote: TransportAddress): string {
  return `udp ${formatTransportAddress(remote)}`;
}
