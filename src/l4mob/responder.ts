/**
 * The responder's side of L4_INIT and L4_OFFER for one process: agrees on suite and port pair, and keeps the
 * associations that come of it. Their keys are agreed on with OPEN: nobody waits for that, and who only asks makes
 * nobody do it. Under load it demands a cookie first, and keeps nothing for those who have none. Sans-IO.
 */
import { formatTransportAddress, type TransportAddress } from '../core/address.ts';
import { toHex } from '../core/bytes.ts';
import { WireError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { Instant } from '../core/time.ts';
import { Association, NOWHERE } from './association.ts';
import { CookieJar } from './cookie.ts';
import type { Group } from './key-agreement.ts';
import {
  ASSOCIATION_LIFETIME_MS,
  DEFAULT_ENDPOINT_LIMITS,
  type EndpointLimits,
  HANDSHAKES_PER_SECOND_BEFORE_COOKIES,
  MAX_PORT_CANDIDATES,
  MAX_UNCONFIRMED,
  UNCONFIRMED_MS,
} from './limits.ts';
import type { PortPairTable } from './port-pairs.ts';
import { holderOf } from './source-holder.ts';
import type { Suite } from './suite.ts';
import { decodeInit, HANDSHAKE_NONCE_BYTES, type Init } from './wire/init.ts';
import { type AcceptedOffer, ASSOCIATION_ID_BYTES, encodeOffer, type OfferRefusal } from './wire/offer.ts';

export interface ResponderInit {
  readonly random: Random;
  readonly now: Instant;
  /** In order of preference: the responder's choice counts. */
  readonly groups: readonly Group[];
  readonly suites: readonly Suite[];
  readonly portPairs: PortPairTable;
  readonly limits?: Pick<EndpointLimits, 'associations' | 'unconfirmedPerSource'>;
}

/** What an L4_INIT is answered for. */
export interface OfferedService {
  readonly sessionPort: number;
  readonly addresses: readonly string[];
  /** Set where no session may be opened from that source. */
  readonly refusal?: OfferRefusal;
}

interface Unconfirmed {
  readonly association: Association;
  readonly source: string;
  readonly handshake: string;
  readonly offer: Uint8Array;
  readonly expiresAt: Instant;
}

export interface ResponderCounters {
  inits: number;
  offers: number;
  malformed: number;
  askedAgain: number;
  cookiesDemanded: number;
  refused: number;
}

export class Responder {
  readonly #init: ResponderInit;
  readonly #limits: Pick<EndpointLimits, 'associations' | 'unconfirmedPerSource'>;
  readonly #cookies: CookieJar;
  readonly #associations = new Map<string, Association>();
  readonly #unconfirmed = new Map<string, Unconfirmed>();
  /** By the whole message: a repeated L4_INIT gets the same answer, and one that was tampered with spoils no other. */
  readonly #handshakes = new Map<string, Unconfirmed>();
  readonly #perSource = new Map<string, number>();
  #second = 0;
  #handshakesThisSecond = 0;
  readonly counters: ResponderCounters = {
    inits: 0,
    offers: 0,
    malformed: 0,
    askedAgain: 0,
    cookiesDemanded: 0,
    refused: 0,
  };

  constructor(init: ResponderInit) {
    this.#init = init;
    this.#limits = init.limits ?? DEFAULT_ENDPOINT_LIMITS;
    this.#cookies = new CookieJar(init.random, init.now);
  }

  /** The answer to an L4_INIT from `source`; undefined where silence is the answer. Never larger than the question. */
  handleInit(
    now: Instant,
    bytes: Uint8Array,
    source: TransportAddress,
    service: OfferedService,
  ): Uint8Array | undefined {
    this.counters.inits += 1;
    let init: Init;
    try {
      init = decodeInit(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counters.malformed += 1;
      return undefined;
    }
    const answer = this.#answer(now, bytes, init, source, service);
    return answer !== undefined && answer.length <= bytes.length ? answer : undefined;
  }

  association(id: Uint8Array): Association | undefined {
    return this.#associations.get(toHex(id));
  }

  /** Whether the peer has proved that it holds the key: that neither L4_INIT nor L4_OFFER was changed on the way. */
  isConfirmed(association: Association): boolean {
    return !this.#unconfirmed.has(association.idText);
  }

  /** A genuine OPEN came: the peer has proved that it holds the key. */
  confirm(association: Association): void {
    const { idText } = association;
    const entry = this.#unconfirmed.get(idText);
    if (entry !== undefined) this.#settle(entry);
    if (this.#associations.delete(idText)) this.#associations.set(idText, association);
  }

  forget(association: Association): void {
    this.confirm(association);
    this.#associations.delete(association.idText);
  }

  pollTimeout(): Instant | undefined {
    const [oldest] = this.#unconfirmed.values();
    return oldest?.expiresAt;
  }

  handleTimeout(now: Instant): void {
    for (const entry of this.#unconfirmed.values()) {
      if (entry.expiresAt > now) break;
      this.#settle(entry);
      this.#associations.delete(entry.association.idText);
    }
    this.#init.portPairs.expire(now);
  }

  #answer(
    now: Instant,
    bytes: Uint8Array,
    init: Init,
    source: TransportAddress,
    service: OfferedService,
  ): Uint8Array | undefined {
    const handshake = messageName(bytes);
    const repeated = this.#handshakes.get(handshake);
    if (repeated !== undefined) return repeated.offer;
    const { attempt } = init;
    if (service.refusal !== undefined) return this.#refuse(init, service.refusal);
    const holder = holderOf(source.ip);
    const cookie = this.#underLoad(now, holder) ? this.#cookieMissing(now, init, source) : undefined;
    if (cookie !== undefined) {
      this.counters.cookiesDemanded += 1;
      return encodeOffer({ status: 'cookie', attempt, cookie });
    }
    if (this.#unconfirmed.size >= MAX_UNCONFIRMED || this.#heldBy(holder) >= this.#limits.unconfirmedPerSource) {
      return this.#refuse(init, 'limit');
    }
    const group = this.#init.groups.find((g) => init.groupIds.includes(g.id));
    if (group === undefined) return this.#refuse(init, 'no-group');
    const suite = this.#init.suites.find((s) => init.suiteIds.includes(s.id));
    if (suite === undefined) return this.#refuse(init, 'no-suite');
    if (group.id !== init.shareGroupId) {
      this.counters.askedAgain += 1;
      return encodeOffer({ status: 'group', attempt, groupId: group.id });
    }
    const initiator = init.portCandidates.find((port) =>
      this.#init.portPairs.isFree(now, { initiator: port, responder: init.responderPort }),
    );
    if (initiator === undefined) return this.#namePorts(now, init);
    return this.#accept(now, { bytes, init, handshake, group, suite, initiator, source: holder, service });
  }

  /** The cookie that the L4_INIT should have come with; undefined where it did. */
  #cookieMissing(now: Instant, { nonce, cookie }: Init, source: TransportAddress): Uint8Array | undefined {
    const sourceText = formatTransportAddress(source);
    return this.#cookies.accepts(now, sourceText, nonce, cookie)
      ? undefined
      : this.#cookies.bake(now, sourceText, nonce);
  }

  #refuse({ attempt }: Init, reason: OfferRefusal): Uint8Array {
    this.counters.refused += 1;
    return encodeOffer({ status: 'refused', attempt, reason });
  }

  #namePorts(now: Instant, init: Init): Uint8Array {
    const { attempt, responderPort } = init;
    const { portPairs, random } = this.#init;
    const ports = portPairs.candidates(now, random, responderPort, MAX_PORT_CANDIDATES);
    if (ports.length === 0) return this.#refuse(init, 'limit');
    this.counters.askedAgain += 1;
    return encodeOffer({ status: 'ports', attempt, ports });
  }

  #accept(
    now: Instant,
    agreed: {
      bytes: Uint8Array;
      init: Init;
      handshake: string;
      group: Group;
      suite: Suite;
      initiator: number;
      source: string;
      service: OfferedService;
    },
  ): Uint8Array | undefined {
    const { bytes, init, handshake, group, suite, initiator, source, service } = agreed;
    if (!group.takes(init.share)) {
      this.counters.malformed += 1;
      return undefined;
    }
    const { random, portPairs } = this.#init;
    const keyPair = group.generate(random);
    this.#handshakesThisSecond += 1;
    const portPair = { initiator, responder: init.responderPort };
    const offer: AcceptedOffer = {
      status: 'accepted',
      attempt: init.attempt,
      nonce: random.bytes(HANDSHAKE_NONCE_BYTES),
      groupId: group.id,
      share: keyPair.share,
      suiteId: suite.id,
      portPair,
      sessionPort: service.sessionPort,
      associationId: random.bytes(ASSOCIATION_ID_BYTES),
      lifetimeSeconds: ASSOCIATION_LIFETIME_MS / 1000,
      addresses: service.addresses,
    };
    const message = encodeOffer(offer);
    const association = new Association({
      role: 'responder',
      id: offer.associationId,
      secret: { keyPair, peerShare: init.share.slice(), init: bytes.slice(), offer: message },
      suite,
      peer: NOWHERE,
      expiresAt: now + ASSOCIATION_LIFETIME_MS,
    });
    const expiresAt = now + UNCONFIRMED_MS;
    portPairs.reserve(portPair, expiresAt);
    this.#remember({ association, source, handshake, offer: message, expiresAt });
    this.counters.offers += 1;
    return message;
  }

  #remember(entry: Unconfirmed): void {
    this.#evict();
    this.#associations.set(entry.association.idText, entry.association);
    this.#unconfirmed.set(entry.association.idText, entry);
    this.#handshakes.set(entry.handshake, entry);
    this.#perSource.set(entry.source, this.#heldBy(entry.source) + 1);
  }

  #settle(entry: Unconfirmed): void {
    this.#unconfirmed.delete(entry.association.idText);
    this.#handshakes.delete(entry.handshake);
    const held = this.#heldBy(entry.source) - 1;
    if (held > 0) this.#perSource.set(entry.source, held);
    else this.#perSource.delete(entry.source);
  }

  /** The one that opened nothing for longest makes room; its sessions keep their own keys and go on. */
  #evict(): void {
    if (this.#associations.size < this.#limits.associations) return;
    for (const association of this.#associations.values()) {
      this.forget(association);
      return;
    }
  }

  #heldBy(source: string): number {
    return this.#perSource.get(source) ?? 0;
  }

  #underLoad(now: Instant, source: string): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#handshakesThisSecond = 0;
    }
    return (
      this.#handshakesThisSecond >= HANDSHAKES_PER_SECOND_BEFORE_COOKIES ||
      this.#unconfirmed.size >= MAX_UNCONFIRMED / 2 ||
      this.#heldBy(source) >= this.#limits.unconfirmedPerSource / 2
    );
  }
}

/** The whole message, as text: a tenth of the time that its hash takes. */
function messageName(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
