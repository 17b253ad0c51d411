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
import { equalConstantTime } from '../core/bytes.ts';
import { Deadlines } from '../core/deadlines.ts';
import { ProtocolError, WireError } from '../core/errors.ts';
import { earliest, type Instant } from '../core/time.ts';
import { Dialing } from './dialing.ts';
import { messageMac } from './key-schedule.ts';
import { LINGER_MS, MAX_RECORD_PAYLOAD, type StreamLimits } from './limits.ts';
import { KEEPALIVE_MS } from './liveness.ts';
import { Outbox } from './outbox.ts';
import type { PortPair } from './port-pairs.ts';
import { ReceiveSide } from './receive-side.ts';
import { SendSide } from './send-side.ts';
import type {
  DialFailure,
  SessionErrorCode,
  SessionEvent,
  SessionRole,
  SubflowEnd,
  Transmit,
} from './session-event.ts';
import type { SessionIdentity, VerifiedHello } from './session-identity.ts';
import { Subflow } from './subflow.ts';
import { type Suite, TAG_BYTES } from './suite.ts';
import { type Authenticated, encodeResume, type Refuse } from './wire/hello.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from './wire/record.ts';
import { decodeWhereabouts } from './wire/update.ts';

export type * from './session-event.ts';
export type * from './session-identity.ts';

/** What a session may send before it has heard the peer's window: the least that any session's window is. */
const INITIAL_CREDIT_BYTES = 256 << 10;
/** A lone acknowledgement waits this long for something to ride on. */
const ACK_DELAY_MS = 20;
/** Unacknowledged bytes that are worth a record of their own. */
const ACK_EVERY_BYTES = 256 << 10;
/** An unanswered hello: well above any handshake's delay in a peer under load. */
const CONFIRM_MS = 3_000;
/** The same where addresses or routes have changed meanwhile, so that it may have been sent the wrong way. */
const CONFIRM_AFTER_NEWS_MS = 500;
/** But never sooner than a slow path needs: its packets may have to be sent twice. */
const CONFIRM_ROUND_TRIPS = 4;
/** The peer's kernel closed the subflow and no resume came: the process is gone. Within the 3 s of a crash notice. */
const CLOSED_MEANS_GONE_MS = 2_500;
/** A reset may come from a NAT that forgot, so the peer may be in an outage just now. */
const RESET_MEANS_GONE_MS = 30_000;
/** Responder: the peer acknowledges nothing for this long, so perhaps its path is dead and it doesn't know. */
const PEER_SILENT_MS = 1_000;
/** Responder: an initiator that has a path is heard this often at least, lost packets allowed for. */
const HEARD_EVERY_MS: number = KEEPALIVE_MS + 10_000;

export interface StreamSessionInit {
  readonly role: SessionRole;
  readonly identity: SessionIdentity;
  readonly limits: StreamLimits;
  readonly now: Instant;
}

type DeadlineName = 'ack' | 'confirm' | 'give-up' | 'gone' | 'linger' | 'silent';
const DEADLINE_NAMES: readonly DeadlineName[] = ['ack', 'confirm', 'give-up', 'gone', 'linger', 'silent'];

export class StreamSession {
  readonly role: SessionRole;
  readonly #limits: StreamLimits;
  #identity: SessionIdentity;
  readonly #send: SendSide;
  readonly #receive: ReceiveSide;
  readonly #outbox: Outbox = new Outbox();
  readonly #dialing: Dialing = new Dialing();
  readonly #deadlines: Deadlines<DeadlineName> = new Deadlines(DEADLINE_NAMES);
  readonly #events: SessionEvent[] = [];
  readonly #onRecord = (header: RecordHeader, payload: readonly Buffer[]): void => this.#handleRecord(header, payload);
  #current: Subflow | undefined;
  /** The confirmed subflow before `#current`, still listened to until that is confirmed. */
  #previous: Subflow | undefined;
  #stateSequence = 0;
  #opened: boolean;
  #suspendedAt: Instant | undefined;
  #heardAt: Instant;
  #moves = 0;
  #silentMs = PEER_SILENT_MS;
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
  #bytesReceived = 0;
  #bytesSent = 0;
  #badRecords = 0;

