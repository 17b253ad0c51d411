/**
 * Byte stream: both halves of a session's stream and what is to be said beside them, from records and into records. It
 * knows nothing of how subflows come and go.
 */
import { ProtocolError } from '../core/errors.ts';
import type { Instant } from '../core/time.ts';
import { MAX_RECORD_PAYLOAD, type StreamLimits } from './limits.ts';
import { Outbox } from './outbox.ts';
import { ReceiveSide } from './receive-side.ts';
import { SendSide } from './send-side.ts';
import type { Subflow } from './subflow.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from './wire/record.ts';

/** What a session may send before it has heard the peer's window: the least that any session's window is. */
const INITIAL_CREDIT_BYTES = 256 << 10;

const NO_PAYLOAD: readonly Uint8Array[] = [];

export class ByteStream {
  readonly send: SendSide;
  readonly receive: ReceiveSide;
  readonly outbox: Outbox = new Outbox();
  #bytesSent = 0;
  #bytesReceived = 0;

  constructor(now: Instant, { replayLimitBytes, initialWindowBytes, maxWindowBytes }: StreamLimits) {
    const window = Math.max(INITIAL_CREDIT_BYTES, Math.min(initialWindowBytes, maxWindowBytes));
    this.send = new SendSide(replayLimitBytes, INITIAL_CREDIT_BYTES);
    this.receive = new ReceiveSide(now, window, maxWindowBytes);
  }

  get bytesSent(): number {
    return this.#bytesSent;
  }

  get bytesReceived(): number {
    return this.#bytesReceived;
  }

  /** Whether both streams have ended and both sides know it. */
  get ended(): boolean {
    return this.send.endAcknowledged && this.receive.ended;
  }

  write(chunks: readonly Uint8Array[]): void {
    for (const chunk of chunks) {
      this.send.append(chunk);
      this.#bytesSent += chunk.length;
    }
  }

  /** A new subflow: its hello says what an ACK would, and everything unacknowledged goes out again. */
  restart(): void {
    this.send.rewind();
    this.outbox.restart();
  }

  /** Takes a DATA record. Returns how many of its bytes were new; an acknowledgement that can't wait is marked. */
  take({ offset }: RecordHeader, payload: Buffer): number {
    if (offset > this.receive.next) throw new ProtocolError(`data at ${offset}, ${this.receive.next} received`);
    const fresh = this.receive.take(offset, payload);
    this.#bytesReceived += fresh;
    if (fresh === 0 || this.receive.acknowledgementDue) this.outbox.ackDue = true;
    return fresh;
  }

  /** The bytes of a record of this type; what it carries counts as said. */
  encode(type: RecordType, subflow: Subflow): Uint8Array[] {
    const offset = this.send.sent;
    let payload = NO_PAYLOAD;
    if (type === RECORD_TYPE.data) payload = this.send.take(MAX_RECORD_PAYLOAD);
    else if (type === RECORD_TYPE.addresses) payload = this.outbox.takeAnnouncement();
    let payloadBytes = 0;
    for (const part of payload) payloadBytes += part.length;
    const { acknowledgement, window } = this.receive;
    this.receive.told();
    this.outbox.ackDue = false;
    const header = { type, payloadBytes, stateSequence: subflow.number, offset, acknowledgement, window };
    return subflow.writer.write(header, payload);
  }
}
