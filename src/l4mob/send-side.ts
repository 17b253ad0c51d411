/**
 * The sending half of a stream session: what was written, how far the peer has it, how far it went on the present
 * subflow, and the end of the stream.
 */
import { ProtocolError } from '../core/errors.ts';
import { ReplayBuffer } from './replay-buffer.ts';

export class SendSide {
  readonly #replay = new ReplayBuffer();
  readonly #limitBytes: number;
  #sent = 0;
  #ended = false;
  #endSent = false;
  /** On any subflow: the peer may acknowledge an end that this subflow has not carried yet. */
  #endEverSent = false;
  #endAcknowledged = false;
  /** Highest offset that the peer lets us send up to. */
  #edge: number;
  /** Below this offset bytes went out on more than one subflow, see {@link ReplayBuffer.release}. */
  #sentTwiceBelow = 0;

  constructor(limitBytes: number, initialCredit: number) {
    this.#limitBytes = limitBytes;
    this.#edge = initialCredit;
  }

  get acknowledged(): number {
    return this.#replay.start;
  }

  /** Offset of the next byte to go out on the present subflow. */
  get sent(): number {
    return this.#sent;
  }

  get unacknowledged(): number {
    return this.#replay.length;
  }

  /** Whether the peer has still something to acknowledge. */
  get outstanding(): boolean {
    return this.#sent > this.#replay.start || (this.#endSent && !this.#endAcknowledged);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether everything, the end included, went out on the present subflow. */
  get endSent(): boolean {
    return this.#endSent;
  }

  get endAcknowledged(): boolean {
    return this.#endAcknowledged;
  }

  get hasRoom(): boolean {
    return this.#replay.length < this.#limitBytes;
  }

  get endDue(): boolean {
    return this.#ended && !this.#endSent && !this.#endAcknowledged && this.#sent === this.#replay.end;
  }

  /** How many bytes may go out now. */
  get sendable(): number {
    return Math.min(this.#replay.end, this.#edge) - this.#sent;
  }

  append(chunk: Uint8Array): void {
    this.#replay.append(chunk);
  }

  end(): void {
    this.#ended = true;
  }

  /** The next bytes for the subflow, and counts them as sent. */
  take(limit: number): Uint8Array[] {
    const length = Math.min(limit, this.sendable);
    const parts = this.#replay.peek(this.#sent, length);
    this.#sent += length;
    return parts;
  }

  takeEnd(): void {
    this.#endSent = true;
    this.#endEverSent = true;
  }

  /** From a verified header. Returns whether it moved anything. */
  acknowledge(acknowledgement: number, window: number): boolean {
    const end = this.#replay.end;
    const atEnd = this.#endEverSent && acknowledgement === end + 1;
    if (acknowledgement > end && !atEnd)
      throw new ProtocolError(`acknowledgement of ${acknowledgement}, ${end} written`);
    const bytes = atEnd ? end : acknowledgement;
    this.#edge = Math.max(this.#edge, bytes + window);
    if (atEnd && !this.#endAcknowledged) this.#endAcknowledged = true;
    else if (bytes <= this.#replay.start) return false;
    this.#replay.release(bytes, bytes > this.#sentTwiceBelow);
    if (this.#sent < bytes) this.#sent = bytes;
    return true;
  }

  /** A new subflow: everything unacknowledged goes out again. */
  rewind(): void {
    this.#sentTwiceBelow = Math.max(this.#sentTwiceBelow, this.#sent);
    this.#sent = this.#replay.start;
    this.#endSent = false;
  }

  clear(): void {
    this.#replay.clear();
    this.#sent = this.#replay.end;
  }
}
