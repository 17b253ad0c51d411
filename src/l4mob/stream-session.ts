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
 * last record lost on the way hangs nobody. Congestion control and segmentation are the kernel's.
 * Sans-IO: see docs/architecture.md for the pattern, docs/protocol.md, "Stream sessions", for the rules.
 */
import { equalConstantTime } from '../core/bytes.ts';
import { Deadlines } from '../core/deadlines.ts';
import { ProtocolError, WireError } from '../core/errors.ts';
import { earliest, type Instant } from '../core/time.ts';
import { DialLadder } from './dial-ladder.ts';
import { messageMac, type SessionKeys } from './key-schedule.ts';
import { LINGER_MS, MAX_RECORD_PAYLOAD, type StreamLimits } from './limits.ts';
import { Liveness } from './liveness.ts';
import type { PortPair } from './port-pairs.ts';
import { ReceiveSide } from './receive-side.ts';
import { SendSide } from './send-side.ts';
import { Subflow } from './subflow.ts';
import type { Suite } from './suite.ts';
import { type Authenticated, encodeResume, type Refuse } from './wire/hello.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from './wire/record.ts';
import { decodeWhereabouts, type Whereabouts } from './wire/update.ts';

/** What a session may send before it has heard the peer's window. */
const INITIAL_CREDIT_BYTES = 256 << 10;
/** A lone acknowledgement waits this long for something to ride on. */
const ACK_DELAY_MS = 20;
/** Unacknowledged bytes that are worth a record of their own. */
const ACK_EVERY_BYTES = 256 << 10;
/** An unanswered hello: well above any handshake's delay in a peer under load. */
const CONFIRM_MS = 3_000;
/** All of the peer's addresses refuse: wait this long for word that it has moved, then believe that it is gone. */
const REFUSED_MEANS_GONE_MS = 1_000;
/** The peer's kernel closed the subflow and no resume came: the process is gone. Within the 3 s of a crash notice. */
const CLOSED_MEANS_GONE_MS = 2_500;
/** A reset may come from a NAT that forgot, so the peer may be in an outage just now. */
const RESET_MEANS_GONE_MS = 30_000;
/** Responder: the peer acknowledges nothing for this long, so perhaps its path is dead and it doesn't know. */
const PEER_SILENT_MS = 1_000;

export type SessionRole = 'initiator' | 'responder';
export type SessionErrorCode = 'ECONNRESET' | 'ETIMEDOUT' | 'ECONNREFUSED' | 'EPROTO';

/** How a subflow ended: FIN, RST, or our own address went away from under it. */
export type SubflowEnd = 'closed' | 'reset' | 'lost';
export type DialFailure = 'refused' | 'unreachable';

export type SessionEvent =
  | { readonly type: 'dial' }
  | { readonly type: 'close-subflow'; readonly subflow: number; readonly graceful: boolean }
  | { readonly type: 'opened' }
  | { readonly type: 'suspended' }
  /** The session goes on over another subflow; `gapMs` is 0 where the old one still worked. */
  | { readonly type: 'moved'; readonly gapMs: number; readonly wasSuspended: boolean }
  | { readonly type: 'refused'; readonly refuse: Refuse }
  | { readonly type: 'peer-silent' }
  | { readonly type: 'whereabouts'; readonly whereabouts: Whereabouts }
  | { readonly type: 'ended'; readonly error: SessionErrorCode | undefined };

export interface SessionIdentity {
  readonly associationId: Uint8Array;
  readonly portPair: PortPair;
  readonly suite: Suite;
  readonly keys: SessionKeys;
  /** Initiator: encodes OPEN for a state sequence number and window. */
  readonly encodeOpen?: (stateSequence: number, window: number) => Uint8Array;
  /** Initiator: the key of the MAC in REFUSE. */
  readonly refuseKey?: Uint8Array;
}

export interface StreamSessionInit {
  readonly role: SessionRole;
  readonly identity: SessionIdentity;
  readonly limits: StreamLimits;
  readonly now: Instant;
}

