/**
 * Framing of netlink messages (linux/netlink.h): headers, attributes, and their padding. Unlike everything else in
 * mobisock they are in the host's byte order. Sans-IO; what the bodies mean is in `route-messages.ts`.
 */
import { WireError } from '../../core/errors.ts';

const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;

export const MESSAGE_ERROR = 2;
export const MESSAGE_DONE = 3;
export const MESSAGE_OVERRUN = 4;

export const FLAG_REQUEST = 0x1;
/** The answer is an error message, whose number is 0 for success. */
export const FLAG_ACKNOWLEDGE = 0x4;
/** The kernel's tables changed while it was dumping them: the dump may have gaps. */
export const FLAG_DUMP_INTERRUPTED = 0x10;
export const FLAG_DUMP = 0x300;
/** In a request for a new thing: it may take the place of an old one, or be new. */
export const FLAG_REPLACE = 0x100;
export const FLAG_CREATE = 0x400;

/** The two bits above an attribute's type say "nested" and "network byte order". */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/*
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                 length, this header included                  |
 * +-------------------------------+-------------------------------+
 * |             type              |             flags             |
 * +-------------------------------+-------------------------------+
 * |                           sequence                            |
 * +---------------------------------------------------------------+
 * |                          port number                          |
 * +---------------------------------------------------------------+
 * |                   body, padded to 4 bytes                     |
 */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  /** A view of the input. */
  readonly body: Uint8Array;
}

/** Splits what one read gave into its messages. */
export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < HEADER_BYTES) throw new WireError(`netlink header: ${bytes.length - at} bytes`);
    const length = view.getUint32(at, LITTLE_ENDIAN);
    if (length < HEADER_BYTES || length > bytes.length - at) {
      throw new WireError(`netlink message: length ${length}, ${bytes.length - at} bytes there`);
    }
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      portId: view.getUint32(at + 12, LITTLE_ENDIAN),
      body: bytes.subarray(at + HEADER_BYTES, at + length),
    });
    at += padded(length);
  }
  return messages;
}

/** One message, padded. */
export function encodeMessage(message: NetlinkMessage): Uint8Array {
  const length = HEADER_BYTES + message.body.length;
  const bytes = new Uint8Array(padded(length));
  const view = viewOf(bytes);
  view.setUint32(0, length, LITTLE_ENDIAN);
  view.setUint16(4, message.type, LITTLE_ENDIAN);
  view.setUint16(6, message.flags, LITTLE_ENDIAN);
  view.setUint32(8, message.sequence, LITTLE_ENDIAN);
  view.setUint32(12, message.portId, LITTLE_ENDIAN);
  bytes.set(message.body, HEADER_BYTES);
  return bytes;
}

/**
 * Attributes (16-bit length with its header, 16-bit type, value, padded to 4 bytes) by type. Where a type comes twice
 * the last one counts, as in the kernel.
 */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const left = bytes.length - at;
    if (left < ATTRIBUTE_HEADER_BYTES) throw new WireError(`netlink attribute header: ${left} bytes`);
    const length = view.getUint16(at, LITTLE_ENDIAN);
    if (length < ATTRIBUTE_HEADER_BYTES || length > left) {
      throw new WireError(`netlink attribute: length ${length}, ${left} bytes there`);
    }
    const type = view.getUint16(at + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + ATTRIBUTE_HEADER_BYTES, at + length));
    at += padded(length);
  }
  return attributes;
}

/** One attribute, padded. */
export function encodeAttribute(type: number, value: Uint8Array): Uint8Array {
  const length = ATTRIBUTE_HEADER_BYTES + value.length;
  const bytes = new Uint8Array(padded(length));
  const view = viewOf(bytes);
  view.setUint16(0, length, LITTLE_ENDIAN);
  view.setUint16(2, type, LITTLE_ENDIAN);
  bytes.set(value, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

/** A 32-bit number of the host's byte order at `offset`. */
export function readNumber(bytes: Uint8Array, offset: number, field: string): number {
  if (offset + 4 > bytes.length) throw new WireError(`${field}: 4 bytes wanted at ${offset}, ${bytes.length} there`);
  return viewOf(bytes).getUint32(offset, LITTLE_ENDIAN);
}

/** A 16-bit number of the host's byte order at `offset`. */
export function readShort(bytes: Uint8Array, offset: number, field: string): number {
  if (offset + 2 > bytes.length) throw new WireError(`${field}: 2 bytes wanted at ${offset}, ${bytes.length} there`);
  return viewOf(bytes).getUint16(offset, LITTLE_ENDIAN);
}

/** A 32-bit number in the host's byte order. */
export function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

/** The start of the next message or attribute. The last one's padding may be missing. */
function padded(length: number): number {
  return (length + 3) & ~3;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
