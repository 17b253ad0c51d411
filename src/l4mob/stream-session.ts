/**
 * Stream session: a reliable byte stream between two processes that outlives the addresses it began with. Its bytes
 * ride in MACed records on kernel TCP subflows, one at a time; a move is a new subflow with a higher state sequence
 * number, on which everything unacknowledged is sent again and duplicates are cut by offset.
 *
 *     opening --OPEN_OK--> open <--subflow lost / RESUME_OK--> suspended
 *         |                  |                                    |
 *         +------------------+--- both ends acknowledged, reset, refused, crash, time-out ---> ended
 *
 * Only the initiator dials. The responder answers resumes, also for a while after the end (its tombstone), so that a
 * last record lost on the way hangs nobody; and since nobody could answer in the initiator's place, that one ends only
 * when the responder has closed the last subflow. Congestion control and segmentation are the kernel's.
 * Sans-IO: see docs/architecture.md for the pattern, docs/protocol.md, "Stream sessions", for the rules.
 */
import { Deadlines } from '../core/deadlines.ts';
import { ProtocolError, WireError } from '../core/errors.ts';
import { earliest, type Instant } from '../core/time.ts';
import { ByteStream } from './byte-stream.ts';
import { LINGER_MS, type StreamLimits } from './limits.ts';
import { PathKeeper } from './path-keeper.ts';
import type { PortPair } from './port-pairs.ts';
import type {
  DialFailure,
  SessionErrorCode,
  SessionEvent,
  SessionRole,
  SubflowEnd,
  Transmit,
} from './session-event.ts';
import type { SessionIdentity, VerifiedHello } from './session-identity.ts';
import { ACK_DELAY_MS } from './session-timing.ts';
import type { Subflow } from './subflow.ts';
import type { Suite } from './suite.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from './wire/record.ts';
import { decodeWhereabouts } from './wire/update.ts';

export type * from './session-event.ts';
export type * from './session-identity.ts';

export interface StreamSessionInit {
  readonly role: SessionRole;
  readonly identity: SessionIdentity;
  readonly limits: StreamLimits;
  readonly now: Instant;
}

export class StreamSession {
  readonly role: SessionRole;
  readonly #stream: ByteStream;
  readonly #path: PathKeeper;
  readonly #deadlines: Deadlines<'ack' | 'linger'> = new Deadlines(['ack', 'linger']);
  readonly #events: SessionEvent[] = [];
  readonly #onRecord = (header: RecordHeader, payload: Buffer): void => this.#handleRecord(header, payload);
  /** The owner wants no more bytes. */
  #ownerGone = false;
  /** The peer had finished, and its process is gone: only a later write is an error. */
  #peerGone = false;
  /** Initiator: all is said, the responder's closing of the subflow is awaited. */
  #parting = false;
  /** A RESET was sent, or is what a peer gets to hear that comes back. */
  #wasReset = false;
  #ended = false;
  #endTold = false;
  #outcome: SessionErrorCode | undefined;
  #inputNow: Instant = 0;
  #inputSubflow: Subflow | undefined;
  #badRecords = 0;

