/**
 * Replay buffer: the bytes written and not yet acknowledged, addressed by their offset in the stream. Bytes are copied
 * in, since the application may reuse its memory once a write is done; they go out as views.
 *
 * Segments come from a shared pool and go back when all of their bytes are acknowledged, so an idle session holds none.
 */

/** Small enough that a session with one short unacknowledged request stays cheap. */
const SMALL_SEGMENT_BYTES = 4 << 10;
/** A multiple of a record's payload. */
const SEGMENT_BYTES = 64 << 10;
/** Kept for reuse by all sessions of the process: 16 MiB. */
const POOL_SEGMENTS = 256;

interface Segment {
  readonly bytes: Uint8Array;
  /** Stream offset of its first byte. */
  readonly offset: number;
  length: number;
}

const pool: Uint8Array[] = [];
const smallPool: Uint8Array[] = [];

function putBack(bytes: Uint8Array): void {
  const home = bytes.length === SMALL_SEGMENT_BYTES ? smallPool : pool;
  if (home.length < POOL_SEGMENTS) home.push(bytes);
}

export class ReplayBuffer {
  #segments: Segment[] = [];
  #start = 0;
  #end = 0;

  /** Offset of the first byte held: everything before is acknowledged. */
  get start(): number {
    return this.#start;
  }

  /** Offset behind the last byte written. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  append(bytes: Uint8Array): void {
    let taken = 0;
    while (taken < bytes.length) {
      const segment = this.#segmentWithRoom(bytes.length - taken);
      const part = Math.min(bytes.length - taken, segment.bytes.length - segment.length);
      segment.bytes.set(
        taken === 0 && part === bytes.length ? bytes : bytes.subarray(taken, taken + part),
        segment.length,
      );
      segment.length += part;
      this.#end += part;
      taken += part;
    }
  }

  /** Views of up to `limit` bytes from `offset` on, which must lie within what is held. */
  peek(offset: number, limit: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let at = offset;
    const stop = Math.min(this.#end, offset + limit);
    for (let i = this.#indexOf(offset); at < stop; i++) {
      const segment = this.#segments[i];
      if (segment === undefined) break;
      const from = at - segment.offset;
      const to = Math.min(segment.length, stop - segment.offset);
      parts.push(segment.bytes.subarray(from, to));
      at = segment.offset + to;
    }
    return parts;
  }

  /**
   * Forgets everything before `offset`. With `reusable` false the memory is left to the garbage collector: after a
   * resume the same bytes can be acknowledged while they wait a second time for the kernel to take them, and what is
   * waiting must not be overwritten.
   */
  release(offset: number, reusable: boolean): void {
    this.#start = Math.min(offset, this.#end);
    let drop = 0;
    for (const segment of this.#segments) {
      const full = segment.length === segment.bytes.length || this.#start === this.#end;
      if (!full || segment.offset + segment.length > this.#start) break;
      if (reusable) putBack(segment.bytes);
      drop++;
    }
    if (drop === this.#segments.length) this.#segments = [];
    else if (drop > 0) this.#segments.splice(0, drop);
  }

  clear(): void {
    this.#segments = [];
    this.#start = this.#end;
  }

  #segmentWithRoom(wanted: number): Segment {
    const last = this.#segments.at(-1);
    if (last !== undefined && last.length < last.bytes.length) return last;
    const small = this.#segments.length === 0 && wanted <= SMALL_SEGMENT_BYTES;
    const length = small ? SMALL_SEGMENT_BYTES : SEGMENT_BYTES;
    const bytes = (small ? smallPool : pool).pop() ?? Buffer.allocUnsafeSlow(length);
    const segment = { bytes, offset: this.#end, length: 0 };
    this.#segments.push(segment);
    return segment;
  }

  #indexOf(offset: number): number {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#segments[middle] as Segment).offset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