export interface Transmit {
  readonly subflow: number;
  readonly bytes: readonly Uint8Array[];
}

/** What a verified hello tells the responder. */
export interface VerifiedHello {
  readonly kind: 'open' | 'resume';
  readonly stateSequence: number;
  readonly receiveOffset: number;
  readonly window: number;
}

type DeadlineName = 'ack' | 'confirm' | 'dial' | 'give-up' | 'gone' | 'refused' | 'linger' | 'silent';
const DEADLINE_NAMES: readonly DeadlineName[] = [
  'ack',
  'confirm',
  'dial',
  'give-up',
  'gone',
  'refused',
  'linger',
  'silent',
];

export class StreamSession {
  readonly role: SessionRole;
  readonly #limits: StreamLimits;
  #identity: SessionIdentity;
  readonly #send: SendSide;
  readonly #receive: ReceiveSide;
  readonly #deadlines: Deadlines<DeadlineName> = new Deadlines(DEADLINE_NAMES);
  readonly #ladder: DialLadder = new DialLadder();
  readonly #events: SessionEvent[] = [];
  readonly #onRecord = (header: RecordHeader, payload: readonly Buffer[]): void => this.#handleRecord(header, payload);
  #liveness: Liveness;
  #current: Subflow | undefined;
  /** The confirmed subflow before `#current`, still listened to until that is confirmed. */
  #previous: Subflow | undefined;
  #stateSequence = 0;
  #opened: boolean;
  #dialing = false;
  #suspendedAt: Instant | undefined;
  #roundTripMs = 0;
  #moves = 0;
  #ackDue = false;
  #pingDue = false;
  #pongDue = false;
  #announcement: Uint8Array | undefined;
  #resetDue = false;
  #wasReset = false;
  #ownerGone = false;
  #peerGone = false;
  #ended = false;
  #silentMs = PEER_SILENT_MS;
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
    this.#send = new SendSide(limits.replayLimitBytes, INITIAL_CREDIT_BYTES);
    this.#receive = new ReceiveSide(now, limits.initialWindowBytes, limits.maxWindowBytes);
    this.#liveness = new Liveness(now, 0);
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
    if (this.#current?.confirmed !== true && this.#previous === undefined) return 'suspended';
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
  /** Whether something written has still to reach the peer. */
  get delivering(): boolean {
    return !this.#ended && (this.#resetDue || this.#send.unacknowledged > 0 || this.#send.ended) && !this.#allDelivered;
  }
  /** Whether the peer's stream has ended and everything of it was read. */
  get readEnded(): boolean {
    return this.#receive.ended && this.#receive.inboxBytes === 0;
  }
  get currentSubflow(): number | undefined {
    return this.#current?.id;
  }
  get #allDelivered(): boolean {
    return this.#send.ended ? this.#send.endAcknowledged : this.#send.unacknowledged === 0;
  }

  // ---- the owner's commands ------------------------------------------------------------------------------------------

