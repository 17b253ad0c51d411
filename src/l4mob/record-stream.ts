/**
 * Records on one subflow, one class for each direction: from payload to bytes, and from whatever pieces arrive back to
 * verified records. A record's bytes reach nobody before its MAC was right.
 */
import { WireError } from '../core/errors.ts';
import type { PortPair } from './port-pairs.ts';
import { type RecordOpener, type RecordSealer, type SealedRecord, TAG_BYTES } from './suite.ts';
import { RECORD_HEADER_BYTES, RECORD_PREFIX, type RecordHeader, RecordNumbering } from './wire/record.ts';

/** Up to this size header, payload and MAC go out as one buffer: a copy is cheaper than two more pieces. */
const ONE_PIECE_BYTES = 4096;

export class RecordWriter {
  readonly #sealer: RecordSealer;
  readonly #numbering: RecordNumbering;

  constructor(sealer: RecordSealer, subflowNumber: number, portPair: PortPair) {
    this.#sealer = sealer;
    this.#numbering = new RecordNumbering(subflowNumber, portPair);
  }

  /** The record's bytes in order. Payload parts may be in it as they are: they must stay unchanged until sent. */
  write(header: RecordHeader, payload: readonly Uint8Array[]): Uint8Array[] {
    this.#numbering.encode(header);
    const sealed = this.#sealer.seal(RECORD_PREFIX, payload);
    this.#numbering.advance();
    return assemble(RECORD_PREFIX.header, sealed, header.payloadBytes);
  }
}

function assemble(header: Uint8Array, { payload, tag }: SealedRecord, payloadBytes: number): Uint8Array[] {
  const whole = RECORD_HEADER_BYTES + payloadBytes + TAG_BYTES;
  if (whole > ONE_PIECE_BYTES) return [Buffer.from(header), ...payload, tag];
  const out = Buffer.allocUnsafe(whole);
  out.set(header);
  let at = RECORD_HEADER_BYTES;
  for (const part of payload) {
    out.set(part, at);
    at += part.length;
  }
  out.set(tag, at);
  return [out];
}

/** What {@link RecordReader.push} hands over: a verified record, payload in the pieces in which it came. */
export type RecordHandler = (header: RecordHeader, payload: readonly Buffer[]) => void;

const NO_PAYLOAD: readonly Buffer[] = [];

export class RecordReader {
  readonly #opener: RecordOpener;
  readonly #numbering: RecordNumbering;
  /** What has come of a header or tag that was cut in two. */
  #partial: Buffer | undefined;
  #header: RecordHeader | undefined;
  #payload: Buffer[] = [];
  #payloadMissing = 0;

  constructor(opener: RecordOpener, subflowNumber: number, portPair: PortPair) {
    this.#opener = opener;
    this.#numbering = new RecordNumbering(subflowNumber, portPair);
  }

  /**
   * Takes the next bytes of the subflow, which this reader keeps views of. Throws a {@link WireError} for a malformed
   * header or a wrong MAC; the subflow is of no use after that, since its framing cannot be trusted.
   */
  push(chunk: Buffer, handle: RecordHandler): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#header === undefined) {
        at = this.#takeWhole(chunk, at, RECORD_HEADER_BYTES, (bytes, from) => this.#start(bytes, from));
      } else if (this.#payloadMissing > 0) {
        at = this.#takePayload(chunk, at);
      } else {
        const header = this.#header;
        at = this.#takeWhole(chunk, at, TAG_BYTES, (bytes, from) => {
          this.#finish(header, bytes.subarray(from, from + TAG_BYTES), handle);
        });
      }
    }
  }

  /** Calls `use` where `length` bytes are whole, from the chunk itself unless they were cut. Returns what is next. */
  #takeWhole(chunk: Buffer, at: number, length: number, use: (bytes: Buffer, from: number) => void): number {
    const have = this.#partial?.length ?? 0;
    const end = at + length - have;
    if (end > chunk.length) {
      const rest = chunk.subarray(at);
      this.#partial = this.#partial === undefined ? Buffer.from(rest) : Buffer.concat([this.#partial, rest]);
      return chunk.length;
    }
    const partial = this.#partial;
    this.#partial = undefined;
    if (partial === undefined) use(chunk, at);
    else use(Buffer.concat([partial, chunk.subarray(at, end)]), 0);
    return end;
  }

  #start(bytes: Buffer, from: number): void {
    this.#header = this.#numbering.decode(bytes, from);
    this.#payloadMissing = this.#header.payloadBytes;
    this.#opener.start(RECORD_PREFIX, this.#header.payloadBytes);
  }

  #takePayload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#payloadMissing);
    this.#payload.push(this.#opener.update(chunk.subarray(at, end)));
    this.#payloadMissing -= end - at;
    return end;
  }

  #finish(header: RecordHeader, tag: Buffer, handle: RecordHandler): void {
    if (!this.#opener.finish(tag)) throw new WireError(`record mac: wrong, type ${header.type}`);
    const payload = header.payloadBytes === 0 ? NO_PAYLOAD : this.#payload;
    this.#header = undefined;
    if (payload.length > 0) this.#payload = [];
    this.#numbering.advance();
    handle(header, payload);
  }
}
