/**
 * Flow channel: the packets of one flow, without regard to where they come from or go: numbered and sealed on the way
 * out, decoded, opened and taken once on the way in. Nothing here changes for a packet that is not genuine, except
 * what is counted.
 */
import { WireError } from '../../core/errors.ts';
import { portPairKey } from '../port-pairs.ts';
import { ReplayWindow } from '../replay-window.ts';
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
  /** Received before. */
  replayed: number;
  /** Older than the replay window. */
  stale: number;
}

export interface GenuinePacket {
  readonly header: DatagramHeader;
  readonly payload: Uint8Array;
  /** No packet with a higher number came before. */
  readonly newest: boolean;
}

/** What an OPEN says of the flow, beside its port pair. */
interface OpenName {
  readonly association: FlowId;
  readonly number: number;
}

/**
 * There is one for each flow, and most flows are idle, so it keeps little: both keys in one array, and 32-bit values
 * signed, since V8 keeps those within the object and makes an object of its own of what is beyond 2^31.
 */
export class FlowChannel {
  readonly #protection: PacketProtection;
  readonly #portPair: number;
  readonly #keys: Uint8Array;
  readonly #sendKeyAt: number;
  readonly #receiveKeyAt: number;
  readonly #idHigh: number;
  readonly #idLow: number;
  readonly #peerIdHigh: number;
  readonly #peerIdLow: number;
  /** Initiator, until the peer has the flow. */
  #openName: OpenName | undefined;
  readonly #window: ReplayWindow = new ReplayWindow();
  readonly #turnedAway: TurnedAway;
  #sent = 0;
  /** Ours: rises with every change of our address. */
  stateSequence = 1;

  constructor({ role, associationId, openNumber, portPair, suite, keys }: FlowIdentity, turnedAway: TurnedAway) {
    const initiates = role === 'initiator';
    const atInitiator = flowIdOf(keys.idAtInitiator);
    const atResponder = flowIdOf(keys.idAtResponder);
    const own = initiates ? atInitiator : atResponder;
    const peers = initiates ? atResponder : atInitiator;
    this.#idHigh = own.high | 0;
    this.#idLow = own.low | 0;
    this.#peerIdHigh = peers.high | 0;
    this.#peerIdLow = peers.low | 0;
    this.#keys = keys.packets;
    this.#sendKeyAt = initiates ? 0 : suite.keyBytes;
    this.#receiveKeyAt = initiates ? suite.keyBytes : 0;
    this.#openName = initiates ? { association: flowIdOf(associationId), number: openNumber } : undefined;
    this.#portPair = portPairKey(portPair) | 0;
    this.#protection = protectionOf(suite);
    this.#turnedAway = turnedAway;
  }

  /** Ours: by it the peer's packets find the flow. A new object each time. */
  get id(): FlowId {
    return { high: this.#idHigh >>> 0, low: this.#idLow >>> 0 };
  }

  /** The peer has the flow: no OPEN is sent from now on. */
  opened(): void {
    this.#openName = undefined;
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
    const name = opens ? this.#openName : undefined;
    if (opens && name === undefined) throw new RangeError('an OPEN of a flow that stands, or of a responder');
    const header = {
      type,
      idHigh: name === undefined ? this.#peerIdHigh : name.association.high,
      idLow: name === undefined ? this.#peerIdLow : name.association.low,
      stateSequence: this.stateSequence,
      packetNumber: this.#sent,
      openNumber: name === undefined ? 0 : name.number,
      initiatorPort: this.#portPair >>> 16,
      responderPort: this.#portPair & 0xffff,
    };
    return this.#protection.seal(this.#keys, this.#sendKeyAt, this.#portPair, header, payload);
  }

  /** A packet that came, if it is genuine and new. It counts as received then. */
  open(bytes: Uint8Array): GenuinePacket | undefined {
    const header = this.#decode(bytes);
    if (header === undefined) return undefined;
    // Before the MAC: who sends old packets again by the thousand should cost little.
    if (!this.#window.isFresh(header.packetNumber)) {
      this.#turnedAway[this.#window.isStale(header.packetNumber) ? 'stale' : 'replayed'] += 1;
      return undefined;
    }
    const payload = this.#protection.open(this.#keys, this.#receiveKeyAt, this.#portPair, header, bytes);
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
      const header = decodeDatagram(bytes);
      return this.#protection.open(this.#keys, this.#receiveKeyAt, this.#portPair, header, bytes) !== undefined;
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