  write(chunks: readonly Uint8Array[]): void {
    if (this.#peerGone) return this.#finish('ECONNRESET');
    for (const chunk of chunks) {
      this.#send.append(chunk);
      this.#bytesSent += chunk.length;
    }
  }

  end(): void {
    this.#send.end();
    if (this.#peerGone) this.#finish(undefined);
  }

  /** The next bytes for the owner, consumed with that. */
  read(now: Instant): Buffer | undefined {
    return this.#receive.shift(now);
  }

  /** The owner is gone: deliver what was written, read nothing more. Unread bytes make it a reset, as in TCP. */
  close(now: Instant): void {
    if (this.#ended || this.#ownerGone) return;
    if (this.#receive.inboxBytes > 0) return this.reset(now);
    this.#ownerGone = true;
    this.end();
    this.#deadlines.set('linger', now + LINGER_MS);
    this.#finishWhenDone();
  }

  reset(now: Instant): void {
    if (this.#ended) return;
    this.#ownerGone = true;
    this.#resetDue = true;
    this.#send.clear();
    this.#receive.discard();
    this.#deadlines.set('linger', now + LINGER_MS);
  }

  // ---- subflows ------------------------------------------------------------------------------------------------------

  /** Initiator: a connection to the peer's session port stands. The hello and data behind it are ready to transmit. */
  attachDialed(now: Instant, id: number, roundTripMs: number): void {
    this.#dialing = false;
    this.#deadlines.clear('dial');
    this.#deadlines.clear('refused');
    this.#ladder.restart();
    this.#stateSequence += 1;
    const subflow = this.#newSubflow(now, id, this.#stateSequence);
    const { associationId, portPair, keys, encodeOpen } = this.#identity;
    const { window, acknowledgement } = this.#receive;
    subflow.hello = this.#opened
      ? encodeResume(
          { associationId, portPair, stateSequence: this.#stateSequence, receiveOffset: acknowledgement, window },
          (covered) => messageMac(keys.resume, covered),
        )
      : encodeOpen?.(this.#stateSequence, window);
    subflow.helloMac = subflow.hello?.subarray(-16);
    this.#receive.told();
    this.#deadlines.set('confirm', now + CONFIRM_MS);
    this.#roundTripMs = roundTripMs;
    this.#use(now, subflow);
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
    this.#stateSequence = hello.stateSequence;
    const subflow = this.#newSubflow(now, id, hello.stateSequence);
    subflow.confirmed = true;
    subflow.answerDue = hello.kind === 'open' ? RECORD_TYPE.openOk : RECORD_TYPE.resumeOk;
    if (this.#ended) {
      this.#resetDue = this.#wasReset;
      this.#current = subflow;
      return true;
    }
    this.#use(now, subflow);
    this.#deadlines.clear('gone');
    this.#confirmed(now, hello.stateSequence > 1);
    return true;
  }

  #newSubflow(now: Instant, id: number, number: number): Subflow {
    const { suite, keys, portPair } = this.#identity;
    const initiator = this.role === 'initiator';
    return new Subflow({
      id,
      number,
      portPair,
      sealer: suite.sealer(initiator ? keys.recordFromInitiator : keys.recordFromResponder),
      opener: suite.opener(initiator ? keys.recordFromResponder : keys.recordFromInitiator),
      now,
    });
  }

  #use(now: Instant, subflow: Subflow): void {
    const old = this.#current;
    if (old !== undefined) {
      const keep = this.role === 'initiator' && old.confirmed && this.#previous === undefined;
      if (keep) this.#previous = old;
      else this.#closeSubflow(old, false);
    }
    this.#current = subflow;
    this.#send.rewind();
    this.#ackDue = false;
    this.#pingDue = false;
    this.#pongDue = false;
    this.#liveness.restart(now, this.#roundTripMs);
  }

  #confirmed(now: Instant, moved: boolean): void {
    const previous = this.#previous;
    this.#previous = undefined;
    if (previous !== undefined) this.#closeSubflow(previous, false);
    this.#deadlines.clear('confirm');
    this.#deadlines.clear('give-up');
    const { suspendedAt, wasSuspended } = {
      suspendedAt: this.#suspendedAt,
      wasSuspended: this.#suspendedAt !== undefined,
    };
    this.#suspendedAt = undefined;
    if (!this.#opened) {
      this.#opened = true;
      this.#events.push({ type: 'opened' });
    } else if (moved) {
      this.#moves += 1;
      this.#events.push({ type: 'moved', gapMs: suspendedAt === undefined ? 0 : now - suspendedAt, wasSuspended });
    }
  }

  /** The connection takes no more bytes for now, or does again. */
  setBlocked(id: number, blocked: boolean): void {
    if (this.#current?.id === id) this.#current.blocked = blocked;
  }

  handleBytes(now: Instant, id: number, chunk: Buffer): void {
    const subflow = this.#current?.id === id ? this.#current : this.#previous?.id === id ? this.#previous : undefined;
    if (subflow === undefined || this.#ended) return;
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
        this.#resetDue = true;
        this.#finish('EPROTO');
      } else throw error;
    }
  }

  /** The connection is gone; nothing more will come from it. */
  handleSubflowEnd(now: Instant, id: number, how: SubflowEnd): void {
    if (this.#previous?.id === id) this.#previous = undefined;
    if (this.#current?.id !== id) return;
    this.#current = undefined;
    if (this.#ended) return;
    this.#deadlines.clear('confirm');
    this.#deadlines.clear('ack');
    this.#deadlines.clear('silent');
    if (this.#ownerGone && this.#allDelivered && !this.#resetDue) return this.#finish(undefined);
    if (this.#suspendedAt === undefined) {
      this.#suspendedAt = now;
      this.#deadlines.set('give-up', now + this.#limits.sessionTimeoutMs);
      if (this.#opened) this.#events.push({ type: 'suspended' });
    }
    if (this.role === 'initiator') {
      this.#ladder.restart();
      this.#requestDial(now);
    } else if (how !== 'lost') {
      this.#deadlines.set('gone', now + (how === 'closed' ? CLOSED_MEANS_GONE_MS : RESET_MEANS_GONE_MS));
      this.#events.push({ type: 'peer-silent' });
    }
  }

  // ---- dialing -------------------------------------------------------------------------------------------------------

  #requestDial(now: Instant): void {
    if (this.#dialing || this.#ended) return;
    const wait = this.#ladder.nextWaitMs();
    if (wait > 0) return this.#deadlines.set('dial', now + wait);
    this.#startDial();
  }

  #startDial(): void {
    this.#deadlines.clear('dial');
    this.#dialing = true;
    this.#events.push({ type: 'dial' });
  }

  handleDialFailure(now: Instant, failure: DialFailure): void {
    this.#dialing = false;
    if (this.#ended) return;
    if (failure === 'unreachable') this.#deadlines.clear('refused');
    else if (this.#deadlines.get('refused') === undefined) this.#deadlines.set('refused', now + REFUSED_MEANS_GONE_MS);
    this.#requestDial(now);
  }

  /**
   * Addresses or routes changed, here or at the peer. The driver drops subflows whose own address is gone by
   * `handleSubflowEnd(…, 'lost')` first.
   */
  handleNetworkChange(now: Instant): void {
    if (this.#ended || this.role === 'responder') return;
    this.#ladder.restart();
    if (this.#current === undefined) {
      this.#dialing = false;
      this.#ladder.nextWaitMs();
      this.#startDial();
    } else if (this.#current.confirmed) this.#ask(now);
  }

  /** Tells the peer where this process is, on the subflow: an encoded {@link Whereabouts}. */
  announce(whereabouts: Uint8Array): void {
    this.#announcement = whereabouts;
  }

  /** Initiator: go over to a new subflow although the present one works. */
  migrate(): void {
    if (this.role === 'initiator' && !this.#ended && !this.#dialing) this.#startDial();
  }

  /** Initiator, after a refusal of OPEN: try again under another identity. What was written is kept. */
  reopen(now: Instant, identity: SessionIdentity): void {
    this.#identity = identity;
    this.#ladder.restart();
    this.#requestDial(now);
  }

  /** The peer's process is known to be gone (its port refuses): no need to wait. */
  handlePeerGone(): void {
    if (this.#ended) return;
    // A peer that had finished, and that we owe nothing, may go: only a later write will notice, as with TCP.
    if (this.#receive.ended && this.#send.unacknowledged === 0 && !this.#send.ended) {
      this.#peerGone = true;
      this.#deadlines.clearAll();
    } else if (this.#receive.ended && this.#send.unacknowledged === 0) this.#finish(undefined);
    else this.#finish('ECONNRESET');
  }

  /** Ends the session here and now, without telling the peer. */
  fail(error: SessionErrorCode): void {
    this.#finish(error);
  }

  #handleRefusal(now: Instant, subflow: Subflow, { message, covered, mac }: Authenticated<Refuse>): void {
    this.#closeSubflow(subflow, false);
    if (this.#current === subflow) this.#current = undefined;
    if (message.code !== 'unknown') {
      const { refuseKey } = this.#identity;
      const expected = messageMac(refuseKey ?? new Uint8Array(32), covered, subflow.helloMac ?? new Uint8Array(0));
      if (!equalConstantTime(expected, mac)) {
        this.#badRecords += 1;
        return this.handleDialFailure(now, 'unreachable');
      }
    }
    this.#deadlines.clear('confirm');
    if (!this.#opened) this.#events.push({ type: 'refused', refuse: message });
    else if (message.code === 'stale' || message.code === 'limit') this.handleDialFailure(now, 'unreachable');
    else this.handlePeerGone();
  }

  // ---- records -------------------------------------------------------------------------------------------------------

  #handleRecord(header: RecordHeader, payload: readonly Buffer[]): void {
    const now = this.#inputNow;
    const subflow = this.#inputSubflow as Subflow;
    if (this.#ended) return;
    if (!subflow.confirmed) {
      if (header.type !== RECORD_TYPE.openOk && header.type !== RECORD_TYPE.resumeOk) {
        throw new WireError(`record type ${header.type} before the answer to the hello`);
      }
      subflow.confirmed = true;
      this.#confirmed(now, true);
    }
    const progress = this.#send.acknowledge(header.acknowledgement, header.window);
    this.#liveness.heard(now, header.type === RECORD_TYPE.data, this.#send.outstanding);
    if (progress) this.#silentMs = PEER_SILENT_MS;
    this.#watchSilence(now);
    this.#handleType(now, header, payload);
    this.#finishWhenDone();
  }

  #handleType(now: Instant, header: RecordHeader, payload: readonly Buffer[]): void {
    switch (header.type) {
      case RECORD_TYPE.data:
        this.#handleData(now, header, payload);
        break;
      case RECORD_TYPE.fin:
        this.#receive.end(header.offset);
        this.#ackDue = true;
        break;
      case RECORD_TYPE.reset:
        this.#finish(this.#ownerGone ? undefined : 'ECONNRESET');
        break;
      case RECORD_TYPE.ping:
        this.#pongDue = true;
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
    if (this.#receive.unacknowledged >= ACK_EVERY_BYTES || fresh === 0) this.#ackDue = true;
    else if (this.#deadlines.get('ack') === undefined) this.#deadlines.set('ack', now + ACK_DELAY_MS);
  }

  pollTransmit(now: Instant): Transmit | undefined {
    const subflow = this.#current;
    if (subflow === undefined || subflow.blocked) return undefined;
    if (subflow.hello !== undefined) {
      const { hello } = subflow;
      subflow.hello = undefined;
      return { subflow: subflow.id, bytes: [hello] };
    }
    const type = this.#nextRecordType(subflow);
    if (type === undefined) {
      if (this.#ended && !subflow.blocked) this.#closeSubflow(subflow, true);
      if (this.#ended) this.#current = undefined;
      return undefined;
    }
    const offset = this.#send.sent;
    const payload = this.#takePayload(type);
    const bytes = subflow.writer.write(
      {
        type,
        payloadBytes: payload.reduce((sum, part) => sum + part.length, 0),
        stateSequence: this.#stateSequence,
        offset,
        acknowledgement: this.#receive.acknowledgement,
        window: this.#receive.window,
      },
      payload,
    );
    this.#receive.told();
    this.#ackDue = false;
    this.#deadlines.clear('ack');
    if (type === RECORD_TYPE.data || type === RECORD_TYPE.fin) this.#expectAnswer(now);
    if (type === RECORD_TYPE.reset) this.#finish(undefined);
    this.#finishWhenDone();
    return { subflow: subflow.id, bytes };
  }

  #takePayload(type: RecordType): readonly Uint8Array[] {
    if (type === RECORD_TYPE.data) return this.#send.take(MAX_RECORD_PAYLOAD);
    const announcement = type === RECORD_TYPE.addresses ? this.#announcement : undefined;
    if (announcement === undefined) return [];
    this.#announcement = undefined;
    return [announcement];
  }

  /** What goes out next, the most urgent first; the mark that asked for it is taken. */
  #nextRecordType(subflow: Subflow): RecordType | undefined {
    if (subflow.answerDue !== undefined) {
      const { answerDue } = subflow;
      subflow.answerDue = undefined;
      return answerDue;
    }
    if (this.#resetDue) {
      this.#resetDue = false;
      this.#wasReset = true;
      return RECORD_TYPE.reset;
    }
    if (this.#ended) return this.#ackDue ? RECORD_TYPE.ack : undefined;
    if (this.#pongDue) {
      this.#pongDue = false;
      return RECORD_TYPE.pong;
    }
    if (this.#pingDue) {
      this.#pingDue = false;
      return RECORD_TYPE.ping;
    }
    if (this.#announcement !== undefined) return RECORD_TYPE.addresses;
    if (this.#send.sendable > 0) return RECORD_TYPE.data;
    if (this.#send.endDue) {
      this.#send.takeEnd();
      return RECORD_TYPE.fin;
    }
    return this.#ackDue || this.#receive.windowUpdateDue ? RECORD_TYPE.ack : undefined;
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  pollTimeout(): Instant | undefined {
    return earliest(this.#deadlines.next(), this.#watching ? this.#liveness.deadline() : undefined);
  }

  handleTimeout(now: Instant): void {
    for (let name = this.#deadlines.takeDue(now); name !== undefined; name = this.#deadlines.takeDue(now)) {
      this.#handleDeadline(now, name);
    }
    if (!this.#watching) return;
    const verdict = this.#liveness.verdict(now);
    if (verdict === 'ask') this.#ask(now);
    else if (verdict === 'dead') this.#requestDial(now);
  }

  /** The initiator minds the path, unless it is about to replace it anyway. */
  get #watching(): boolean {
    if (this.role !== 'initiator' || this.#ended || this.#dialing) return false;
    return this.#current?.confirmed === true && this.#deadlines.get('dial') === undefined;
  }

  #handleDeadline(now: Instant, name: DeadlineName): void {
    switch (name) {
      case 'ack':
        this.#ackDue = true;
        break;
      case 'confirm': {
        const silent = this.#current;
        if (silent === undefined || silent.confirmed) break;
        this.#closeSubflow(silent, false);
        this.handleSubflowEnd(now, silent.id, 'lost');
        break;
      }
      case 'dial':
        // The path that seemed dead may have come back while we waited.
        if (this.#current?.confirmed && this.#liveness.verdict(now) !== 'dead') this.#ladder.restart();
        else if (!this.#dialing) this.#startDial();
        break;
      case 'give-up':
        this.#finish('ETIMEDOUT');
        break;
      case 'gone':
      case 'refused':
        this.handlePeerGone();
        break;
      case 'linger':
        this.#resetDue = !this.#receive.ended;
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

  #ask(now: Instant): void {
    this.#pingDue = true;
    this.#liveness.asked(now);
  }

  #expectAnswer(now: Instant): void {
    this.#liveness.sent(now);
    if (this.#deadlines.get('silent') === undefined) this.#watchSilence(now);
  }

  #watchSilence(now: Instant): void {
    if (this.role === 'initiator') return;
    if (this.#send.outstanding && !this.#ended) this.#deadlines.set('silent', now + this.#silentMs);
    else this.#deadlines.clear('silent');
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  #finishWhenDone(): void {
    if (this.#send.endAcknowledged && this.#receive.ended && !this.#ackDue) this.#finish(undefined);
  }

  #finish(error: SessionErrorCode | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#dialing = false;
    this.#deadlines.clearAll();
    this.#send.clear();
    if (this.#ownerGone) this.#receive.discard();
    if (this.#previous !== undefined) this.#closeSubflow(this.#previous, false);
    this.#previous = undefined;
    this.#events.push({ type: 'ended', error });
  }

  #closeSubflow(subflow: Subflow, graceful: boolean): void {
    this.#events.push({ type: 'close-subflow', subflow: subflow.id, graceful });
  }

  pollEvent(): SessionEvent | undefined {
    return this.#events.shift();
  }
}
