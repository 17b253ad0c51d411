/**
 * Bytes: a reader and a writer that keep their bounds, and comparison in constant time. Big endian throughout, as
 * every format in docs/protocol.md is.
 */
import { WireError } from './errors.ts';

/** Reads a message from front to back. Every read past the end is a {@link WireError} that names the field. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field));
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field));
  }

  /** A 64-bit count. Values above 2^53 - 1 are refused: no honest peer counts that far. */
  u64(field: string): number {
    const at = this.#advance(8, field);
    const high = this.#view.getUint32(at);
    if (high > 0x1fffff) throw new WireError(`${field}: count above 2^53`);
    return high * 2 ** 32 + this.#view.getUint32(at + 4);
  }

  /** A view of the next `length` bytes; it lives as long as the input does. */
  bytes(length: number, field: string): Uint8Array {
    const at = this.#advance(length, field);
    return this.#bytes.subarray(at, at + length);
  }

  /** Fails unless everything was read: trailing bytes are as malformed as missing ones. */
  end(what: string): void {
    if (this.remaining !== 0) throw new WireError(`${what}: ${this.remaining} bytes too many`);
  }

  #advance(length: number, field: string): number {
    const at = this.#offset;
    if (length > this.#bytes.length - at) {
      throw new WireError(`${field}: ${length} bytes wanted at offset ${at}, ${this.remaining} there`);
    }
    this.#offset = at + length;
    return at;
  }
}

/** Builds a message of at most `capacity` bytes. Overflow is our own mistake and throws a RangeError. */
export class ByteWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#offset;
  }

  u8(value: number): this {
    this.#view.setUint8(this.#advance(1), value);
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), value);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), value);
    return this;
  }

  u64(value: number): this {
    const at = this.#advance(8);
    this.#view.setUint32(at, Math.floor(value / 2 ** 32));
    this.#view.setUint32(at + 4, value >>> 0);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.#bytes.set(value, this.#advance(value.length));
    return this;
  }

  zeros(length: number): this {
    this.#advance(length);
    return this;
  }

  /** The message so far, as a view. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#offset);
  }

  #advance(length: number): number {
    const at = this.#offset;
    if (at + length > this.#bytes.length) throw new RangeError(`message longer than ${this.#bytes.length} bytes`);
    this.#offset = at + length;
    return at;
  }
}

/** Equality that takes the same time wherever the first difference is. Lengths are not secret. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number);
  return difference === 0;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** What {@link toHex} made. */
export function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}
