/**
 * Outbox: what a session wants to say beside its stream, and what goes out next. A mark is set by whoever needs it and
 * taken when its record is written.
 */
import type { ReceiveSide } from './receive-side.ts';
import type { SendSide } from './send-side.ts';
import { RECORD_TYPE, type RecordType } from './wire/record.ts';

export class Outbox {
  ackDue = false;
  pingDue = false;
  pongDue = false;
  resetDue = false;
  /** Encoded whereabouts for the peer: only the latest matter. */
  announcement: Uint8Array | undefined;

  /** A new subflow: its hello says what an ACK would, and old questions are of no interest. */
  restart(): void {
    this.ackDue = false;
    this.pingDue = false;
    this.pongDue = false;
  }

  /** The most urgent record; its mark is taken. */
  next(send: SendSide, receive: ReceiveSide): RecordType | undefined {
    if (this.takeReset()) return RECORD_TYPE.reset;
    if (this.pongDue) {
      this.pongDue = false;
      return RECORD_TYPE.pong;
    }
    if (this.pingDue) {
      this.pingDue = false;
      return RECORD_TYPE.ping;
    }
    if (this.announcement !== undefined) return RECORD_TYPE.addresses;
    if (send.sendable > 0) return RECORD_TYPE.data;
    if (send.endDue) {
      send.takeEnd();
      return RECORD_TYPE.fin;
    }
    return this.ackDue || receive.windowUpdateDue ? RECORD_TYPE.ack : undefined;
  }

  takeReset(): boolean {
    const due = this.resetDue;
    this.resetDue = false;
    return due;
  }

  takeAnnouncement(): readonly Uint8Array[] {
    const { announcement } = this;
    this.announcement = undefined;
    return announcement === undefined ? [] : [announcement];
  }
}
