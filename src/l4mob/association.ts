/**
 * Association: what two processes share once one of them has reached the other: a secret from one key agreement, from
 * which any number of sessions get their keys without another, and where the peer is, for all these sessions.
 * docs/protocol.md, "Associations".
 */
import { ByteWriter, equalConstantTime, fromHex, toHex } from '../core/bytes.ts';
import type { Random } from '../core/random.ts';
import type { Instant } from '../core/time.ts';
import type { FlowIdentity } from './datagram/flow-identity.ts';
import type { KeyPair } from './key-agreement.ts';
import {
  type AssociationKeys,
  deriveAssociationKeys,
  deriveAssociationSecret,
  deriveFlowKeys,
  deriveRendezvousKeys,
  deriveSessionKeys,
  messageMac,
  type RendezvousKeys,
  type SessionKeys,
  transcriptHash,
} from './key-schedule.ts';
import { ASSOCIATION_MAX_OPENS } from './limits.ts';
import type { PortPair } from './port-pairs.ts';
import { ReplayWindow } from './replay-window.ts';
import type { SessionIdentity, SessionRole } from './stream-session.ts';
import { type Suite, TAG_BYTES } from './suite.ts';
import {
  type Authenticated,
  encodeOpen,
  encodeRefuse,
  OPEN_IDENTITY,
  OPEN_NONCE_BYTES,
  type Open,
  type Refuse,
  type RefuseCode,
  type Resume,
} from './wire/hello.ts';
import { type DecodedUpdate, encodeUpdate, type Update, type Whereabouts } from './wire/update.ts';

const FLOW_IDENTITY_BYTES = 22;
const NO_MAC = new Uint8Array(TAG_BYTES);
/** Of a peer that has not said where it is. */
export const NOWHERE: Whereabouts = { stateSequence: 0, sessionPort: 0, addresses: [] };

/** What a secret comes of, once it is needed. */
export interface KeyExchange {
  readonly keyPair: KeyPair;
  /** Of the peer: one that the group takes. */
  readonly peerShare: Uint8Array;
  /** L4_INIT and L4_OFFER, as sent here and as received here. */
  readonly init: Uint8Array;
  readonly offer: Uint8Array;
}

export interface AssociationInit {
  readonly role: SessionRole;
  readonly id: Uint8Array;
  readonly secret: Uint8Array | KeyExchange;
  readonly suite: Suite;
  readonly peer: Whereabouts;
  readonly expiresAt: Instant;
}

/** Held for every peer, and for every datagram flow at least one: what most never need is made when it is needed. */
export class Association {
  readonly role: SessionRole;
  /** In hexadecimal digits. */
  readonly idText: string;
  readonly suite: Suite;
  #agreement: AssociationInit['secret'];
  #derivedKeys: AssociationKeys | undefined;
  readonly #expiresAt: Instant;
  #openNumbers: ReplayWindow | undefined;
  #peer: Whereabouts;
  #lastOpenNumber = 0;
  #packetNumber = 0;
  #peerPacketNumber = 0;

  constructor({ role, id, secret, suite, peer, expiresAt }: AssociationInit) {
    this.role = role;
    this.idText = toHex(id);
    this.suite = suite;
    this.#agreement = secret;
    this.#peer = peer;
    this.#expiresAt = expiresAt;
  }

  /** 8 bytes, a new array each time. */
  get id(): Uint8Array {
    return fromHex(this.idText);
  }

  /** Of the L4_UPDATE that was encoded last; 0 before the first. */
  get packetNumber(): number {
    return this.#packetNumber;
  }

  get peer(): Whereabouts {
    return this.#peer;
  }

  /** Whoever makes us need it, and however often: one association is one key agreement at most. */
  get #secret(): Uint8Array {
    if (!(this.#agreement instanceof Uint8Array)) {
      const { keyPair, peerShare, init, offer } = this.#agreement;
      this.#agreement = deriveAssociationSecret(keyPair.agree(peerShare), transcriptHash(init, offer));
    }
    return this.#agreement;
  }

