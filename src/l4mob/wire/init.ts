/**
 * L4_INIT: the initiator proposes. docs/protocol.md, section "L4_INIT".
 *
 *     +--------------------------------+
 *     | signalling header, type 1      |
 *     | attempt                   (8)  |  names this handshake, its last byte the round
 *     | nonce                    (32)  |
 *     | transport                 (1)  |  6 TCP, 17 UDP
 *     | responder port            (2)  |  the port that the application asked for
 *     | groups:  count (1), ids (2)... |  in order of preference
 *     | suites:  count (1), ids (2)... |  in order of preference
 *     | port candidates: count (1), (2)|  initiator ports that are free here
 *     | key share: group (2), len (2), |
 *     |            share               |
 *     | cookie: len (1), cookie        |
 *     | zeros up to the wanted size    |  an answer is never larger than its question
 *     +--------------------------------+
 */
import { type ByteReader, ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { MAX_PORT_CANDIDATES } from '../limits.ts';
import { MAX_SIGNAL_BYTES, readSignal, SIGNAL_HEADER_BYTES, SIGNAL_TYPE, writeSignalHeader } from './signal-header.ts';

export const TRANSPORT = { tcp: 6, udp: 17 } as const;
export type Transport = (typeof TRANSPORT)[keyof typeof TRANSPORT];

export const ATTEMPT_BYTES = 8;
export const HANDSHAKE_NONCE_BYTES = 32;
export const MAX_COOKIE_BYTES = 64;
const MAX_OFFERED = 16;
/** Room for an L4_OFFER with eight addresses beside its key share. */
const OFFER_ROOM_BYTES = 320;
const ZEROS = new Uint8Array(MAX_SIGNAL_BYTES);

export interface Init {
  readonly attempt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly transport: Transport;
  readonly responderPort: number;
  readonly groupIds: readonly number[];
  readonly suiteIds: readonly number[];
  readonly portCandidates: readonly number[];
  readonly shareGroupId: number;
  readonly share: Uint8Array;
  readonly cookie: Uint8Array;
}

export function encodeInit(init: Init): Uint8Array {
  const fields = 8 + 32 + 3 + 3 + 2 * (init.groupIds.length + init.suiteIds.length + init.portCandidates.length);
  const used = SIGNAL_HEADER_BYTES + fields + 4 + init.share.length + 1 + init.cookie.length;
  const size = Math.min(MAX_SIGNAL_BYTES, Math.max(used, OFFER_ROOM_BYTES + init.share.length));
  const writer = new ByteWriter(size);
  writeSignalHeader(writer, SIGNAL_TYPE.init, size - SIGNAL_HEADER_BYTES);
  writer.bytes(init.attempt).bytes(init.nonce).u8(init.transport).u16(init.responderPort);
  for (const list of [init.groupIds, init.suiteIds, init.portCandidates]) writeIds(writer, list);
  writer.u16(init.shareGroupId).u16(init.share.length).bytes(init.share);
  writer.u8(init.cookie.length).bytes(init.cookie);
  return writer.zeros(size - writer.length).finish();
}

export function decodeInit(bytes: Uint8Array): Init {
  const reader = readSignal(bytes, SIGNAL_TYPE.init);
  const attempt = reader.bytes(ATTEMPT_BYTES, 'init attempt');
  const nonce = reader.bytes(HANDSHAKE_NONCE_BYTES, 'init nonce');
  const transport = reader.u8('init transport');
  if (transport !== TRANSPORT.tcp && transport !== TRANSPORT.udp) throw new WireError(`init transport: ${transport}`);
  const responderPort = readPort(reader, 'init responder port');
  const groupIds = readIds(reader, MAX_OFFERED, 'init groups');
  const suiteIds = readIds(reader, MAX_OFFERED, 'init suites');
  const portCandidates = readIds(reader, MAX_PORT_CANDIDATES, 'init port candidates');
  if (portCandidates.includes(0)) throw new WireError('init port candidates: port 0');
  const shareGroupId = reader.u16('init share group');
  if (!groupIds.includes(shareGroupId)) throw new WireError(`init share group: ${shareGroupId} is not offered`);
  const share = reader.bytes(reader.u16('init share length'), 'init share');
  const cookieLength = reader.u8('init cookie length');
  if (cookieLength > MAX_COOKIE_BYTES) throw new WireError(`init cookie: ${cookieLength} bytes`);
  const cookie = reader.bytes(cookieLength, 'init cookie');
  const padding = reader.bytes(reader.remaining, 'init padding');
  // By node: an L4_INIT is mostly padding, and who waits for the answer waits for this too.
  if (Buffer.compare(padding, ZEROS.subarray(0, padding.length)) !== 0) throw new WireError('init padding: not zero');
  return { attempt, nonce, transport, responderPort, groupIds, suiteIds, portCandidates, shareGroupId, share, cookie };
}

export function writeIds(writer: ByteWriter, ids: readonly number[]): void {
  writer.u8(ids.length);
  for (const id of ids) writer.u16(id);
}

/** A list of one to `most` distinct 16-bit values. */
export function readIds(reader: ByteReader, most: number, field: string): number[] {
  const count = reader.u8(field);
  if (count === 0 || count > most) throw new WireError(`${field}: ${count} entries`);
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    const id = reader.u16(field);
    if (ids.includes(id)) throw new WireError(`${field}: an entry twice`);
    ids.push(id);
  }
  return ids;
}

export function readPort(reader: ByteReader, field: string): number {
  const port = reader.u16(field);
  if (port === 0) throw new WireError(`${field}: 0`);
  return port;
}
