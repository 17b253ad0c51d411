/**
 * Flow channel: the packets of one flow, without regard to where they come from or go: numbered and sealed on the way
 * out, decoded, opened and taken once on the way in. Nothing here changes for a packet that is not genuine, except
 * what is counted.
 */
import { WireError } from '../../core/errors.ts';
import { portPairKey } from '../port-pairs.ts';
import {
  DATAGRAM_TYPE,
  type DatagramHeader,
  type DatagramType,
  decodeDatagram,
  type FlowId,
  flowIdOf,
} from '../wire/datagram.ts';
import type { FlowIdentity } from './flow-identity.ts';
import { type PacketProtection, protectionOf } from './packet-protection.ts';
import { ReplayWindow } from './replay-window.ts';

/**
 * Packets under one key: 42 days at 300 000 a second, and GCM stays far from its bounds (2^47 blocks of 1200-byte
 * packets; RFC 9001, appendix B, has the analysis).
 */
export const MAX_FLOW_PACKETS: number = 2 ** 40;
/** OPENs have 32 bits for the packet number. No flow is unconfirmed that long. */
const MAX_OPEN_PACKETS = 0xffffffff;

/** What was turned away, and why. */
export interface TurnedAway {
  malformed: number;
  forged: number;
  /** Received before, or older than the window. */
  replayed: number;
}

export interface GenuinePacket {
  readonly header: DatagramHeader;
  readonly payload: Uint8Array;
  /** No packet with a higher number came before. */
  readonly newest: boolean;
}

export class FlowChannel {
  readonly #protection: PacketProtection;
  readonly #portPair: number;
  readonly #sendKey: Uint8Array;
  readonly #receiveKey: Uint8Array;
  readonly #openId: FlowId;
  readonly #openNumber: number;
  readonly #peerId: FlowId;
  readonly #window: ReplayWindow = new ReplayWindow();
  readonly #turnedAway: TurnedAway;
  #sent = 0;
  /** Ours: rises with every change of our address. */
  stateSequence = 1;
  /** Ours: by it the peer's packets find the flow. */
  readonly id: FlowId;

  constructor({ role, associationId, openNumber, portPair, suite, keys }: FlowIdentity, turnedAway: TurnedAway) {
    const initiates = role === 'initiator';
    const atInitiator = flowIdOf(keys.idAtInitiator);
    const atResponder = flowIdOf(keys.idAtResponder);
    this.id = initiates ? atInitiator : atResponder;
    this.#peerId = initiates ? atResponder : atInitiator;
    this.#sendKey = initiates ? keys.packetFromInitiator : keys.packetFromResponder;
    this.#receiveKey = initiates ? keys.packetFromResponder : keys.packetFromInitiator;
    this.#openId = flowIdOf(associationId);
    this.#openNumber = openNumber;
    this.#portPair = portPairKey(portPair);
    this.#protection = protectionOf(suite);
    this.#turnedAway = turnedAway;
  }

  /** Whether all packet numbers are used up. */
  get spent(): boolean {
    return this.#sent >= MAX_FLOW_PACKETS;
  }

  /** The next packet, sealed. Each call uses up a packet number. */
  seal(type: DatagramType, payload: Uint8Array): Buffer {
    this.#sent += 1;
    const opens = type === DATAGRAM_TYPE.open || type === DATAGRAM_TYPE.openData;
    if (this.#sent > (opens ? MAX_OPEN_PACKETS : MAX_FLOW_PACKETS)) throw new RangeError('packet numbers are used up');
    const id = opens ? this.#openId : this.#peerId;
    const header = {
      type,
      idHigh: id.high,
      idLow: id.low,
      stateSequence: this.stateSequence,
      packetNumber: this.#sent,
      openNumber: opens ? this.#openNumber : 0,
      initiatorPort: this.#portPair >>> 16,
      responderPort: this.#portPair & 0xffff,
    };
    return this.#protection.seal(this.#sendKey, this.#portPair, header, payload);
  }

  /** A packet that came, if it is genuine and new. It counts as received then. */
  open(bytes: Uint8Array): GenuinePacket | undefined {
    const header = this.#decode(bytes);
    if (header === undefined) return undefined;
    // Before the MAC: who sends old packets again by the thousand should cost little.
    if (!this.#window.isFresh(header.packetNumber)) {
      this.#turnedAway.replayed += 1;
      return undefined;
    }
    const payload = this.#protection.open(this.#receiveKey, this.#portPair, header, bytes);
    if (payload === undefined) {
      this.#turnedAway.forged += 1;
      return undefined;
    }
    const newest = header.packetNumber > this.#window.highest;
    this.#window.mark(header.packetNumber);
    return { header, payload, newest };
  }

  /** Whether the peer made this packet; nothing is counted and nothing marked. */
  isGenuine(bytes: Uint8Array): boolean {
    try {
      return this.#protection.open(this.#receiveKey, this.#portPair, decodeDatagram(bytes), bytes) !== undefined;
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return false;
    }
  }

  #decode(bytes: Uint8Array): DatagramHeader | undefined {
    try {
      return decodeDatagram(bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#turnedAway.malformed += 1;
      return undefined;
    }
  }
}
