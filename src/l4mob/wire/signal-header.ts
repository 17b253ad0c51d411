/**
 * Signalling header: the first eight bytes of every message over UDP, and of an L4_INIT or L4_OFFER in-band.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *     |                       magic  "L4MB"                           |
 *     +---------------+---------------+-------------------------------+
 *     |  version = 1  |     type      |  length of what follows       |
 *     +---------------+---------------+-------------------------------+
 */
import { ByteReader, type ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';

export const SIGNAL_HEADER_BYTES = 8;
export const PROTOCOL_VERSION = 1;
/** No signalling message is longer: it has to fit the smallest IPv6 MTU with room for tunnels. */
export const MAX_SIGNAL_BYTES = 1200;

export const SIGNAL_TYPE = { init: 1, offer: 2, update: 3, rendezvousAsk: 16, rendezvousAnswer: 17 } as const;
export type SignalType = (typeof SIGNAL_TYPE)[keyof typeof SIGNAL_TYPE];

const MAGIC = 0x4c344d42;
const TYPES: ReadonlySet<number | undefined> = new Set(Object.values(SIGNAL_TYPE));

export function writeSignalHeader(writer: ByteWriter, type: SignalType, bodyBytes: number): void {
  writer.u32(MAGIC).u8(PROTOCOL_VERSION).u8(type).u16(bodyBytes);
}

/** Cheap and total: is this one of ours, and of what type? Decides for bytes that may be an application's. */
export function signalTypeOf(bytes: Uint8Array): SignalType | undefined {
  if (bytes.length < SIGNAL_HEADER_BYTES) return undefined;
  if (bytes[0] !== 0x4c || bytes[1] !== 0x34 || bytes[2] !== 0x4d || bytes[3] !== 0x42) return undefined;
  if (bytes[4] !== PROTOCOL_VERSION) return undefined;
  const type = bytes[5];
  return TYPES.has(type) ? (type as SignalType) : undefined;
}

/** The length of the whole message that starts here; undefined until the header is complete. */
export function signalLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < SIGNAL_HEADER_BYTES) return undefined;
  const length = SIGNAL_HEADER_BYTES + ((bytes[6] as number) << 8) + (bytes[7] as number);
  if (length > MAX_SIGNAL_BYTES) throw new WireError(`signal: ${length} bytes, at most ${MAX_SIGNAL_BYTES} allowed`);
  return length;
}

/** A reader placed behind the header of a message of `type`; anything else is malformed. */
export function readSignal(bytes: Uint8Array, type: SignalType): ByteReader {
  if (signalTypeOf(bytes) !== type) throw new WireError(`signal: not of type ${type}`);
  if (signalLength(bytes) !== bytes.length) throw new WireError('signal: length field and message differ');
  const reader = new ByteReader(bytes);
  reader.bytes(SIGNAL_HEADER_BYTES, 'signal header');
  return reader;
}
