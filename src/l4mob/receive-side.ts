/**
 * The receiving half of a stream session: bytes in order from whatever subflow brings them, duplicates cut by offset,
 * an inbox until the application takes them, and the window that bounds the inbox.
 */
import { ProtocolError } from '../core/errors.ts';
import type { Instant } from '../core/time.ts';

/** The window grows while the application takes a whole one in less than this. */
const GROW_WITHIN_MS = 1000;
/** An inbox of this many pieces is not being read: from here on small pieces are copied together. */
const GATHER_FROM_PIECES = 64;
/** Smaller pieces are copied, since a view costs more than they do and holds the whole chunk that it came in. */
const SMALL_PIECE_BYTES = 1024;
const GATHER_BYTES = 16 << 10;
/** Pieces are handed over together up to this size, which is what node asks a kernel for. */
const READ_BYTES = 64 << 10;

export class ReceiveSide {
  #next = 0;
  #ended = false;
  #inbox: Buffer[] = [];
  #inboxBytes = 0;
  /** So many pieces from the front on are the session's own; those behind them stand in memory that is lent. */
  #owned = 0;
  /** The inbox's last piece where that still grows, and how far it is filled. */
  #gather: Buffer | undefined;
  #gathered = 0;
  #window: number;
  readonly #maxWindow: number;
  #takenSinceGrowth = 0;
  #grewAt: Instant;
  /** The edge (acknowledgement + window) that the peer was last told. */
  #toldEdge: number;
  #toldAcknowledgement = 0;

  constructor(now: Instant, initialWindow: number, maxWindow: number) {
    this.#window = initialWindow;
    this.#maxWindow = maxWindow;
    this.#toldEdge = initialWindow;
    this.#grewAt = now;
  }

  /** Offset of the next byte wanted. */
  get next(): number {
    return this.#next;
  }

  /** As it stands in headers: the stream's end counts as one more. */
  get acknowledgement(): number {
    return this.#next + (this.#ended ? 1 : 0);
  }

  /** Bytes that the peer may send beyond the acknowledgement. Never taken back. */
  get window(): number {
    return Math.max(this.#toldEdge, this.#next - this.#inboxBytes + this.#window) - this.#next;
  }

  get ended(): boolean {
    return this.#ended;
  }

  get inboxBytes(): number {
    return this.#inboxBytes;
  }

  /** Bytes received that the peer doesn't know of yet. */
  get unacknowledged(): number {
    return this.acknowledgement - this.#toldAcknowledgement;
  }

  /** Whether so much has come that an acknowledgement is worth a record of its own: a quarter of the window. */
  get acknowledgementDue(): boolean {
    return this.unacknowledged >= this.#window >> 2;
  }

  /** Whether the window has opened so far that the peer should hear of it. */
  get windowUpdateDue(): boolean {
    return !this.#ended && this.#next + this.window - this.#toldEdge >= this.#window >> 1;
  }

  /** A header with acknowledgement and window goes out. */
  told(): void {
    this.#toldEdge = this.#next + this.window;
    this.#toldAcknowledgement = this.acknowledgement;
  }

  /** Takes one record's payload, whose first byte has `offset`. Returns how many bytes were new. */
  take(offset: number, payload: Buffer): number {
    const end = offset + payload.length;
    const fresh = end - this.#next;
    if (fresh <= 0) return 0;
    if (this.#ended) throw new ProtocolError('data behind the end of the stream');
    if (end > this.#toldEdge) throw new ProtocolError('data beyond the window');
    this.#store(fresh < payload.length ? payload.subarray(payload.length - fresh) : payload);
    this.#next += fresh;
    this.#inboxBytes += fresh;
    return fresh;
  }

  /** The peer's stream ends at `offset`. Returns false where that was known. */
  end(offset: number): boolean {
    if (offset !== this.#next) throw new ProtocolError(`end of stream at ${offset}, ${this.#next} received`);
    if (this.#ended) return false;
    this.#ended = true;
    return true;
  }

  /** The next bytes for the application, which count as consumed with that: as much as one read from a kernel gives. */
  shift(now: Instant): Buffer | undefined {
    const bytes = this.#shiftPieces();
    if (bytes === undefined) return undefined;
    if (this.#inbox.length === 0) this.#gather = undefined;
    this.#inboxBytes -= bytes.length;
    this.#takenSinceGrowth += bytes.length;
    if (this.#takenSinceGrowth >= this.#window) this.#grow(now);
    return bytes;
  }

  #shiftPieces(): Buffer | undefined {
    const [first, second] = this.#inbox;
    if (first === undefined) return undefined;
    let count = 1;
    let length = first.length;
    if (second !== undefined) {
      for (let next: Buffer | undefined = second; next !== undefined; next = this.#inbox[count]) {
        if (length + next.length > READ_BYTES) break;
        length += next.length;
        count += 1;
      }
    }
    this.#owned = Math.max(0, this.#owned - count);
    return count === 1 ? this.#inbox.shift() : Buffer.concat(this.#inbox.splice(0, count), length);
  }

  /** The memory in which the last pieces came, that of `lent`, is about to be used again. */
  keep(lent: Buffer): void {
    for (; this.#owned < this.#inbox.length; this.#owned++) {
      const piece = this.#inbox[this.#owned] as Buffer;
      if (piece.buffer === lent.buffer) this.#inbox[this.#owned] = Buffer.from(piece);
    }
  }

  /** So that a peer that sends single bytes to a reader that sleeps can't make the inbox cost more than its window. */
  #store(piece: Buffer): void {
    if (this.#inbox.length < GATHER_FROM_PIECES || piece.length > SMALL_PIECE_BYTES) {
      this.#inbox.push(piece);
      this.#gather = undefined;
      return;
    }
    if (this.#gather === undefined || this.#gather.length - this.#gathered < piece.length) {
      this.#gather = Buffer.allocUnsafeSlow(GATHER_BYTES);
      this.#gathered = 0;
      this.#inbox.push(this.#gather);
    }
    piece.copy(this.#gather, this.#gathered);
    this.#gathered += piece.length;
    this.#inbox[this.#inbox.length - 1] = this.#gather.subarray(0, this.#gathered);
  }

  discard(): void {
    this.#inbox = [];
    this.#owned = 0;
    this.#inboxBytes = 0;
    this.#gather = undefined;
  }

  #grow(now: Instant): void {
    if (now - this.#grewAt < GROW_WITHIN_MS) this.#window = Math.min(this.#maxWindow, this.#window * 2);
    this.#takenSinceGrowth = 0;
    this.#grewAt = now;
  }
}
