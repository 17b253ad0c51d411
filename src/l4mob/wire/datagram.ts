/**
 * The datagram packet: extended L4 header, payload, MAC, around one datagram of the application or one word between
 * the two sides of a datagram flow. docs/protocol.md, "Datagram flows".
 *
 *     OPEN, OPEN_DATA                      all others
 *     +---------------------------+        +---------------------------+
 *     | type 8, 9            (1)  |        | type 10 to 15        (1)  |
 *     | association id       (8)  |        | flow id              (8)  |  the receiver's
 *     | state sequence       (4)  |        | state sequence       (4)  |
 *     | packet number        (4)  |        | packet number        (8)  |
 *     | open number          (3)  |        | payload ...               |
 *     | port pair            (4)  |        | MAC                 (16)  |
 *     | payload ...               |        +---------------------------+
 *     | MAC                 (16)  |
 *     +---------------------------+
 *
 * A byte 0 of 8 to 15 is what RFC 7983 and RFC 9443 leave unused among STUN, DTLS, RTP, TURN and QUIC, and is no text:
 * plain traffic is told apart by one byte, and by the id where that fits. An OPEN has no flow id yet, and the shorter
 * packet number keeps it within the same 40 bytes: a flow is confirmed or given up long before.
 */
import { WireError } from '../../core/errors.ts';
import { TAG_BYTES } from '../suite.ts';

export const DATAGRAM_TYPE = {
  /** Opens a flow; carries nothing. */
  open: 8,
  /** The same, with a datagram of the application. */
  openData: 9,
  data: 10,
  /** Empty data: keeps NAT mappings alive; never delivered. */
  empty: 11,
  /** "I am here now; are you there?": 8 bytes to be sent back, then padding. */
  challenge: 12,
  answer: 13,
  /** The flow is over: 8 bytes to be sent back. */
  close: 14,
  /** A CHALLENGE with the sender's whereabouts behind the 8 bytes. */
  addresses: 15,
} as const;
export type DatagramType = (typeof DATAGRAM_TYPE)[keyof typeof DATAGRAM_TYPE];

export const DATAGRAM_HEADER_BYTES = 21;
export const OPEN_DATAGRAM_HEADER_BYTES = 24;
/** At most: header of an OPEN_DATA, and MAC. */
export const MAX_DATAGRAM_OVERHEAD: number = OPEN_DATAGRAM_HEADER_BYTES + TAG_BYTES;
/** What UDP over IPv4 carries (65 535 less both headers), less the overhead. */
export const MAX_DATAGRAM_PAYLOAD: number = 65_507 - MAX_DATAGRAM_OVERHEAD;
/** Of packets that carry no data, padding included. Below the smallest IPv6 MTU, with room for tunnels. */
export const MAX_CONTROL_DATAGRAM_BYTES = 1200;
export const CHALLENGE_BYTES = 8;
/** Open numbers are 24 bits here: an association gives out fewer. */
export const MAX_DATAGRAM_OPEN_NUMBER = 0xffffff;

const MAX_CONTROL_PAYLOAD = MAX_CONTROL_DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES - TAG_BYTES;
const MAX_OPEN_PADDING = MAX_CONTROL_DATAGRAM_BYTES - MAX_DATAGRAM_OVERHEAD;
/** An ADDRESSES without any address: the challenge, then state sequence, port and count. */
const LEAST_ADDRESSES_BYTES = CHALLENGE_BYTES + 7;
/** The whole of an IPv6 jumbo-free UDP datagram may be somewhat longer than we send. */
const MAX_UDP_BYTES = 65_535;
/** Payload lengths allowed, by type less 8: from, to. */
const PAYLOAD_BYTES: readonly (readonly [number, number])[] = [
  [0, MAX_OPEN_PADDING],
  [0, MAX_UDP_BYTES],
  [0, MAX_UDP_BYTES],
  [0, MAX_CONTROL_PAYLOAD],
  [CHALLENGE_BYTES, MAX_CONTROL_PAYLOAD],
  [CHALLENGE_BYTES, CHALLENGE_BYTES],
  [CHALLENGE_BYTES, CHALLENGE_BYTES],
  [LEAST_ADDRESSES_BYTES, MAX_CONTROL_PAYLOAD],
];

/** 64 bits that name a flow at one side, or an association in an OPEN: two halves, which compare without a copy. */
export interface FlowId {
  readonly high: number;
  readonly low: number;
}