  constructor({ role, identity, limits, now }: StreamSessionInit) {
    this.role = role;
    this.#stream = new ByteStream(now, limits);
    this.#path = new PathKeeper({
      role,
      identity,
      sessionTimeoutMs: limits.sessionTimeoutMs,
      now,
      stream: this.#stream,
      emit: (event) => this.#events.push(event),
      onPeerGone: () => this.handlePeerGone(),
      onTimedOut: () => this.#finish('ETIMEDOUT'),
    });
  }

  // ---- looks -------------------------------------------------------------------------------------------------------

  get portPair(): PortPair {
    return this.#path.identity.portPair;
  }
  get suite(): Suite {
    return this.#path.identity.suite;
  }
  get state(): 'opening' | 'open' | 'suspended' | 'closing' | 'ended' {
    if (this.#ended) return 'ended';
    if (!this.#path.opened) return 'opening';
    if (this.#parting) return 'closing';
    if (this.#path.suspended || this.#peerGone) return 'suspended';
    return this.#ownerGone ? 'closing' : 'open';
  }
  get moves(): number {
    return this.#path.moves;
  }
  get heardAt(): Instant {
    return this.#path.heardAt;
  }
  get bytesSent(): number {
    return this.#stream.bytesSent;
  }
  get bytesReceived(): number {
    return this.#stream.bytesReceived;
  }
  /** Received and not read yet: what the session holds for its owner. */
  get unread(): number {
    return this.#stream.receive.inboxBytes;
  }
  get badRecords(): number {
    return this.#badRecords;
  }
  get unacknowledged(): number {
    return this.#stream.send.unacknowledged;
  }
  /** Whether more may be written at once. */
  get hasRoom(): boolean {
    return this.#stream.send.hasRoom;
  }
  /** Whether something written, the end, or a reset has still to reach the peer. */
  get delivering(): boolean {
    if (this.#ended) return false;
    const { send, outbox } = this.#stream;
    if (outbox.resetDue) return true;
    if (this.#wasReset) return false; // said once, as TCP does; saying it again is a courtesy
    return send.ended ? !send.endAcknowledged : send.unacknowledged > 0;
  }
  /** Whether nothing written has still to go out, the end included. */
  get endSent(): boolean {
    const { send } = this.#stream;
    return this.#ended || send.endSent || send.endAcknowledged;
  }
  /** Whether the peer's stream has ended and everything of it was read. */
  get readEnded(): boolean {
    return this.#stream.receive.ended && this.#stream.receive.inboxBytes === 0;
  }
  get currentSubflow(): number | undefined {
    return this.#path.current?.id;
  }

  // ---- the owner's commands ------------------------------------------------------------------------------------------

  write(chunks: readonly Uint8Array[]): void {
    if (this.#ended || this.#ownerGone || this.#stream.send.ended) return;
    if (this.#peerGone) return this.#finish('ECONNRESET');
    this.#stream.write(chunks);
  }

  end(): void {
    if (this.#ended) return;
    this.#stream.send.end();
    if (this.#peerGone) this.#finish(undefined);
  }

  /** The next bytes for the owner, consumed with that. */
  read(now: Instant): Buffer | undefined {
    return this.#stream.receive.shift(now);
  }

  /** The owner is gone: deliver what was written, read nothing more. Unread bytes make it a reset, as in TCP. */
  close(now: Instant): void {
    if (this.#ownerGone) return;
    if (this.#stream.receive.inboxBytes > 0) return this.reset(now);
    this.#ownerGone = true;
    this.end();
    this.#linger(now);
  }

  reset(now: Instant): void {
    this.#ownerGone = true;
    this.#stream.receive.discard();
    if (this.#ended || this.#parting) return;
    this.#stream.send.clear();
    this.#stream.outbox.resetDue = true;
    this.#linger(now);
  }

  #linger(now: Instant): void {
    if (this.#ended || this.#parting) return;
    if (this.#peerGone || (!this.#path.everUsed && this.#stream.send.unacknowledged === 0)) {
      return this.#finish(undefined);
    }
    this.#deadlines.set('linger', now + LINGER_MS);
    this.#finishWhenDone(now);
  }

  /** Tells the peer where this process is, on the subflow: an encoded whereabouts list. */
  announce(whereabouts: Uint8Array): void {
    this.#stream.outbox.announcement = whereabouts;
  }

  // ---- subflows ------------------------------------------------------------------------------------------------------

  /** Initiator: a connection to the peer's session port stands. The hello and data behind it are ready to transmit. */
  attachDialed(now: Instant, id: number, roundTripMs: number): void {
    this.#path.attachDialed(now, id, roundTripMs);
    if (!this.#ended) this.#stream.outbox.resetDue ||= this.#wasReset;
  }

  /**
   * Responder: a hello came whose MAC was right. Returns false where its state sequence number is not above all
   * earlier ones: an old hello, or a replayed one, changes nothing.
   */
  attachAccepted(now: Instant, id: number, hello: VerifiedHello): boolean {
    if (!this.#path.attachAccepted(now, id, hello, this.#ended)) return false;
    this.#peerGone = false;
    if (this.#ended) this.#stream.outbox.resetDue = this.#wasReset;
    this.#finishWhenDone(now);
    return true;
  }

  /** The connection takes no more bytes for now, or does again. */
  setBlocked(id: number, blocked: boolean): void {
    const subflow = this.#path.find(id);
    if (subflow !== undefined) subflow.blocked = blocked;
  }

  /** The connection is gone; nothing more will come from it. */
  handleSubflowEnd(now: Instant, id: number, how: SubflowEnd): void {
    this.#path.handleSubflowEnd(now, id, how);
    if (this.#ended && this.#path.current === undefined) this.#leave(false);
  }

  handleDialFailure(now: Instant, failure: DialFailure): void {
    this.#path.handleDialFailure(now, failure);
  }

  /**
   * Addresses or routes changed, here or at the peer. The driver drops subflows whose own address is gone by
   * `handleSubflowEnd(…, 'lost')` first.
   */
  handleNetworkChange(now: Instant): void {
    this.#path.handleNetworkChange(now);
  }

  /** Initiator: go over to a new subflow although the present one works. A dial under way starts over. */
  migrate(): void {
    this.#path.migrate();
  }

  /** Initiator, after a refusal of OPEN: try again under another identity. What was written is kept. */
  reopen(now: Instant, identity: SessionIdentity): void {
    this.#path.reopen(now, identity);
  }

  // ---- records in ----------------------------------------------------------------------------------------------------

  handleBytes(now: Instant, id: number, chunk: Buffer): void {
    const subflow = this.#path.find(id);
    if (subflow === undefined || this.#ended) return;
    subflow.liveness.stirred(now);
    this.#inputNow = now;
    this.#inputSubflow = subflow;
    try {
      const refusal = subflow.push(chunk, this.#onRecord);
      if (refusal !== undefined && !this.#path.handleRefusal(now, subflow, refusal)) this.#badRecords += 1;
    } catch (error) {
      if (error instanceof WireError) {
        this.#badRecords += 1;
        this.#path.giveUpSubflow(now, subflow);
      } else if (error instanceof ProtocolError) {
        this.#stream.outbox.resetDue = true;
        this.#finish('EPROTO');
      } else throw error;
    }
  }

  /** `chunk`, which came by {@link handleBytes}, is about to be overwritten: what of it is unread yet is copied. */
  keepUnread(chunk: Buffer): void {
    this.#stream.receive.keep(chunk);
  }

  #handleRecord(header: RecordHeader, payload: Buffer): void {
    const now = this.#inputNow;
    const subflow = this.#inputSubflow;
    if (this.#ended || subflow === undefined) return;
    if (header.stateSequence !== subflow.number) {
      throw new WireError(`record state sequence: ${header.stateSequence} on subflow ${subflow.number}`);
    }
    if (!subflow.confirmed) {
      if (header.type !== this.#path.expectedAnswer) {
        throw new WireError(`record type ${header.type} before the answer to the hello`);
      }
      this.#path.confirm(now, subflow);
    }
    const progress = this.#stream.send.acknowledge(header.acknowledgement, header.window);
    this.#path.heard(now, subflow, header.type === RECORD_TYPE.data, progress);
    this.#handleType(now, header, payload);
    this.#finishWhenDone(now);
  }

  #handleType(now: Instant, header: RecordHeader, payload: Buffer): void {
    const { outbox, receive } = this.#stream;
    switch (header.type) {
      case RECORD_TYPE.data:
        this.#handleData(now, header, payload);
        break;
      case RECORD_TYPE.fin:
        receive.end(header.offset);
        outbox.ackDue = true;
        break;
      case RECORD_TYPE.reset:
        this.#finish(this.#ownerGone || this.#parting ? undefined : 'ECONNRESET');
        break;
      case RECORD_TYPE.ping:
        outbox.pongDue = true;
        break;
      case RECORD_TYPE.addresses:
        this.#events.push({ type: 'whereabouts', whereabouts: decodeWhereabouts(payload) });
        break;
      case RECORD_TYPE.openOk:
      case RECORD_TYPE.resumeOk:
      case RECORD_TYPE.ack:
      case RECORD_TYPE.pong:
        break;
      default:
        header.type satisfies never;
    }
  }

  #handleData(now: Instant, header: RecordHeader, payload: Buffer): void {
    const fresh = this.#stream.take(header, payload);
    if (this.#ownerGone && fresh > 0) return this.reset(now);
    if (this.#stream.outbox.ackDue || this.#deadlines.get('ack') !== undefined) return;
    this.#deadlines.set('ack', now + ACK_DELAY_MS);
  }

  // ---- records out ---------------------------------------------------------------------------------------------------

  pollTransmit(now: Instant): Transmit | undefined {
    const subflow = this.#path.current;
    if (subflow === undefined || subflow.blocked) return undefined;
    if (subflow.hello !== undefined) {
      const { hello } = subflow;
      subflow.hello = undefined;
      return { subflow: subflow.id, bytes: [hello] };
    }
    const type = this.#nextRecordType(subflow);
    if (type === undefined) return undefined;
    const bytes = this.#stream.encode(type, subflow);
    this.#deadlines.clear('ack');
    if (this.#ended) {
      if (!this.#stream.outbox.resetDue) this.#leave(true);
    } else if (type === RECORD_TYPE.reset) {
      this.#wasReset = true;
      this.#part(now);
    } else {
      if (type === RECORD_TYPE.data || type === RECORD_TYPE.fin) this.#path.expectAnswer(now, subflow);
      this.#finishWhenDone(now);
    }
    return { subflow: subflow.id, bytes };
  }

  #nextRecordType(subflow: Subflow): RecordType | undefined {
    const { answerDue } = subflow;
    if (answerDue !== undefined) {
      subflow.answerDue = undefined;
      return answerDue;
    }
    const { outbox, send, receive } = this.#stream;
    if (this.#ended || this.#wasReset) return outbox.takeReset() ? RECORD_TYPE.reset : undefined;
    return outbox.next(send, receive);
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  pollTimeout(): Instant | undefined {
    return this.#ended ? undefined : earliest(this.#deadlines.next(), this.#path.pollTimeout());
  }

  handleTimeout(now: Instant): void {
    for (let name = this.#deadlines.takeDue(now); name !== undefined; name = this.#deadlines.takeDue(now)) {
      if (name === 'ack') this.#stream.outbox.ackDue = true;
      else {
        this.#stream.outbox.resetDue = !this.#parting;
        this.#finish(undefined);
      }
    }
    if (!this.#ended) this.#path.handleTimeout(now);
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  /** The peer's process is known to be gone (its port refuses): no need to wait. */
  handlePeerGone(): void {
    if (this.#ended) return;
    const { send, receive } = this.#stream;
    if (this.#parting) this.#finish(undefined);
    else if (!this.#path.opened) this.#finish('ECONNREFUSED');
    else if (!receive.ended || send.unacknowledged > 0) this.#finish('ECONNRESET');
    else if (send.ended) this.#finish(undefined);
    else {
      // A peer that had finished, and that we owe nothing, may go: only a later write will notice, as with TCP.
      this.#peerGone = true;
      this.#deadlines.clearAll();
      this.#path.stop();
      this.#path.closeAll(false);
    }
  }

  /** Ends the session here and now, without telling the peer. */
  fail(error: SessionErrorCode): void {
    this.#stream.outbox.resetDue = false;
    this.#finish(error);
  }

  #finishWhenDone(now: Instant): void {
    const { resetDue, ackDue } = this.#stream.outbox;
    if (this.#ended || this.#parting || resetDue || ackDue) return;
    if (this.#stream.ended) this.#part(now);
  }

  /** All is said. */
  #part(now: Instant): void {
    if (this.role === 'responder') return this.#finish(undefined);
    this.#parting = true;
    this.#path.part(now);
    if (this.#deadlines.get('linger') === undefined) this.#deadlines.set('linger', now + LINGER_MS);
  }

  #finish(error: SessionErrorCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outcome = error;
    this.#wasReset ||= !this.#stream.ended;
    this.#deadlines.clearAll();
    this.#path.stop();
    this.#stream.send.clear();
    if (this.#ownerGone) this.#stream.receive.discard();
    const { resetDue } = this.#stream.outbox;
    const lastWord = resetDue && this.#path.current?.blocked === false;
    if (!lastWord) this.#leave(!resetDue);
  }

  #leave(graceful: boolean): void {
    this.#stream.outbox.resetDue = false;
    this.#path.closeAll(graceful);
    if (this.#endTold) return;
    this.#endTold = true;
    this.#events.push({ type: 'ended', error: this.#outcome });
  }

  pollEvent(): SessionEvent | undefined {
    return this.#events.shift();
  }
}