  get #keys(): AssociationKeys {
    this.#derivedKeys ??= deriveAssociationKeys(this.#secret);
    return this.#derivedKeys;
  }

  /** Whether new sessions may use it. Those that run go on for as long as they like. */
  isFresh(now: Instant): boolean {
    return now < this.#expiresAt && this.#lastOpenNumber < ASSOCIATION_MAX_OPENS;
  }

  // ---- sessions ------------------------------------------------------------------------------------------------------

  /** Initiator: the identity of a new session. Each call uses up an OPEN number. */
  newSession(random: Random, portPair: PortPair): SessionIdentity {
    this.#lastOpenNumber += 1;
    const open = {
      openNumber: this.#lastOpenNumber,
      nonce: random.bytes(OPEN_NONCE_BYTES).slice(),
      portPair,
      suiteId: this.suite.id,
    };
    const associationKeys = (): AssociationKeys => this.#keys;
    let keys: SessionKeys | undefined;
    const derive = (): SessionKeys =>
      this.#sessionKeys(
        encodeOpen({ ...open, associationId: this.id, stateSequence: 0, window: 0 }, () => NO_MAC),
        this.suite,
      );
    return {
      associationIdText: this.idText,
      portPair,
      suite: this.suite,
      // What takes a key comes with OPEN or with the first record: the application hears of its connection sooner.
      get keys() {
        keys ??= derive();
        return keys;
      },
      encodeOpen: (stateSequence, window) =>
        encodeOpen({ ...open, associationId: this.id, stateSequence, window }, (covered) =>
          messageMac(this.#keys.helloFromInitiator, covered),
        ),
      get refuseKey() {
        return associationKeys().helloFromResponder;
      },
    };
  }

  /**
   * Responder: the identity of the session that a genuine OPEN names; undefined for a wrong MAC or a suite that was
   * not agreed. Whether it is a new session, a repeated OPEN of a running one, or a replay is the caller's to see.
   */
  identify(open: Authenticated<Open>): SessionIdentity | undefined {
    const { message, covered, mac } = open;
    if (!equalConstantTime(messageMac(this.#keys.helloFromInitiator, covered), mac)) return undefined;
    if (message.suiteId !== this.suite.id) return undefined;
    return {
      associationIdText: this.idText,
      portPair: message.portPair,
      suite: this.suite,
      keys: this.#sessionKeys(covered, this.suite),
    };
  }

  /** Responder: whether this OPEN number is fresh; marks it used. */
  useOpenNumber(number: number): boolean {
    this.#openNumbers ??= new ReplayWindow();
    if (!this.#openNumbers.isFresh(number)) return false;
    this.#openNumbers.mark(number);
    return true;
  }

  refuse(code: RefuseCode, ports: readonly number[], helloMac: Uint8Array): Uint8Array {
    return encodeRefuse({ code, ports }, (covered) => messageMac(this.#keys.helloFromResponder, covered, helloMac));
  }

  #sessionKeys(open: Uint8Array, suite: Suite): SessionIdentity['keys'] {
    return deriveSessionKeys(this.#secret, open.subarray(OPEN_IDENTITY.start, OPEN_IDENTITY.end), suite);
  }

  // ---- datagram flows --------------------------------------------------------------------------------------------------

  /** Initiator: the identity of a new datagram flow. Each call uses up an OPEN number. */
  newFlow(portPair: PortPair): FlowIdentity {
    this.#lastOpenNumber += 1;
    return this.flow(this.#lastOpenNumber, portPair);
  }

  /**
   * Responder: the identity of the flow that an OPEN names. That the OPEN is genuine shows when its MAC is right under
   * these keys, and that it is no replay when its number is fresh.
   */
  flow(openNumber: number, portPair: PortPair): FlowIdentity {
    const identity = new ByteWriter(FLOW_IDENTITY_BYTES).bytes(this.id).u64(openNumber);
    identity.u16(portPair.initiator).u16(portPair.responder).u16(this.suite.id);
    const keys = deriveFlowKeys(this.#secret, identity.finish(), this.suite);
    return { role: this.role, associationId: this.id, openNumber, portPair, suite: this.suite, keys };
  }

  // ---- signalling ----------------------------------------------------------------------------------------------------

  /** An L4_UPDATE about us. Each call uses up a packet number. */
  encodeUpdate(own: Whereabouts, answerWanted: boolean, answersPacketNumber?: number): Uint8Array {
    this.#packetNumber += 1;
    const fromResponder = this.role === 'responder';
    const key = fromResponder ? this.#keys.signalFromResponder : this.#keys.signalFromInitiator;
    const update: Update = {
      ...own,
      associationId: this.id,
      fromResponder,
      answerWanted,
      packetNumber: this.#packetNumber,
      answersPacketNumber,
    };
    return encodeUpdate(update, (covered) => messageMac(key, covered));
  }

  /** For finding each other again at a third host; most associations never need them. */
  rendezvousKeys(): RendezvousKeys {
    return deriveRendezvousKeys(this.#secret);
  }

  /** Whether an L4_UPDATE is genuine and newer than all before; only then is it remembered. */
  accepts({ update, covered, mac }: DecodedUpdate): boolean {
    if (update.fromResponder === (this.role === 'responder')) return false;
    const key = update.fromResponder ? this.#keys.signalFromResponder : this.#keys.signalFromInitiator;
    if (!equalConstantTime(messageMac(key, covered), mac) || update.packetNumber <= this.#peerPacketNumber)
      return false;
    this.#peerPacketNumber = update.packetNumber;
    return true;
  }

  /** Word of where the peer is, from a verified source. Returns whether it was news. */
  learnWhereabouts({ stateSequence, sessionPort, addresses }: Whereabouts): boolean {
    if (stateSequence <= this.#peer.stateSequence) return false;
    this.#peer = { stateSequence, sessionPort, addresses: [...addresses] };
    return true;
  }
}

/** Whether a RESUME was made by who holds the session's key. */
export function isGenuineResume(keys: SessionKeys, { covered, mac }: Authenticated<Resume>): boolean {
  return equalConstantTime(messageMac(keys.resume, covered), mac);
}

/** A REFUSE from a responder that has no key of the sender's, or another one than the sender: hence no MAC. */
export function refuseUnknown(): Uint8Array {
  const refuse: Refuse = { code: 'unknown', ports: [] };
  return encodeRefuse(refuse, () => NO_MAC);
}
