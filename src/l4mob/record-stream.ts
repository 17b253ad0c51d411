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

/** What {@link RecordReader.push} hands over: a verified record. */
export type RecordHandler = (header: RecordHeader, payload: Buffer) => void;

const NO_PAYLOAD = Buffer.alloc(0);

export class RecordReader {
  readonly #opener: RecordOpener;
  readonly #numbering: RecordNumbering;
  /** What has come of a header or tag that was cut in two. */
  #partial: Buffer | undefined;
  #header: RecordHeader | undefined;
  #payloadMissing = 0;
  /** The payload where it came whole. */
  #payload: Buffer | undefined;
  /** The payload where it came in pieces, or will have to wait for its tag. */
  #assembly: Buffer | undefined;

  constructor(opener: RecordOpener, subflowNumber: number, portPair: PortPair) {
    this.#opener = opener;
    this.#numbering = new RecordNumbering(subflowNumber, portPair);
  }

  /**
   * Takes the next bytes of the subflow. Payloads handed over are views of them where possible; nothing of them is held
   * on to after the return. Throws a {@link WireError} for a malformed header or a wrong MAC; the subflow is of no use
   * after that, since its framing cannot be trusted.
   */
  push(chunk: Buffer, handle: RecordHandler): void {
    let at = 0;
    while (at < chunk.length) {
      const header = this.#header;
      if (header !== undefined && this.#payloadMissing > 0) {
        at = this.#takePayload(chunk, at, header);
        continue;
      }
      const length = header === undefined ? RECORD_HEADER_BYTES : TAG_BYTES;
      const end = at + length - (this.#partial?.length ?? 0);
      if (end > chunk.length) return this.#keep(chunk.subarray(at));
      // From the chunk itself unless it was cut.
      const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk.subarray(at, end)]);
      const from = this.#partial === undefined ? at : 0;
      this.#partial = undefined;
      if (header === undefined) this.#start(bytes, from);
      else this.#finish(header, bytes.subarray(from, from + TAG_BYTES), handle);
      at = end;
    }
    this.#keep(undefined);
  }

  /** The chunk ends within a record. `rest`: what has come of a header or tag. */
  #keep(rest: Buffer | undefined): void {
    if (rest !== undefined) {
      this.#partial = this.#partial === undefined ? Buffer.from(rest) : Buffer.concat([this.#partial, rest]);
    }
    if (this.#payload === undefined) return;
    this.#assembly = Buffer.from(this.#payload);
    this.#payload = undefined;
  }

  #start(bytes: Buffer, from: number): void {
    this.#header = this.#numbering.decode(bytes, from);
    this.#payloadMissing = this.#header.payloadBytes;
    this.#opener.start(RECORD_PREFIX, this.#header.payloadBytes);
  }

  #takePayload(chunk: Buffer, at: number, { payloadBytes }: RecordHeader): number {
    const end = Math.min(chunk.length, at + this.#payloadMissing);
    const piece = this.#opener.update(chunk.subarray(at, end));
    if (piece.length === payloadBytes) this.#payload = piece;
    else {
      this.#assembly ??= Buffer.allocUnsafeSlow(payloadBytes);
      piece.copy(this.#assembly, payloadBytes - this.#payloadMissing);
    }
    this.#payloadMissing -= end - at;
    return end;
  }

  #finish(header: RecordHeader, tag: Buffer, handle: RecordHandler): void {
    if (!this.#opener.finish(tag)) throw new WireError(`record mac: wrong, type ${header.type}`);
    const payload = this.#payload ?? this.#assembly ?? NO_PAYLOAD;
    this.#header = undefined;
    this.#payload = undefined;
    this.#assembly = undefined;
    this.#numbering.advance();
    handle(header, payload);
  }
}
