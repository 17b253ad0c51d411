/**
 * AARP datagrams: a probe ("who are you, who answers at this address?") and its reply. For addresses whose members
 * reply from the address itself, and for IPv4, where an echo reply says nothing. docs/aarp.md, "AARP datagrams".
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *     |                       magic  "AARP"                           |
 *     +---------------+---------------+-------------------------------+
 *     |  version = 1  |     type      |  length of what follows       |
 *     +---------------+---------------+-------------------------------+
 *
 *     PROBE, type 1, always 200 bytes        REPLY, type 2, at most 179 bytes
 *     +--------------------------------+     +--------------------------------+
 *     | header                     (8) |     | header                     (8) |
 *     | nonce                     (16) |     | nonce of the PROBE        (16) |
 *     | asked: length (1), address     |     | lifetime in seconds        (2) |
 *     | zeros                          |     | count (1), each member:        |
 *     | MAC                       (16) |     |   length (1), address          |
 *     +--------------------------------+     | MAC                       (16) |
 *                                            +--------------------------------+
 *
 * The MAC is HMAC-SHA256 (its first 16 bytes) of what stands before it, under a key that both were given, behind the
 * name of the protocol; without a key it is zeros, and nothing else is taken.
 */
import { createHmac } from 'node:crypto';
import { readAddress, writeAddress } from '../../core/address.ts';
import { ByteReader, ByteWriter, equalConstantTime } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { NONCE_BYTES } from '../question.ts';

/** Of members that answer probes; UDP. */
export const AARP_PORT = 4476;
/** Every PROBE has this length: there is room for the REPLY, so nobody gets more than they sent. */
export const AARP_PROBE_BYTES = 200;
/** What a member says in one REPLY. */
export const MAX_REPLY_MEMBERS = 8;
/** Below 16 bytes a key could be guessed, and HMAC would hash one beyond 64 first. */
export const AARP_KEY_BYTES = { least: 16, most: 64 } as const;

const MAGIC = 0x41415250;
const VERSION = 1;
const TYPE = { probe: 1, reply: 2 } as const;
const HEADER_BYTES = 8;
const MAC_BYTES = 16;
const MAC_LABEL = 'mobisock aarp 1';

export interface AarpProbe {
  readonly nonce: Uint8Array;
  /** The address that the probe is sent to, since a host can't always see where a datagram went. No zone. */
  readonly asked: string;
}

export interface AarpReply {
  readonly nonce: Uint8Array;
  /** For how long the answer may be kept; 0 leaves that to whoever asked. At most 65535. */
  readonly lifetimeSeconds: number;
  /** Unicast addresses of the host, its preferred first. With the asked one among them, that one is unicast. */
  readonly members: readonly string[];
}

export function encodeAarpProbe({ nonce, asked }: AarpProbe, key?: Uint8Array): Uint8Array {
  const writer = new ByteWriter(AARP_PROBE_BYTES);
  writeHeader(writer, TYPE.probe, AARP_PROBE_BYTES - HEADER_BYTES);
  writer.bytes(nonce);
  writeAddress(writer, asked);
  writer.zeros(AARP_PROBE_BYTES - MAC_BYTES - writer.length);
  return writer.bytes(macOf(writer.finish(), key)).finish();
}

/** @throws WireError where it is none, or not under that key. */
export function decodeAarpProbe(bytes: Uint8Array, key?: Uint8Array): AarpProbe {
  if (bytes.length !== AARP_PROBE_BYTES) throw new WireError(`probe: ${bytes.length} bytes`);
  const reader = openMessage(bytes, TYPE.probe, key);
  const nonce = reader.bytes(NONCE_BYTES, 'probe nonce');
  const asked = readAddress(reader, 'probe asked');
  if (reader.bytes(reader.remaining, 'probe padding').some((byte) => byte !== 0)) {
    throw new WireError('probe padding: not zero');
  }
  return { nonce, asked };
}

export function encodeAarpReply({ nonce, lifetimeSeconds, members }: AarpReply, key?: Uint8Array): Uint8Array {
  const body = new ByteWriter(AARP_PROBE_BYTES);
  body.bytes(nonce).u16(lifetimeSeconds).u8(members.length);
  for (const member of members) writeAddress(body, member);
  const writer = new ByteWriter(HEADER_BYTES + body.length + MAC_BYTES);
  writeHeader(writer, TYPE.reply, body.length + MAC_BYTES);
  writer.bytes(body.finish());
  return writer.bytes(macOf(writer.finish(), key)).finish();
}

/** @throws WireError where it is none, or not under that key. */
export function decodeAarpReply(bytes: Uint8Array, key?: Uint8Array): AarpReply {
  const reader = openMessage(bytes, TYPE.reply, key);
  const nonce = reader.bytes(NONCE_BYTES, 'reply nonce');
  const lifetimeSeconds = reader.u16('reply lifetime');
  const count = reader.u8('reply members');
  if (count === 0 || count > MAX_REPLY_MEMBERS) throw new WireError(`reply members: ${count}`);
  const members = Array.from({ length: count }, () => readAddress(reader, 'reply member'));
  reader.end('reply');
  return { nonce, lifetimeSeconds, members };
}

function writeHeader(writer: ByteWriter, type: number, bodyBytes: number): void {
  writer.u32(MAGIC).u8(VERSION).u8(type).u16(bodyBytes);
}

/** A reader behind the header and before the MAC, which is right. */
function openMessage(bytes: Uint8Array, type: number, key: Uint8Array | undefined): ByteReader {
  const header = new ByteReader(bytes);
  if (header.u32('magic') !== MAGIC || header.u8('version') !== VERSION || header.u8('type') !== type) {
    throw new WireError(`aarp: no message of type ${type}, version ${VERSION}`);
  }
  if (header.u16('length') !== header.remaining) throw new WireError('aarp: length field and message differ');
  if (header.remaining < MAC_BYTES) throw new WireError('aarp: no MAC');
  const covered = bytes.subarray(0, bytes.length - MAC_BYTES);
  if (!equalConstantTime(macOf(covered, key), bytes.subarray(covered.length))) throw new WireError('aarp: wrong MAC');
  return new ByteReader(covered.subarray(HEADER_BYTES));
}

function macOf(covered: Uint8Array, key: Uint8Array | undefined): Uint8Array {
  if (key === undefined) return new Uint8Array(MAC_BYTES);
  return createHmac('sha256', key).update(MAC_LABEL).update(covered).digest().subarray(0, MAC_BYTES);
}
