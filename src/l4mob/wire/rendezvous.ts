/**
 * The two messages of a rendezvous: ASK ("here am I, where is the peer?") and its ANSWER. docs/protocol.md,
 * "Rendezvous".
 *
 *     ASK, type 16, always 392 bytes           ANSWER, type 17, at most 249 bytes
 *     +--------------------------------+       +--------------------------------+
 *     | signalling header              |       | signalling header              |
 *     | id                        (8)  |       | id of the ASK             (8)  |
 *     | flags                     (1)  |       | status                    (1)  |  0 none, 1 found, 2 cookie
 *     | wanted: count (1), tag... (16) |       | flags                     (1)  |  bit 0: your entry is kept
 *     | after version             (8)  |       | you are: address, port         |
 *     | cookie: length (1), bytes      |       | found:  which wanted tag  (1)  |
 *     | with flag bit 0, an entry:     |       |         it is: address, port   |
 *     |   public key             (32)  |       |         sealed           (192) |
 *     |   version                 (8)  |       | cookie: length (1), bytes      |
 *     |   seconds to keep it      (2)  |       +--------------------------------+
 *     |   sealed                (192)  |
 *     |   signature              (64)  |
 *     | zeros                          |
 *     +--------------------------------+
 *
 * One ASK brings at most one ANSWER without and one with an entry: 37 + 249 bytes, fewer than were asked with.
 */
