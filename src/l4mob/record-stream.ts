/**
 * Records on one subflow, one class for each direction: from payload to bytes, and from whatever pieces arrive back to
 * verified records. A record's bytes reach nobody before its MAC was right.
 */
import { WireError } from '../core/errors.ts';
import type { PortPair } from './port-pairs.ts';
import { type RecordOpener, type RecordSealer, type SealedRecord, TAG_BYTES } from './suite.ts';
import { RECORD_HEADER_BYTES, type RecordHeader, RecordPrefix } from './wire/record.ts';

/** Up to this size header, payload and MAC go out as one buffer: a copy is cheaper than two more pieces. */
const ONE_PIECE_BYTES = 4096;

export class RecordWriter {
  readonly #sealer: RecordSealer;
  readonly #prefix: RecordPrefix;

  constructor(sealer: RecordSealer, subflowNumber: number, portPair: PortPair) {
    this.#sealer = sealer;
    this.#prefix = new RecordPrefix(subflowNumber, portPair);
  }

  /** The record's bytes in order. Payload parts may be in it as they are: they must stay unchanged until sent. */
  write(header: RecordHeader, payload: readonly Uint8Array[]): Uint8Array[] {
    const prefix = this.#prefix;
    prefix.encodeHeader(header);
    const sealed = this.#sealer.seal(prefix, payload);
    const bytes = assemble(prefix.header, sealed, header.payloadBytes);
    prefix.advance();
    return bytes;
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
  readonly #prefix: RecordPrefix;
  readonly #tag = new Uint8Array(TAG_BYTES);
  #headerFilled = 0;
  #header: RecordHeader | undefined;
  #payload: Buffer[] = [];
  #payloadMissing = 0;
  #tagFilled = 0;

  constructor(opener: RecordOpener, subflowNumber: number, portPair: PortPair) {
    this.#opener = opener;
    this.#prefix = new RecordPrefix(subflowNumber, portPair);
  }

  /**
   * Takes the next bytes of the subflow, which this reader keeps views of. Throws a {@link WireError} for a malformed
   * header or a wrong MAC; the subflow is of no use after that, since its framing cannot be trusted.
   */
  push(chunk: Buffer, handle: RecordHandler): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#header === undefined) {
        at = this.#takeHeader(chunk, at);
      } else if (this.#payloadMissing > 0) {
        at = this.#takePayload(chunk, at);
      } else {
        at = this.#takeTag(chunk, at);
        if (this.#tagFilled === TAG_BYTES) this.#finish(this.#header, handle);
      }
    }
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + RECORD_HEADER_BYTES - this.#headerFilled);
    const { header } = this.#prefix;
    for (let i = at, to = this.#headerFilled; i < end; i++, to++) header[to] = chunk[i] as number;
    this.#headerFilled += end - at;
    if (this.#headerFilled === RECORD_HEADER_BYTES) {
      this.#header = this.#prefix.decodeHeader();
      this.#payloadMissing = this.#header.payloadBytes;
      this.#opener.start(this.#prefix);
    }
    return end;
  }

  #takePayload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.#payloadMissing);
    this.#payload.push(this.#opener.update(chunk.subarray(at, end)));
    this.#payloadMissing -= end - at;
    return end;
  }

  #takeTag(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + TAG_BYTES - this.#tagFilled);
    for (let i = at; i < end; i++) this.#tag[this.#tagFilled++] = chunk[i] as number;
    return end;
  }

  #finish(header: RecordHeader, handle: RecordHandler): void {
    if (!this.#opener.finish(this.#tag)) throw new WireError(`record mac: wrong, type ${header.type}`);
    const payload = header.payloadBytes === 0 ? NO_PAYLOAD : this.#payload;
    this.#header = undefined;
    this.#headerFilled = 0;
    this.#tagFilled = 0;
    if (payload.length > 0) this.#payload = [];
    this.#prefix.advance();
    handle(header, payload);
  }
}
