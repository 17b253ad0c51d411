/**
 * The record: extended L4 header, payload, MAC. Everything on a subflow behind its hello. docs/protocol.md, "Records".
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+-----------------------------------------------+
 *     |     type      |               payload length                  |
 *     +---------------+-----------------------------------------------+
 *     |                 state sequence number                         |
 *     +---------------------------------------------------------------+
 *     |     offset: place of the payload in the sender's stream; in   |
 *     |         records without payload, where the next byte will be  |
 *     |         (64 bits)                                             |
 *     +---------------------------------------------------------------+
 *     |     acknowledgement: bytes of the peer's stream received      |
 *     |         in order, its end counting as one more (64 bits)      |
 *     +---------------------------------------------------------------+
 *     |     receive window: bytes beyond the acknowledgement          |
 *     +---------------------------------------------------------------+
 *     |     payload ...                                               |
 *     +---------------------------------------------------------------+
 *     |     MAC (16 bytes)                                            |
 *     +---------------------------------------------------------------+
 *
 * The MAC covers what is not sent too: subflow number and record number (the nonce) and the port pair.
 *
 *     prefix = nonce: subflow number (4), record number (8) | port pair (4) | header (28)
 */
import { WireError } from '../../core/errors.ts';
import { MAX_RECORD_PAYLOAD } from '../limits.ts';
import { type PortPair, portPairKey } from '../port-pairs.ts';
import { type MacPrefix, NONCE_BYTES } from '../suite.ts';

export const RECORD_HEADER_BYTES = 28;

export const RECORD_TYPE = {
  openOk: 2,
  resumeOk: 4,
  data: 6,
  /** Empty data: acknowledges, opens the window, or says "I am here now". */
  ack: 7,
  fin: 8,
  reset: 9,
  ping: 10,
  pong: 11,
  addresses: 12,
} as const;
export type RecordType = (typeof RECORD_TYPE)[keyof typeof RECORD_TYPE];

/** Payload lengths allowed for a type: from, to. */
const PAYLOAD_BYTES: Readonly<Record<RecordType, readonly [number, number]>> = {
  [RECORD_TYPE.openOk]: [0, 0],
  [RECORD_TYPE.resumeOk]: [0, 0],
  [RECORD_TYPE.data]: [1, MAX_RECORD_PAYLOAD],
  [RECORD_TYPE.ack]: [0, 0],
  [RECORD_TYPE.fin]: [0, 0],
  [RECORD_TYPE.reset]: [0, 0],
  [RECORD_TYPE.ping]: [0, 0],
  [RECORD_TYPE.pong]: [0, 0],
  [RECORD_TYPE.addresses]: [7, 256],
};

export interface RecordHeader {
  readonly type: RecordType;
  readonly payloadBytes: number;
  readonly stateSequence: number;
  readonly offset: number;
  readonly acknowledgement: number;
  readonly window: number;
}

const HEADER_AT = NONCE_BYTES + 4;

/**
 * What a MAC covers before the payload, in one piece and apart. One for the process: it is filled, used and forgotten
 * within a call, and a copy for each of ten thousand idle sessions would cost more memory than the rest of them.
 */
export const RECORD_PREFIX: MacPrefix & { readonly header: Uint8Array } = makePrefix();
const view = new DataView(RECORD_PREFIX.whole.buffer);

function makePrefix(): typeof RECORD_PREFIX {
  const whole = new Uint8Array(HEADER_AT + RECORD_HEADER_BYTES);
  return {
    whole,
    nonce: whole.subarray(0, NONCE_BYTES),
    associated: whole.subarray(NONCE_BYTES),
    header: whole.subarray(HEADER_AT),
  };
}

/** Numbers the records of one direction of one subflow, and puts headers into {@link RECORD_PREFIX} and out of it. */
export class RecordNumbering {
  readonly #subflowNumber: number;
  readonly #portPair: number;
  #recordNumber = 0;

  constructor(subflowNumber: number, portPair: PortPair) {
    this.#subflowNumber = subflowNumber;
    this.#portPair = portPairKey(portPair);
  }

  /** To be called after each record. */
  advance(): void {
    this.#recordNumber += 1;
  }

  encode(header: RecordHeader): void {
    this.#stamp();
    view.setUint32(HEADER_AT, header.type * 0x1000000 + header.payloadBytes);
    view.setUint32(HEADER_AT + 4, header.stateSequence);
    setCount(HEADER_AT + 8, header.offset);
    setCount(HEADER_AT + 16, header.acknowledgement);
    view.setUint32(HEADER_AT + 24, header.window);
  }

  /** Of a whole header that begins at `at`. */
  decode(bytes: Uint8Array, at: number): RecordHeader {
    this.#stamp();
    const { header } = RECORD_PREFIX;
    for (let i = 0; i < RECORD_HEADER_BYTES; i++) header[i] = bytes[at + i] as number;
    const type = view.getUint8(HEADER_AT) as RecordType;
    const payloadBytes = view.getUint32(HEADER_AT) & 0xffffff;
    const range = PAYLOAD_BYTES[type];
    if (range === undefined) throw new WireError(`record type: ${type}`);
    if (payloadBytes < range[0] || payloadBytes > range[1]) {
      throw new WireError(`record payload: type ${type} with ${payloadBytes} bytes`);
    }
    return {
      type,
      payloadBytes,
      stateSequence: view.getUint32(HEADER_AT + 4),
      offset: count(HEADER_AT + 8, 'record offset'),
      acknowledgement: count(HEADER_AT + 16, 'record acknowledgement'),
      window: view.getUint32(HEADER_AT + 24),
    };
  }

  #stamp(): void {
    view.setUint32(0, this.#subflowNumber);
    setCount(4, this.#recordNumber);
    view.setUint32(NONCE_BYTES, this.#portPair);
  }
}

function setCount(at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value >>> 0);
}

function count(at: number, field: string): number {
  const high = view.getUint32(at);
  if (high > 0x1fffff) throw new WireError(`${field}: count above 2^53`);
  return high * 2 ** 32 + view.getUint32(at + 4);
}