import { readAddress, type TransportAddress, writeAddress } from '../../core/address.ts';
import { type ByteReader, ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { readSignal, SIGNAL_HEADER_BYTES, SIGNAL_TYPE, writeSignalHeader } from './signal-header.ts';

export const RENDEZVOUS_ID_BYTES = 8;
export const RENDEZVOUS_TAG_BYTES = 16;
export const RENDEZVOUS_PUBLIC_KEY_BYTES = 32;
export const RENDEZVOUS_SIGNATURE_BYTES = 64;
/** Nonce (24), version and whereabouts with room for eight addresses (152), tag (16). */
export const RENDEZVOUS_SEALED_BYTES = 192;
/** Every ASK has this length, whatever is in it: room for the ANSWERs, and nothing to tell ASKs apart by. */
export const RENDEZVOUS_ASK_BYTES = 392;
/** Where an epoch ends, the next one is asked for too. */
export const MAX_WANTED_TAGS = 2;
export const MAX_RENDEZVOUS_COOKIE_BYTES = 32;

const FLAG_ENTRY = 1;
const FLAG_KEPT = 1;
const STATUS = { none: 0, found: 1, cookie: 2 } as const;

/** What one side leaves for the other. Its tag is the hash of the public key. */
export interface RendezvousEntry {
  readonly publicKey: Uint8Array;
  /** Rises with what is in it; an older one never takes the place of a newer one. */
  readonly version: number;
  readonly ttlSeconds: number;
  readonly sealed: Uint8Array;
  readonly signature: Uint8Array;
}

export interface RendezvousAsk {
  readonly id: Uint8Array;
  readonly wanted: readonly Uint8Array[];
  /** Only an entry newer than this one is news. */
  readonly afterVersion: number;
  readonly cookie: Uint8Array;
  readonly entry: RendezvousEntry | undefined;
}

interface AnswerFields {
  readonly id: Uint8Array;
  /** The source of the ASK, as the service saw it. */
  readonly seen: TransportAddress;
  /** The entry in the ASK has its place. */
  readonly kept: boolean;
}

export type RendezvousAnswer =
  | (AnswerFields & { readonly status: 'none' })
  | (AnswerFields & {
      readonly status: 'found';
      /** Index in `wanted`. */
      readonly tagIndex: number;
      /** From where the entry was left, as the service saw it: unverified. */
      readonly from: TransportAddress;
      readonly sealed: Uint8Array;
    })
  | (AnswerFields & { readonly status: 'cookie'; readonly cookie: Uint8Array });

/** What the signature covers comes first, so that both sides cut it the same way. */
export function entryToSign({
  publicKey,
  version,
  ttlSeconds,
  sealed,
}: Omit<RendezvousEntry, 'signature'>): Uint8Array {
  return new ByteWriter(RENDEZVOUS_PUBLIC_KEY_BYTES + 10 + RENDEZVOUS_SEALED_BYTES)
    .bytes(publicKey)
    .u64(version)
    .u16(ttlSeconds)
    .bytes(sealed)
    .finish();
}

export function encodeRendezvousAsk({ id, wanted, afterVersion, cookie, entry }: RendezvousAsk): Uint8Array {
  const writer = new ByteWriter(RENDEZVOUS_ASK_BYTES);
  writeSignalHeader(writer, SIGNAL_TYPE.rendezvousAsk, RENDEZVOUS_ASK_BYTES - SIGNAL_HEADER_BYTES);
  writer
    .bytes(id)
    .u8(entry === undefined ? 0 : FLAG_ENTRY)
    .u8(wanted.length);
  for (const tag of wanted) writer.bytes(tag);
  writer.u64(afterVersion).u8(cookie.length).bytes(cookie);
  if (entry !== undefined) writer.bytes(entryToSign(entry)).bytes(entry.signature);
  return writer.zeros(RENDEZVOUS_ASK_BYTES - writer.length).finish();
}

export function decodeRendezvousAsk(bytes: Uint8Array): RendezvousAsk {
  const reader = readSignal(bytes, SIGNAL_TYPE.rendezvousAsk);
  if (bytes.length !== RENDEZVOUS_ASK_BYTES) throw new WireError(`ask: ${bytes.length} bytes`);
  const id = reader.bytes(RENDEZVOUS_ID_BYTES, 'ask id');
  const flags = reader.u8('ask flags');
  if ((flags & ~FLAG_ENTRY) !== 0) throw new WireError(`ask flags: ${flags}`);
  const count = reader.u8('ask wanted');
  if (count > MAX_WANTED_TAGS) throw new WireError(`ask wanted: ${count} tags`);
  const wanted = Array.from({ length: count }, () => reader.bytes(RENDEZVOUS_TAG_BYTES, 'ask tag'));
  const afterVersion = reader.u64('ask after version');
  const cookie = readCookie(reader, 'ask cookie');
  const entry = (flags & FLAG_ENTRY) === 0 ? undefined : readEntry(reader);
  if (reader.bytes(reader.remaining, 'ask padding').some((byte) => byte !== 0)) {
    throw new WireError('ask padding: not zero');
  }
  return { id, wanted, afterVersion, cookie, entry };
}

export function encodeRendezvousAnswer(answer: RendezvousAnswer): Uint8Array {
  const body = new ByteWriter(RENDEZVOUS_ASK_BYTES);
  body
    .bytes(answer.id)
    .u8(STATUS[answer.status])
    .u8(answer.kept ? FLAG_KEPT : 0);
  writePlace(body, answer.seen);
  if (answer.status === 'found') {
    body.u8(answer.tagIndex);
    writePlace(body, answer.from);
    body.bytes(answer.sealed);
  } else if (answer.status === 'cookie') body.u8(answer.cookie.length).bytes(answer.cookie);
  const message = new ByteWriter(SIGNAL_HEADER_BYTES + body.length);
  writeSignalHeader(message, SIGNAL_TYPE.rendezvousAnswer, body.length);
  return message.bytes(body.finish()).finish();
}

export function decodeRendezvousAnswer(bytes: Uint8Array): RendezvousAnswer {
  const reader = readSignal(bytes, SIGNAL_TYPE.rendezvousAnswer);
  const id = reader.bytes(RENDEZVOUS_ID_BYTES, 'answer id');
  const status = reader.u8('answer status');
  const flags = reader.u8('answer flags');
  if ((flags & ~FLAG_KEPT) !== 0) throw new WireError(`answer flags: ${flags}`);
  const fields = { id, seen: readPlace(reader, 'answer seen'), kept: flags === FLAG_KEPT };
  const answer = readResult(reader, status, fields);
  reader.end('answer');
  return answer;
}

function readResult(reader: ByteReader, status: number, fields: AnswerFields): RendezvousAnswer {
  switch (status) {
    case STATUS.none:
      return { ...fields, status: 'none' };
    case STATUS.found: {
      const tagIndex = reader.u8('answer tag');
      if (tagIndex >= MAX_WANTED_TAGS) throw new WireError(`answer tag: index ${tagIndex}`);
      const from = readPlace(reader, 'answer from');
      return {
        ...fields,
        status: 'found',
        tagIndex,
        from,
        sealed: reader.bytes(RENDEZVOUS_SEALED_BYTES, 'answer sealed'),
      };
    }
    case STATUS.cookie:
      return { ...fields, status: 'cookie', cookie: readCookie(reader, 'answer cookie') };
    default:
      throw new WireError(`answer status: ${status}`);
  }
}

function readEntry(reader: ByteReader): RendezvousEntry {
  return {
    publicKey: reader.bytes(RENDEZVOUS_PUBLIC_KEY_BYTES, 'entry public key'),
    version: reader.u64('entry version'),
    ttlSeconds: reader.u16('entry time to live'),
    sealed: reader.bytes(RENDEZVOUS_SEALED_BYTES, 'entry sealed'),
    signature: reader.bytes(RENDEZVOUS_SIGNATURE_BYTES, 'entry signature'),
  };
}

function readCookie(reader: ByteReader, field: string): Uint8Array {
  const length = reader.u8(field);
  if (length > MAX_RENDEZVOUS_COOKIE_BYTES) throw new WireError(`${field}: ${length} bytes`);
  return reader.bytes(length, field);
}

function writePlace(writer: ByteWriter, { ip, port }: TransportAddress): void {
  writeAddress(writer, ip);
  writer.u16(port);
}

function readPlace(reader: ByteReader, field: string): TransportAddress {
  const ip = readAddress(reader, field);
  return { ip, port: reader.u16(field) };
}
