/**
 * Hellos: the first message on a subflow. The initiator opens a session or resumes one; the responder's answer is a
 * record (see record.ts), or REFUSE. docs/protocol.md, section "Hellos".
 *
 *     OPEN, 68 bytes                       RESUME, 48 bytes                    REFUSE
 *     +--------------------------+         +--------------------------+        +----------------------+
 *     | type 1 (1), length (3)   |         | type 3 (1), length (3)   |        | type 5 (1), len (3)  |
 *     | association id      (8)  |         | association id      (8)  |        | code            (1)  |
 *     | open number         (8)  |         | port pair           (4)  |        | ports: count (1), (2)|
 *     | open nonce         (16)  |         | state sequence      (4)  |        | MAC, or zeros  (16)  |
 *     | port pair           (4)  |         | receive offset      (8)  |        +----------------------+
 *     | suite (2), zero     (2)  |         | receive window      (4)  |
 *     | state sequence      (4)  |         | MAC                (16)  |
 *     | receive window      (4)  |         +--------------------------+
 *     | MAC                (16)  |
 *     +--------------------------+
 */
import { ByteReader, ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { MAX_PORT_CANDIDATES } from '../limits.ts';
import type { PortPair } from '../port-pairs.ts';
import { TAG_BYTES } from '../suite.ts';
import { readPort } from './init.ts';
import { ASSOCIATION_ID_BYTES } from './offer.ts';

export const HELLO_TYPE = { open: 1, resume: 3, refuse: 5 } as const;
export const OPEN_NONCE_BYTES = 16;
export const OPEN_BYTES = 68;
export const RESUME_BYTES = 48;

export interface Open {
  readonly associationId: Uint8Array;
  readonly openNumber: number;
  readonly nonce: Uint8Array;
  readonly portPair: PortPair;
  readonly suiteId: number;
  readonly stateSequence: number;
  readonly window: number;
}

export interface Resume {
  readonly associationId: Uint8Array;
  readonly portPair: PortPair;
  readonly stateSequence: number;
  readonly receiveOffset: number;
  readonly window: number;
}

const REFUSE_CODES = ['unknown', 'listener-gone', 'port-pair', 'stale', 'limit', 'policy'] as const;
export type RefuseCode = (typeof REFUSE_CODES)[number];

export interface Refuse {
  readonly code: RefuseCode;
  /** Initiator ports that are free, with code `port-pair`. */
  readonly ports: readonly number[];
}

/** A hello as it came: what its MAC covers, and the MAC. */
export interface Authenticated<T> {
  readonly message: T;
  readonly covered: Uint8Array;
  readonly mac: Uint8Array;
}

type MacOf = (covered: Uint8Array) => Uint8Array;

/** The part of an OPEN that names the session for good; its keys are derived from it. */
export const OPEN_IDENTITY = { start: 4, end: 44 } as const;

export function encodeOpen(open: Open, macOf: MacOf): Uint8Array {
  const writer = hello(HELLO_TYPE.open, OPEN_BYTES);
  writer.bytes(open.associationId).u64(open.openNumber).bytes(open.nonce);
  writer.u16(open.portPair.initiator).u16(open.portPair.responder).u16(open.suiteId).u16(0);
  writer.u32(open.stateSequence).u32(open.window);
  return writer.bytes(macOf(writer.finish())).finish();
}

export function decodeOpen(bytes: Uint8Array): Authenticated<Open> {
  const reader = helloReader(bytes, HELLO_TYPE.open, OPEN_BYTES);
  const associationId = reader.bytes(ASSOCIATION_ID_BYTES, 'open association');
  const openNumber = reader.u64('open number');
  const nonce = reader.bytes(OPEN_NONCE_BYTES, 'open nonce');
  const portPair = readPortPair(reader);
  const suiteId = reader.u16('open suite');
  if (reader.u16('open reserved') !== 0) throw new WireError('open reserved: not zero');
  const stateSequence = reader.u32('open state sequence');
  const window = reader.u32('open window');
  return authenticated(bytes, reader, { associationId, openNumber, nonce, portPair, suiteId, stateSequence, window });
}

export function encodeResume(resume: Resume, macOf: MacOf): Uint8Array {
  const writer = hello(HELLO_TYPE.resume, RESUME_BYTES);
  writer.bytes(resume.associationId).u16(resume.portPair.initiator).u16(resume.portPair.responder);
  writer.u32(resume.stateSequence).u64(resume.receiveOffset).u32(resume.window);
  return writer.bytes(macOf(writer.finish())).finish();
}

export function decodeResume(bytes: Uint8Array): Authenticated<Resume> {
  const reader = helloReader(bytes, HELLO_TYPE.resume, RESUME_BYTES);
  const associationId = reader.bytes(ASSOCIATION_ID_BYTES, 'resume association');
  const portPair = readPortPair(reader);
  const stateSequence = reader.u32('resume state sequence');
  const receiveOffset = reader.u64('resume receive offset');
  const window = reader.u32('resume window');
  return authenticated(bytes, reader, {
    associationId,
    portPair,
    stateSequence,
    receiveOffset,
    window,
  });
}

/** `mac` is zeros where the responder holds no key of the sender's: then it says no more than a closed port does. */
export function encodeRefuse(refuse: Refuse, macOf: MacOf): Uint8Array {
  const writer = hello(HELLO_TYPE.refuse, 6 + 2 * refuse.ports.length + TAG_BYTES);
  writer.u8(REFUSE_CODES.indexOf(refuse.code)).u8(refuse.ports.length);
  for (const port of refuse.ports) writer.u16(port);
  return writer.bytes(macOf(writer.finish())).finish();
}

export function decodeRefuse(bytes: Uint8Array): Authenticated<Refuse> {
  const reader = helloReader(bytes, HELLO_TYPE.refuse, bytes.length);
  const code = REFUSE_CODES[reader.u8('refuse code')];
  if (code === undefined) throw new WireError('refuse code: unknown');
  const count = reader.u8('refuse ports');
  if (count > MAX_PORT_CANDIDATES) throw new WireError(`refuse ports: ${count} entries`);
  const ports = Array.from({ length: count }, () => readPort(reader, 'refuse port'));
  return authenticated(bytes, reader, { code, ports });
}

/** Bytes of the hello that starts here, undefined until that can be told. Throws for what is no hello. */
export function helloLength(bytes: Uint8Array): number | undefined {
  if (bytes.length < 4) return undefined;
  const length = 4 + ((bytes[1] as number) << 16) + ((bytes[2] as number) << 8) + (bytes[3] as number);
  const type = bytes[0];
  const expected = type === HELLO_TYPE.open ? OPEN_BYTES : type === HELLO_TYPE.resume ? RESUME_BYTES : undefined;
  if (type === HELLO_TYPE.refuse ? length > MAX_REFUSE_BYTES : length !== expected) {
    throw new WireError(`hello: type ${type} with ${length} bytes`);
  }
  return length;
}

const MAX_REFUSE_BYTES = 6 + 2 * MAX_PORT_CANDIDATES + TAG_BYTES;

function hello(type: number, bytes: number): ByteWriter {
  return new ByteWriter(bytes)
    .u8(type)
    .u8(0)
    .u16(bytes - 4);
}

function helloReader(bytes: Uint8Array, type: number, wanted: number): ByteReader {
  const reader = new ByteReader(bytes);
  if (reader.u8('hello type') !== type) throw new WireError(`hello: not of type ${type}`);
  const length = 4 + (reader.u8('hello length') << 16) + reader.u16('hello length');
  if (length !== wanted || bytes.length !== wanted) throw new WireError(`hello: ${length} bytes, ${wanted} wanted`);
  return reader;
}

function readPortPair(reader: ByteReader): PortPair {
  return { initiator: readPort(reader, 'initiator port'), responder: readPort(reader, 'responder port') };
}

function authenticated<T>(bytes: Uint8Array, reader: ByteReader, message: T): Authenticated<T> {
  const covered = bytes.subarray(0, reader.offset);
  const mac = reader.bytes(TAG_BYTES, 'hello mac');
  reader.end('hello');
  return { message, covered, mac };
}
