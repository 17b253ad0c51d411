/**
 * Subflow: one kernel TCP connection as the session sees it, from its hello to its end. The initiator's begins with
 * OPEN or RESUME and is confirmed by the answer; the responder's begins when the hello was found right.
 */
import type { Instant } from '../core/time.ts';
import { Liveness } from './liveness.ts';
import type { PortPair } from './port-pairs.ts';
import { type RecordHandler, RecordReader, RecordWriter } from './record-stream.ts';
import type { RecordOpener, RecordSealer } from './suite.ts';
import { type Authenticated, decodeRefuse, HELLO_TYPE, helloLength, type Refuse } from './wire/hello.ts';
import type { RECORD_TYPE } from './wire/record.ts';

export interface SubflowInit {
  /** The driver's name for the connection. */
  readonly id: number;
  /** The initiator's state sequence number in the hello: unique in the session. */
  readonly number: number;
  readonly portPair: PortPair;
  readonly sealer: RecordSealer;
  readonly opener: RecordOpener;
  readonly now: Instant;
  readonly roundTripMs: number;
  readonly replaced: Subflow | undefined;
}

export class Subflow {
  readonly id: number;
  readonly number: number;
  readonly writer: RecordWriter;
  readonly liveness: Liveness;
  /** As the connect took it; 0 where that isn't known. */
  readonly roundTripMs: number;
  readonly #reader: RecordReader;
  /** The connection takes no more bytes at present. */
  blocked = false;
  /** The peer has accepted the hello. */
  confirmed = false;
  /** Initiator: the hello, until it has gone out. */
  hello: Uint8Array | undefined;
  /** Initiator: the MAC of the hello, to which a REFUSE is bound. */
  helloMac: Uint8Array | undefined;
  /** Responder: the answer to the hello, until it has gone out. */
  answerDue: typeof RECORD_TYPE.openOk | typeof RECORD_TYPE.resumeOk | undefined;
  #refusal: Buffer | undefined;
  /** Its first byte has come, and was no REFUSE's. */
  #begun = false;

  constructor({ id, number, portPair, sealer, opener, now, roundTripMs, replaced }: SubflowInit) {
    this.id = id;
    this.number = number;
    this.roundTripMs = roundTripMs;
    this.liveness = new Liveness(now, roundTripMs, replaced?.liveness);
    this.writer = new RecordWriter(sealer, number, portPair);
    this.#reader = new RecordReader(opener, number, portPair);
  }

  /** Takes bytes as they come. Gives a REFUSE where that is what came, else calls `handle` for each record. */
  push(chunk: Buffer, handle: RecordHandler): Authenticated<Refuse> | undefined {
    if (this.#refusal !== undefined || (!this.#begun && chunk[0] === HELLO_TYPE.refuse)) {
      return this.#takeRefusal(chunk);
    }
    this.#begun = true;
    this.#reader.push(chunk, handle);
    return undefined;
  }

  #takeRefusal(chunk: Buffer): Authenticated<Refuse> | undefined {
    const bytes = this.#refusal === undefined ? Buffer.from(chunk) : Buffer.concat([this.#refusal, chunk]);
    const length = helloLength(bytes);
    if (length === undefined || bytes.length < length) {
      this.#refusal = bytes;
      return undefined;
    }
    return decodeRefuse(bytes.subarray(0, length));
  }
}
