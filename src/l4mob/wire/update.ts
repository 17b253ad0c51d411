/**
 * L4_UPDATE: one process tells another where it is now, for all sessions between the two. It carries the whole list of
 * addresses (what is not in it is gone), so that a lost or repeated one does no harm. docs/protocol.md, "L4_UPDATE".
 *
 *     +--------------------------------+
 *     | signalling header, type 3      |
 *     | association id            (8)  |
 *     | flags                     (1)  |  bit 0: from the responder; bit 1: answer wanted; bit 2: this is an answer
 *     | packet number             (8)  |  rises with every L4_UPDATE of this sender
 *     | answers packet number     (8)  |  0 where bit 2 is not set
 *     | state sequence            (4)  |  rises with every change of the list
 *     | session port              (2)  |  0: this side takes no subflows
 *     | addresses: count (1), addr...  |
 *     | MAC                       (16) |
 *     +--------------------------------+
 */
import { readAddress, writeAddress } from '../../core/address.ts';
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { MAX_ADDRESSES } from '../limits.ts';
import { TAG_BYTES } from '../suite.ts';
import { ASSOCIATION_ID_BYTES } from './offer.ts';
import { MAX_SIGNAL_BYTES, readSignal, SIGNAL_HEADER_BYTES, SIGNAL_TYPE, writeSignalHeader } from './signal-header.ts';

const FLAG_FROM_RESPONDER = 1;
const FLAG_ANSWER_WANTED = 2;
const FLAG_ANSWER = 4;

/** Where a process is: also the payload of an ADDRESSES record. */
export interface Whereabouts {
  readonly stateSequence: number;
  readonly sessionPort: number;
  readonly addresses: readonly string[];
}

export interface Update extends Whereabouts {
  readonly associationId: Uint8Array;
  readonly fromResponder: boolean;
  readonly answerWanted: boolean;
  readonly packetNumber: number;
  readonly answersPacketNumber: number | undefined;
}

export interface DecodedUpdate {
  readonly update: Update;
  readonly covered: Uint8Array;
  readonly mac: Uint8Array;
}

/** `macOf` gets what the MAC covers: all of the message before it. */
export function encodeUpdate(update: Update, macOf: (covered: Uint8Array) => Uint8Array): Uint8Array {
  const body = new ByteWriter(MAX_SIGNAL_BYTES);
  const isAnswer = update.answersPacketNumber !== undefined;
  const flags =
    (update.fromResponder ? FLAG_FROM_RESPONDER : 0) |
    (update.answerWanted ? FLAG_ANSWER_WANTED : 0) |
    (isAnswer ? FLAG_ANSWER : 0);
  body
    .bytes(update.associationId)
    .u8(flags)
    .u64(update.packetNumber)
    .u64(update.answersPacketNumber ?? 0);
  writeWhereabouts(body, update);
  const message = new ByteWriter(SIGNAL_HEADER_BYTES + body.length + TAG_BYTES);
  writeSignalHeader(message, SIGNAL_TYPE.update, body.length + TAG_BYTES);
  message.bytes(body.finish());
  return message.bytes(macOf(message.finish())).finish();
}

export function decodeUpdate(bytes: Uint8Array): DecodedUpdate {
  const reader = readSignal(bytes, SIGNAL_TYPE.update);
  const associationId = reader.bytes(ASSOCIATION_ID_BYTES, 'update association');
  const flags = reader.u8('update flags');
  if ((flags & ~(FLAG_FROM_RESPONDER | FLAG_ANSWER_WANTED | FLAG_ANSWER)) !== 0) {
    throw new WireError(`update flags: ${flags}`);
  }
  const packetNumber = reader.u64('update packet number');
  const answers = reader.u64('update answered packet number');
  const isAnswer = (flags & FLAG_ANSWER) !== 0;
  if (!isAnswer && answers !== 0) throw new WireError('update: answers a packet without being an answer');
  const whereabouts = readWhereabouts(reader);
  const covered = bytes.subarray(0, reader.offset);
  const mac = reader.bytes(TAG_BYTES, 'update mac');
  reader.end('update');
  const update = {
    associationId,
    fromResponder: (flags & FLAG_FROM_RESPONDER) !== 0,
    answerWanted: (flags & FLAG_ANSWER_WANTED) !== 0,
    packetNumber,
    answersPacketNumber: isAnswer ? answers : undefined,
    ...whereabouts,
  };
  return { update, covered, mac };
}

/** As the payload of an ADDRESSES record. */
export function encodeWhereabouts(whereabouts: Whereabouts): Uint8Array {
  const writer = new ByteWriter(7 + 17 * MAX_ADDRESSES);
  writeWhereabouts(writer, whereabouts);
  return writer.finish();
}

export function decodeWhereabouts(payload: Uint8Array): Whereabouts {
  const reader = new ByteReader(payload);
  const whereabouts = readWhereabouts(reader);
  reader.end('addresses');
  return whereabouts;
}

function writeWhereabouts(writer: ByteWriter, whereabouts: Whereabouts): void {
  writer.u32(whereabouts.stateSequence).u16(whereabouts.sessionPort).u8(whereabouts.addresses.length);
  for (const ip of whereabouts.addresses) writeAddress(writer, ip);
}

function readWhereabouts(reader: ByteReader): Whereabouts {
  const stateSequence = reader.u32('whereabouts state sequence');
  const sessionPort = reader.u16('whereabouts session port');
  const count = reader.u8('whereabouts addresses');
  if (count > MAX_ADDRESSES) throw new WireError(`whereabouts addresses: ${count} entries`);
  const addresses = Array.from({ length: count }, () => readAddress(reader, 'whereabouts address'));
  return { stateSequence, sessionPort, addresses };
}
