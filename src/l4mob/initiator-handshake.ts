/**
 * The initiator's side of L4_INIT and L4_OFFER: proposes, proposes again with what the responder asked for (a cookie,
 * another group, other ports), and ends with an association or without. Whether the responder has the same keys shows
 * with OPEN. One object per attempt; sans-IO.
 */
import { equalConstantTime } from '../core/bytes.ts';
import { WireError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';
import type { Instant } from '../core/time.ts';
import { Association } from './association.ts';
import type { Group, KeyPair } from './key-agreement.ts';
import { ASSOCIATION_LIFETIME_MS, MAX_HANDSHAKE_ROUNDS, MAX_PORT_CANDIDATES } from './limits.ts';
import type { PortPair } from './port-pairs.ts';
import type { Suite } from './suite.ts';
import { ATTEMPT_BYTES, encodeInit, HANDSHAKE_NONCE_BYTES, type Transport } from './wire/init.ts';
import { type AcceptedOffer, decodeOffer, type Offer, type OfferRefusal } from './wire/offer.ts';

/** Waits before sending again; then the attempt has failed. Lost packets cost little, slow paths get their time. */
const RETRANSMIT_MS = [40, 80, 160, 320, 640, 1280] as const;

export type HandshakeOutcome =
  | { readonly type: 'accepted'; readonly association: Association; readonly portPair: PortPair }
  | { readonly type: 'refused'; readonly reason: OfferRefusal }
  | { readonly type: 'failed'; readonly reason: 'no-answer' | 'no-agreement' };

export interface InitiatorHandshakeInit {
  readonly random: Random;
  readonly now: Instant;
  readonly transport: Transport;
  readonly responderPort: number;
  /** In order of preference; the first one's share goes out with the first L4_INIT. */
  readonly groups: readonly Group[];
  readonly suites: readonly Suite[];
  /** Initiator ports that are free on this node, at most {@link MAX_PORT_CANDIDATES}. */
  readonly portCandidates: readonly number[];
  readonly isPortFree: (initiatorPort: number) => boolean;
  /** Waits after each L4_INIT of a round; one that nobody waits for may ask less often. */
  readonly retransmitMs?: readonly [number, ...number[]];
  /** Whether no association of this process has that id; all are where it is left out. */
  readonly isIdFree?: (associationId: Uint8Array) => boolean;
}

export class InitiatorHandshake {
  readonly #init: InitiatorHandshakeInit;
  readonly #waits: readonly [number, ...number[]];
  readonly #attempt: Uint8Array;
  readonly #nonce: Uint8Array;
  #group: Group;
  #keyPair: KeyPair;
  #cookie: Uint8Array = new Uint8Array(0);
  #ports: readonly number[];
  #message: Uint8Array;
  #transmitDue = true;
  #step = 0;
  #rounds = 1;
  #resendAt: Instant;
  #outcome: HandshakeOutcome | undefined;
  #rejected = 0;

  constructor(init: InitiatorHandshakeInit) {
    const [first] = init.groups;
    if (first === undefined || init.suites.length === 0) throw new RangeError('a group and a suite are needed');
    this.#init = init;
    this.#waits = init.retransmitMs ?? RETRANSMIT_MS;
    this.#attempt = init.random.bytes(ATTEMPT_BYTES).slice();
    this.#attempt[ATTEMPT_BYTES - 1] = this.#rounds;
    this.#nonce = init.random.bytes(HANDSHAKE_NONCE_BYTES).slice();
    this.#group = first;
    this.#keyPair = first.generate(init.random);
    this.#ports = init.portCandidates;
    this.#message = this.#encode();
    this.#resendAt = init.now + this.#waits[0];
  }

  get outcome(): HandshakeOutcome | undefined {
    return this.#outcome;
  }

  /** Answers that were malformed, of another attempt, or chose what was not proposed. */
  get rejected(): number {
    return this.#rejected;
  }

  pollTransmit(): Uint8Array | undefined {
    if (!this.#transmitDue) return undefined;
    this.#transmitDue = false;
    return this.#message;
  }

  pollTimeout(): Instant | undefined {
    return this.#outcome === undefined ? this.#resendAt : undefined;
  }

  handleTimeout(now: Instant): void {
    if (this.#outcome !== undefined || now < this.#resendAt) return;
    this.#step += 1;
    const wait = this.#waits[this.#step];
    if (wait === undefined) {
      this.#outcome = { type: 'failed', reason: 'no-answer' };
      return;
    }
    this.#resendAt = now + wait;
    this.#transmitDue = true;
  }

  handleDatagram(now: Instant, bytes: Uint8Array): void {
    if (this.#outcome !== undefined) return;
    try {
      this.#handleOffer(now, decodeOffer(bytes), bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#rejected += 1;
    }
  }

  #handleOffer(now: Instant, offer: Offer, bytes: Uint8Array): void {
    if (!equalConstantTime(offer.attempt, this.#attempt)) throw new WireError('offer: of another attempt');
    switch (offer.status) {
      case 'accepted':
        this.#accept(now, offer, bytes);
        break;
      case 'refused':
        this.#outcome = { type: 'refused', reason: offer.reason };
        break;
      case 'cookie':
        this.#again(now, () => {
          this.#cookie = offer.cookie.slice();
        });
        break;
      case 'group':
        this.#again(now, () => this.#changeGroup(offer.groupId));
        break;
      case 'ports':
        this.#again(now, () => this.#changePorts(offer.ports));
        break;
      default:
        offer satisfies never;
    }
  }

  /** Answers to earlier rounds don't get here: the last byte of the attempt counts the rounds. */
  #again(now: Instant, change: () => void): void {
    if (this.#rounds >= MAX_HANDSHAKE_ROUNDS) {
      this.#outcome = { type: 'failed', reason: 'no-agreement' };
      return;
    }
    change();
    this.#rounds += 1;
    this.#attempt[ATTEMPT_BYTES - 1] = this.#rounds;
    this.#message = this.#encode();
    this.#transmitDue = true;
    this.#step = 0;
    this.#resendAt = now + this.#waits[0];
  }

  #changeGroup(groupId: number): void {
    const group = this.#init.groups.find((g) => g.id === groupId);
    if (group === undefined) throw new WireError(`offer group: ${groupId} was not offered`);
    if (group === this.#group) return;
    this.#group = group;
    this.#keyPair = group.generate(this.#init.random);
  }

  /** Of the ports that are free there, those free here; where none is, other candidates of ours. */
  #changePorts(possible: readonly number[]): void {
    const agreeable = possible.filter((port) => this.#init.isPortFree(port));
    this.#ports = agreeable.length > 0 ? agreeable.slice(0, MAX_PORT_CANDIDATES) : this.#init.portCandidates;
  }

  #accept(now: Instant, offer: AcceptedOffer, bytes: Uint8Array): void {
    const { portPair } = offer;
    const suite = this.#init.suites.find((s) => s.id === offer.suiteId);
    if (suite === undefined) throw new WireError(`offer suite: ${offer.suiteId} was not offered`);
    if (offer.groupId !== this.#group.id) throw new WireError(`offer group: ${offer.groupId} is not that of our share`);
    if (!this.#group.takes(offer.share)) throw new WireError(`offer share: no share of ${this.#group.name}`);
    if (!this.#ports.includes(portPair.initiator) || portPair.responder !== this.#init.responderPort) {
      throw new WireError(`offer port pair: ${portPair.initiator}-${portPair.responder} was not proposed`);
    }
    // By another peer's id it would pass for that peer.
    if (this.#init.isIdFree?.(offer.associationId) === false) throw new WireError('offer association: known already');
    const lifetimeMs = Math.min(ASSOCIATION_LIFETIME_MS, offer.lifetimeSeconds * 1000);
    const association = new Association({
      role: 'initiator',
      id: offer.associationId,
      secret: { keyPair: this.#keyPair, peerShare: offer.share.slice(), init: this.#message, offer: bytes.slice() },
      suite,
      peer: { stateSequence: 0, sessionPort: offer.sessionPort, addresses: offer.addresses },
      expiresAt: now + lifetimeMs,
    });
    this.#outcome = { type: 'accepted', association, portPair };
  }

  #encode(): Uint8Array {
    return encodeInit({
      attempt: this.#attempt,
      nonce: this.#nonce,
      transport: this.#init.transport,
      responderPort: this.#init.responderPort,
      groupIds: this.#init.groups.map((g) => g.id),
      suiteIds: this.#init.suites.map((s) => s.id),
      portCandidates: this.#ports,
      shareGroupId: this.#group.id,
      share: this.#keyPair.share,
      cookie: this.#cookie,
    });
  }
}