export interface DatagramHeader {
  readonly type: DatagramType;
  /** The receiver's flow id; in OPEN and OPEN_DATA the association id. */
  readonly idHigh: number;
  readonly idLow: number;
  readonly stateSequence: number;
  readonly packetNumber: number;
  /** Of OPEN and OPEN_DATA, else 0; the same for the ports. */
  readonly openNumber: number;
  readonly initiatorPort: number;
  readonly responderPort: number;
}

/** Whether it can be a packet of a flow at all: the one look that plain traffic costs. */
export function mayBeFlowDatagram(bytes: Uint8Array): boolean {
  return ((bytes[0] as number) & 0xf8) === DATAGRAM_TYPE.open && bytes.length >= DATAGRAM_HEADER_BYTES + TAG_BYTES;
}

export function isOpenDatagram(bytes: Uint8Array): boolean {
  return isOpenType(bytes[0] as number) && bytes.length >= MAX_DATAGRAM_OVERHEAD;
}

export function datagramHeaderBytes(type: number): number {
  return isOpenType(type) ? OPEN_DATAGRAM_HEADER_BYTES : DATAGRAM_HEADER_BYTES;
}

/** The id of a packet that {@link mayBeFlowDatagram}, undecoded. */
export function datagramId(bytes: Uint8Array): FlowId {
  return { high: u32At(bytes, 1), low: u32At(bytes, 5) };
}

export function flowIdOf(bytes: Uint8Array): FlowId {
  return { high: u32At(bytes, 0), low: u32At(bytes, 4) };
}

/** Writes the header at `at`, which has the room; returns its length. */
export function writeDatagramHeader(target: Uint8Array, at: number, header: DatagramHeader): number {
  const { type, packetNumber } = header;
  target[at] = type;
  setU32(target, at + 1, header.idHigh);
  setU32(target, at + 5, header.idLow);
  setU32(target, at + 9, header.stateSequence);
  if (!isOpenType(type)) {
    setU32(target, at + 13, Math.floor(packetNumber / 2 ** 32));
    setU32(target, at + 17, packetNumber);
    return DATAGRAM_HEADER_BYTES;
  }
  setU32(target, at + 13, packetNumber);
  // The last of these bytes is written over at once.
  setU32(target, at + 17, header.openNumber * 0x100);
  setU32(target, at + 20, header.initiatorPort * 0x10000 + header.responderPort);
  return OPEN_DATAGRAM_HEADER_BYTES;
}

/** The header of a whole datagram: payload follows it, MAC ends it. Throws a {@link WireError} for anything else. */
export function decodeDatagram(bytes: Uint8Array): DatagramHeader {
  const type = bytes[0] as DatagramType;
  const range = PAYLOAD_BYTES[type - DATAGRAM_TYPE.open];
  if (range === undefined) throw new WireError(`datagram type: ${bytes.length === 0 ? 'no bytes' : type}`);
  const isOpen = isOpenType(type);
  const payloadBytes = bytes.length - (isOpen ? OPEN_DATAGRAM_HEADER_BYTES : DATAGRAM_HEADER_BYTES) - TAG_BYTES;
  if (payloadBytes < range[0] || payloadBytes > range[1]) {
    throw new WireError(`datagram length: type ${type} with ${bytes.length} bytes`);
  }
  const stateSequence = u32At(bytes, 9);
  if (stateSequence === 0) throw new WireError('datagram state sequence: 0');
  const packetNumber = isOpen ? u32At(bytes, 13) : count(bytes, 13);
  if (packetNumber === 0) throw new WireError('datagram packet number: 0');
  const openNumber = isOpen ? u32At(bytes, 17) >>> 8 : 0;
  if (isOpen && openNumber === 0) throw new WireError('datagram open number: 0');
  const ports = isOpen ? u32At(bytes, 20) : 0;
  const initiatorPort = ports >>> 16;
  const responderPort = ports & 0xffff;
  if (isOpen && (initiatorPort === 0 || responderPort === 0)) throw new WireError('datagram port pair: port 0');
  return {
    type,
    idHigh: u32At(bytes, 1),
    idLow: u32At(bytes, 5),
    stateSequence,
    packetNumber,
    openNumber,
    initiatorPort,
    responderPort,
  };
}

function isOpenType(type: number): boolean {
  return type === DATAGRAM_TYPE.open || type === DATAGRAM_TYPE.openData;
}

function count(bytes: Uint8Array, at: number): number {
  const high = u32At(bytes, at);
  if (high > 0x1fffff) throw new WireError('datagram packet number: count above 2^53');
  return high * 2 ** 32 + u32At(bytes, at + 4);
}

// By hand: a DataView for every datagram costs more than the rest of the decoder.
function u32At(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  );
}

function setU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}