  constructor({ role, identity, limits, now }: StreamSessionInit) {
    this.role = role;
    this.#identity = identity;
    this.#limits = limits;
    this.#opened = role === 'responder';
    this.#heardAt = now;
    this.#send = new SendSide(limits.replayLimitBytes, INITIAL_CREDIT_BYTES);
    const { initialWindowBytes, maxWindowBytes } = limits;
    const window = Math.max(INITIAL_CREDIT_BYTES, Math.min(initialWindowBytes, maxWindowBytes));
    this.#receive = new ReceiveSide(now, window, maxWindowBytes);
    this.#deadlines.set('give-up', now + limits.sessionTimeoutMs);
  }

  // ---- looks -------------------------------------------------------------------------------------------------------

  get portPair(): PortPair {
    return this.#identity.portPair;
  }
  get suite(): Suite {
    return this.#identity.suite;
  }
  get state(): 'opening' | 'open' | 'suspended' | 'closing' | 'ended' {
    if (this.#ended) return 'ended';
    if (!this.#opened) return 'opening';
    if (this.#parting) return 'closing';
    if (this.#suspendedAt !== undefined) return 'suspended';
    return this.#ownerGone ? 'closing' : 'open';
  }
  get moves(): number {
    return this.#moves;
  }
  get bytesSent(): number {
    return this.#bytesSent;
  }
  get bytesReceived(): number {
    return this.#bytesReceived;
  }
  /** Received and not read yet: what the session holds for its owner. */
  get unread(): number {
    return this.#receive.inboxBytes;
  }
  get badRecords(): number {
    return this.#badRecords;
  }
  get unacknowledged(): number {
    return this.#send.unacknowledged;
  }
  /** Whether more may be written at once. */
  get hasRoom(): boolean {
    return this.#send.hasRoom;
  }
  /** Whether something written, the end, or a reset has still to reach the peer. */
  get delivering(): boolean {
    if (this.#ended) return false;
    if (this.#outbox.resetDue || this.#wasReset) return true;
    return this.#send.ended ? !this.#send.endAcknowledged : this.#send.unacknowledged > 0;
  }
  /** Whether the peer's stream has ended and everything of it was read. */
  get readEnded(): boolean {
    return this.#receive.ended && this.#receive.inboxBytes === 0;
  }
  get currentSubflow(): number | undefined {
    return this.#current?.id;
  }

  // ---- the owner's commands ------------------------------------------------------------------------------------------

  write(chunks: readonly Uint8Array[]): void {
    if (this.#ended || this.#ownerGone || this.#send.ended) return;
    if (this.#peerGone) return this.#finish('ECONNRESET');
    for (const chunk of chunks) {
      this.#send.append(chunk);
      this.#bytesSent += chunk.length;
    }
  }

  end(): void {
    if (this.#ended) return;
    this.#send.end();
    if (this.#peerGone) this.#finish(undefined);
  }

  /** The next bytes for the owner, consumed with that. */
  read(now: Instant): Buffer | undefined {
    return this.#receive.shift(now);
  }

  /** The owner is gone: deliver what was written, read nothing more. Unread bytes make it a reset, as in TCP. */
  close(now: Instant): void {
    if (this.#ownerGone) return;
    if (this.#receive.inboxBytes > 0) return this.reset(now);
    this.#ownerGone = true;
    this.end();
    this.#linger(now);
  }

  reset(now: Instant): void {
    this.#ownerGone = true;
    this.#receive.discard();
    if (this.#ended || this.#parting) return;
    this.#send.clear();
    this.#outbox.resetDue = true;
    this.#linger(now);
  }

  #linger(now: Instant): void {
    if (this.#ended || this.#parting) return;
    const neverSeen = this.#stateSequence === 0 && this.#send.unacknowledged === 0;
    if (neverSeen) return this.#finish(undefined);
    this.#deadlines.set('linger', now + LINGER_MS);
    this.#finishWhenDone(now);
  }

  // ---- subflows ------------------------------------------------------------------------------------------------------

  /** Initiator: a connection to the peer's session port stands. The hello and data behind it are ready to transmit. */
  attachDialed(now: Instant, id: number, roundTripMs: number): void {
    this.#dialing.attached();
    if (this.#ended || this.#peerGone) {
      this.#events.push({ type: 'close-subflow', subflow: id, graceful: false });
      return;
    }
    this.#stateSequence += 1;
    const subflow = this.#newSubflow(now, id, roundTripMs);
    subflow.hello = this.#encodeHello();
    subflow.helloMac = subflow.hello.subarray(-TAG_BYTES);
    this.#receive.told();
    this.#deadlines.set('confirm', now + Math.max(CONFIRM_MS, CONFIRM_ROUND_TRIPS * roundTripMs));
    this.#outbox.resetDue ||= this.#wasReset;
    this.#use(subflow);
  }

  #encodeHello(): Uint8Array {
    const { associationId, portPair, keys, encodeOpen } = this.#identity;
    const { window, acknowledgement } = this.#receive;
    if (!this.#opened && encodeOpen !== undefined) return encodeOpen(this.#stateSequence, window);
    return encodeResume(
      { associationId, portPair, stateSequence: this.#stateSequence, receiveOffset: acknowledgement, window },
      (covered) => messageMac(keys.resume, covered),
    );
  }

  /**
   * Responder: a hello came whose MAC was right. Returns false where its state sequence number is not above all
   * earlier ones: an old hello, or a replayed one, changes nothing.
   */
  attachAccepted(now: Instant, id: number, hello: VerifiedHello): boolean {
    if (hello.stateSequence <= this.#stateSequence) return false;
    try {
      this.#send.acknowledge(hello.receiveOffset, hello.window);
    } catch {
      return false;
    }
    const moved = this.#stateSequence > 0;
    this.#stateSequence = hello.stateSequence;
    const subflow = this.#newSubflow(now, id, 0);
    subflow.confirmed = true;
    subflow.answerDue = hello.kind === 'open' ? RECORD_TYPE.openOk : RECORD_TYPE.resumeOk;
    this.#peerGone = false;
    this.#use(subflow);
    if (this.#ended) this.#outbox.resetDue = this.#wasReset;
    else this.#confirmed(now, moved);
    this.#finishWhenDone(now);
    return true;
  }

  #newSubflow(now: Instant, id: number, roundTripMs: number): Subflow {
    const { suite, keys, portPair } = this.#identity;
    const initiator = this.role === 'initiator';
    return new Subflow({
      id,
      number: this.#stateSequence,
      portPair,
      sealer: suite.sealer(initiator ? keys.recordFromInitiator : keys.recordFromResponder),
      opener: suite.opener(initiator ? keys.recordFromResponder : keys.recordFromInitiator),
      now,
      roundTripMs,
      replaced: this.#current,
    });
  }

  #use(subflow: Subflow): void {
    const old = this.#current;
    if (old !== undefined) {
      const keep = this.role === 'initiator' && old.confirmed && this.#previous === undefined;
      if (keep) this.#previous = old;
      else this.#closeSubflow(old, false);
    }
    this.#current = subflow;
    this.#send.rewind();
    this.#outbox.restart();
  }

  #confirmed(now: Instant, moved: boolean): void {
    this.#dropPrevious();
    this.#dialing.settle();
    this.#deadlines.clear('confirm');
    this.#deadlines.clear('gone');
    if (this.role === 'responder') this.#deadlines.set('give-up', now + this.#limits.sessionTimeoutMs);
    else this.#deadlines.clear('give-up');
    if (!this.#opened) {
      this.#opened = true;
      this.#suspendedAt = undefined;
      this.#events.push({ type: 'opened' });
    } else if (moved) {
      this.#moves += 1;
      this.#resumed(now, false);
    }
  }

  #resumed(now: Instant, samePath: boolean): void {
    const suspendedAt = this.#suspendedAt;
    this.#suspendedAt = undefined;
    if (this.#parting) return;
    const gapMs = suspendedAt === undefined ? 0 : now - suspendedAt;
    this.#events.push({ type: 'moved', gapMs, wasSuspended: suspendedAt !== undefined, samePath });
  }

  /** The connection takes no more bytes for now, or does again. */
  setBlocked(id: number, blocked: boolean): void {
    const subflow = this.#subflow(id);
    if (subflow !== undefined) subflow.blocked = blocked;
  }

  handleBytes(now: Instant, id: number, chunk: Buffer): void {
    const subflow = this.#subflow(id);
    if (subflow === undefined || this.#ended) return;
    subflow.liveness.stirred(now);
    this.#inputNow = now;
    this.#inputSubflow = subflow;
    try {
      const refusal = subflow.push(chunk, this.#onRecord);
      if (refusal !== undefined) this.#handleRefusal(now, subflow, refusal);
    } catch (error) {
      if (error instanceof WireError) {
        this.#badRecords += 1;
        this.#closeSubflow(subflow, false);
        this.handleSubflowEnd(now, id, 'lost');
      } else if (error instanceof ProtocolError) {
        this.#outbox.resetDue = true;
        this.#finish('EPROTO');
      } else throw error;
    }
  }

  /** The connection is gone; nothing more will come from it. */
  handleSubflowEnd(now: Instant, id: number, how: SubflowEnd): void {
    if (this.#previous?.id === id) this.#previous = undefined;
    const lost = this.#current;
    if (lost?.id !== id) return;
    this.#current = undefined;
    if (this.#ended) return this.#leave(false);
    if (this.#parting && how === 'closed') return this.#finish(undefined);
    for (const name of ['confirm', 'ack', 'silent'] as const) this.#deadlines.clear(name);
    if (this.#previous !== undefined) this.#fallBack(this.#previous);
    else this.#suspend(now);
    if (this.role === 'initiator') {
      if (lost.confirmed) this.#dialing.restartLadder();
      this.#requestDial(now);
    } else if (how !== 'lost') {
      this.#deadlines.set('gone', now + (how === 'closed' ? CLOSED_MEANS_GONE_MS : RESET_MEANS_GONE_MS));
      this.#events.push({ type: 'peer-silent' });
    }
  }

  /** The new subflow came to nothing, and the one before it still stands. */
  #fallBack(previous: Subflow): void {
    this.#previous = undefined;
    this.#current = previous;
    this.#send.rewind();
  }

  #suspend(now: Instant): void {
    if (this.#suspendedAt !== undefined || this.#peerGone) return;
    this.#suspendedAt = now;
    if (this.#parting) return;
    if (this.role === 'responder' || this.#deadlines.get('give-up') === undefined) {
      this.#deadlines.set('give-up', now + this.#limits.sessionTimeoutMs);
    }
    if (this.#opened) this.#events.push({ type: 'suspended' });
  }

  #subflow(id: number): Subflow | undefined {
    if (this.#current?.id === id) return this.#current;
    return this.#previous?.id === id ? this.#previous : undefined;
  }

  #dropPrevious(): void {
    if (this.#previous !== undefined) this.#closeSubflow(this.#previous, false);
    this.#previous = undefined;
  }

  #closeSubflow(subflow: Subflow, graceful: boolean): void {
    this.#events.push({ type: 'close-subflow', subflow: subflow.id, graceful });
  }

  // ---- dialing -------------------------------------------------------------------------------------------------------

  /** A confirmed subflow that is not known to be dead. */
  #pathWorks(now: Instant): boolean {
    return this.#current?.confirmed === true && this.#current.liveness.verdict(now) !== 'dead';
  }

  #requestDial(now: Instant): void {
    if (this.#ended || this.#peerGone) return;
    if (this.#dialing.request(now)) this.#events.push({ type: 'dial' });
  }

  #startDial(): void {
    this.#dialing.start();
    this.#events.push({ type: 'dial' });
  }

  handleDialFailure(now: Instant, failure: DialFailure): void {
    if (this.#ended) return;
    if (this.#parting && failure === 'refused') return this.#finish(undefined);
    if (this.#pathWorks(now)) return this.#dialing.settle();
    if (failure === 'refused') this.#dialing.refused(now);
    else this.#dialing.unreachable();
    this.#suspend(now); // the old path is dead, if there is one, and no other is to be had
    this.#requestDial(now);
  }

  /**
   * Addresses or routes changed, here or at the peer. The driver drops subflows whose own address is gone by
   * `handleSubflowEnd(…, 'lost')` first.
   */
  handleNetworkChange(now: Instant): void {
    if (this.#ended || this.#peerGone || this.role === 'responder') return;
    this.#dialing.restartLadder();
    if (this.#current === undefined) this.#startDial();
    else if (this.#current.confirmed) this.#ask(now, this.#current);
    else this.#confirmSoon(now, this.#current);
  }

  #confirmSoon(now: Instant, { roundTripMs }: Subflow): void {
    const soon = now + Math.max(CONFIRM_AFTER_NEWS_MS, CONFIRM_ROUND_TRIPS * roundTripMs);
    this.#deadlines.set('confirm', Math.min(soon, this.#deadlines.get('confirm') ?? soon));
  }

  /** Tells the peer where this process is, on the subflow: an encoded whereabouts list. */
  announce(whereabouts: Uint8Array): void {
    this.#outbox.announcement = whereabouts;
  }

  /** Initiator: go over to a new subflow although the present one works. */
  migrate(): void {
    if (this.role !== 'initiator' || this.#ended || this.#peerGone || this.#dialing.underWay) return;
    this.#startDial();
  }

  /** Initiator, after a refusal of OPEN: try again under another identity. What was written is kept. */
  reopen(now: Instant, identity: SessionIdentity): void {
    if (this.#ended || this.#opened) return;
    this.#identity = identity;
    this.#dialing.settle();
    this.#requestDial(now);
  }

  /** The peer's process is known to be gone (its port refuses): no need to wait. */
  handlePeerGone(): void {
    if (this.#ended) return;
    if (this.#parting) return this.#finish(undefined);
    if (!this.#opened) return this.#finish('ECONNREFUSED');
    if (!this.#receive.ended || this.#send.unacknowledged > 0) return this.#finish('ECONNRESET');
    if (this.#send.ended) return this.#finish(undefined);
    // A peer that had finished, and that we owe nothing, may go: only a later write will notice, as with TCP.
    this.#peerGone = true;
    this.#dialing.settle();
    this.#deadlines.clearAll();
    this.#dropPrevious();
    if (this.#current !== undefined) this.#closeSubflow(this.#current, false);
    this.#current = undefined;
  }

  /** Ends the session here and now, without telling the peer. */
  fail(error: SessionErrorCode): void {
    this.#outbox.resetDue = false;
    this.#finish(error);
  }

  #handleRefusal(now: Instant, subflow: Subflow, refusal: Authenticated<Refuse>): void {
    const { code } = refusal.message;
    const genuine = code === 'unknown' || this.#isGenuine(refusal, subflow);
    if (!genuine) this.#badRecords += 1;
    this.#closeSubflow(subflow, false);
    if (genuine && code === 'unknown' && this.#parting) return this.#finish(undefined);
    if (genuine && !this.#opened && code !== 'stale') {
      this.#current = undefined;
      this.#deadlines.clear('confirm');
      this.#events.push({ type: 'refused', refuse: refusal.message });
      return;
    }
    if (genuine && code !== 'unknown' && code !== 'stale' && code !== 'limit') {
      this.#current = undefined;
      return this.handlePeerGone();
    }
    // Another host may have the peer's old address by now: it says `unknown`, as a closed port says RST.
    if (genuine && code === 'unknown') this.#dialing.refused(now);
    this.handleSubflowEnd(now, subflow.id, 'lost');
  }

  #isGenuine({ covered, mac }: Authenticated<Refuse>, { helloMac }: Subflow): boolean {
    const { refuseKey } = this.#identity;
    if (refuseKey === undefined || helloMac === undefined) return false;
    return equalConstantTime(messageMac(refuseKey, covered, helloMac), mac);
  }

  // ---- records in ----------------------------------------------------------------------------------------------------

  #handleRecord(header: RecordHeader, payload: readonly Buffer[]): void {
    const now = this.#inputNow;
    const subflow = this.#inputSubflow;
    if (this.#ended || subflow === undefined) return;
    if (header.stateSequence !== subflow.number) {
      throw new WireError(`record state sequence: ${header.stateSequence} on subflow ${subflow.number}`);
    }
    if (!subflow.confirmed) {
      const expected = this.#opened ? RECORD_TYPE.resumeOk : RECORD_TYPE.openOk;
      if (header.type !== expected) throw new WireError(`record type ${header.type} before the answer to the hello`);
      subflow.confirmed = true;
      this.#confirmed(now, this.#opened);
    }
    this.#heardAt = now;
    const progress = this.#send.acknowledge(header.acknowledgement, header.window);
    subflow.liveness.heard(now, header.type === RECORD_TYPE.data, this.#send.outstanding || this.#parting);
    if (subflow === this.#current) this.#pathHeard(now);
    if (progress) this.#silentMs = PEER_SILENT_MS;
    this.#watchSilence(now);
    this.#handleType(now, header, payload);
    this.#finishWhenDone(now);
  }

  /** The path that was given up may work after all. */
  #pathHeard(now: Instant): void {
    this.#dialing.notRefused();
    if (this.role !== 'initiator') return;
    this.#deadlines.clear('give-up');
    if (this.#suspendedAt !== undefined) this.#resumed(now, true);
  }

  #handleType(now: Instant, header: RecordHeader, payload: readonly Buffer[]): void {
    switch (header.type) {
      case RECORD_TYPE.data:
        this.#handleData(now, header, payload);
        break;
      case RECORD_TYPE.fin:
        this.#receive.end(header.offset);
        this.#outbox.ackDue = true;
        break;
      case RECORD_TYPE.reset:
        this.#finish(this.#ownerGone || this.#parting ? undefined : 'ECONNRESET');
        break;
      case RECORD_TYPE.ping:
        this.#outbox.pongDue = true;
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

  #handleData(now: Instant, header: RecordHeader, payload: readonly Buffer[]): void {
    if (header.offset > this.#receive.next) {
      throw new ProtocolError(`data at ${header.offset}, ${this.#receive.next} received`);
    }
    const fresh = this.#receive.take(header.offset, payload, header.payloadBytes);
    this.#bytesReceived += fresh;
    if (this.#ownerGone && fresh > 0) return this.reset(now);
    if (this.#receive.unacknowledged >= ACK_EVERY_BYTES || fresh === 0) this.#outbox.ackDue = true;
    else if (this.#deadlines.get('ack') === undefined) this.#deadlines.set('ack', now + ACK_DELAY_MS);
  }

  // ---- records out ---------------------------------------------------------------------------------------------------

  pollTransmit(now: Instant): Transmit | undefined {
    const subflow = this.#current;
    if (subflow === undefined || subflow.blocked) return undefined;
    if (subflow.hello !== undefined) {
      const { hello } = subflow;
      subflow.hello = undefined;
      return { subflow: subflow.id, bytes: [hello] };
    }
    const type = this.#nextRecordType(subflow);
    if (type === undefined) return undefined;
    const bytes = this.#encodeRecord(subflow, type);
    if (this.#ended) {
      if (!this.#outbox.resetDue) this.#leave(true);
    } else if (type === RECORD_TYPE.reset) {
      this.#wasReset = true;
      this.#part(now);
    } else {
      if (type === RECORD_TYPE.data || type === RECORD_TYPE.fin) this.#expectAnswer(now, subflow);
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
    if (this.#ended || this.#wasReset) return this.#outbox.takeReset() ? RECORD_TYPE.reset : undefined;
    return this.#outbox.next(this.#send, this.#receive);
  }

  #encodeRecord(subflow: Subflow, type: RecordType): Uint8Array[] {
    const offset = this.#send.sent;
    const payload =
      type === RECORD_TYPE.data
        ? this.#send.take(MAX_RECORD_PAYLOAD)
        : type === RECORD_TYPE.addresses
          ? this.#outbox.takeAnnouncement()
          : [];
    const { acknowledgement, window } = this.#receive;
    const payloadBytes = payload.reduce((sum, part) => sum + part.length, 0);
    const stateSequence = subflow.number;
    this.#receive.told();
    this.#outbox.ackDue = false;
    this.#deadlines.clear('ack');
    return subflow.writer.write({ type, payloadBytes, stateSequence, offset, acknowledgement, window }, payload);
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  pollTimeout(): Instant | undefined {
    if (this.#ended) return undefined;
    const path = this.#watched?.liveness.deadline();
    return earliest(earliest(this.#deadlines.next(), this.#dialing.pollTimeout()), path);
  }

  handleTimeout(now: Instant): void {
    for (let name = this.#deadlines.takeDue(now); name !== undefined; name = this.#deadlines.takeDue(now)) {
      this.#handleDeadline(now, name);
    }
    for (let due = this.#dialing.takeDue(now); due !== undefined; due = this.#dialing.takeDue(now)) {
      if (this.#pathWorks(now)) this.#dialing.settle();
      else if (due === 'gone') this.handlePeerGone();
      else this.#startDial();
    }
    const watched = this.#watched;
    const verdict = watched?.liveness.verdict(now);
    if (watched !== undefined && verdict === 'ask') this.#ask(now, watched);
    else if (verdict === 'dead') this.#replaceDead(now);
  }

  /** The subflow that the initiator minds, unless it is about to replace it anyway. */
  get #watched(): Subflow | undefined {
    if (this.role !== 'initiator' || this.#ended || this.#dialing.pending) return undefined;
    return this.#current?.confirmed === true ? this.#current : undefined;
  }

  #handleDeadline(now: Instant, name: DeadlineName): void {
    switch (name) {
      case 'ack':
        this.#outbox.ackDue = true;
        break;
      case 'confirm': {
        const silent = this.#current;
        if (silent === undefined || silent.confirmed) break;
        this.#closeSubflow(silent, false);
        this.handleSubflowEnd(now, silent.id, 'lost');
        break;
      }
      case 'give-up':
        this.#giveUp(now);
        break;
      case 'gone':
        this.handlePeerGone();
        break;
      case 'linger':
        this.#outbox.resetDue = !this.#parting;
        this.#finish(undefined);
        break;
      case 'silent':
        this.#silentMs *= 2;
        this.#events.push({ type: 'peer-silent' });
        this.#watchSilence(now);
        break;
      default:
        name satisfies never;
    }
  }

  /** No path for the session's time-out. A responder's subflow may stand for ever after its initiator has vanished. */
  #giveUp(now: Instant): void {
    const until = this.#heardAt + HEARD_EVERY_MS + this.#limits.sessionTimeoutMs;
    if (this.role === 'responder' && this.#current !== undefined && now < until) this.#deadlines.set('give-up', until);
    else this.#finish('ETIMEDOUT');
  }

  #replaceDead(now: Instant): void {
    if (!this.#parting && this.#deadlines.get('give-up') === undefined) {
      this.#deadlines.set('give-up', now + this.#limits.sessionTimeoutMs);
    }
    this.#requestDial(now);
  }

  #ask(now: Instant, subflow: Subflow): void {
    this.#outbox.pingDue = true;
    subflow.liveness.asked(now);
  }

  #expectAnswer(now: Instant, subflow: Subflow): void {
    subflow.liveness.sent(now);
    if (this.#deadlines.get('silent') === undefined) this.#watchSilence(now);
  }

  #watchSilence(now: Instant): void {
    if (this.role === 'initiator') return;
    if (this.#send.outstanding && !this.#ended) this.#deadlines.set('silent', now + this.#silentMs);
    else this.#deadlines.clear('silent');
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  #finishWhenDone(now: Instant): void {
    if (this.#ended || this.#parting || this.#outbox.resetDue || this.#outbox.ackDue) return;
    if (this.#send.endAcknowledged && this.#receive.ended) this.#part(now);
  }

  /** All is said. */
  #part(now: Instant): void {
    if (this.role === 'responder') return this.#finish(undefined);
    this.#parting = true;
    this.#deadlines.clear('give-up');
    if (this.#deadlines.get('linger') === undefined) this.#deadlines.set('linger', now + LINGER_MS);
    this.#current?.liveness.sent(now);
  }

  #finish(error: SessionErrorCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#outcome = error;
    this.#wasReset ||= !this.#send.endAcknowledged || !this.#receive.ended;
    this.#dialing.settle();
    this.#deadlines.clearAll();
    this.#send.clear();
    if (this.#ownerGone) this.#receive.discard();
    this.#dropPrevious();
    const lastWord = this.#outbox.resetDue && this.#current?.blocked === false;
    if (!lastWord) this.#leave(!this.#outbox.resetDue);
  }

  #leave(graceful: boolean): void {
    this.#outbox.resetDue = false;
    if (this.#current !== undefined) this.#closeSubflow(this.#current, graceful);
    this.#current = undefined;
    if (this.#endTold) return;
    this.#endTold = true;
    this.#events.push({ type: 'ended', error: this.#outcome });
  }

  pollEvent(): SessionEvent | undefined {
    return this.#events.shift();
  }
}
