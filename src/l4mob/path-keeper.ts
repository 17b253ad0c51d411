/**
 * Path keeper: gives a session a subflow, watches it, and gets another when it is lost, dead or outdated. The
 * initiator's dials and sends hellos; the responder's takes what comes and notices when nothing does. It decides how
 * the session travels, never what it says or when it ends: it only reports that the peer is gone, or that time is up.
 * docs/protocol.md, "Dialing" and "Liveness".
 */
import { equalConstantTime, fromHex } from '../core/bytes.ts';
import { Deadlines } from '../core/deadlines.ts';
import { earliest, type Instant } from '../core/time.ts';
import type { ByteStream } from './byte-stream.ts';
import { Dialing } from './dialing.ts';
import { messageMac } from './key-schedule.ts';
import { MAX_UNANSWERED_MS } from './liveness.ts';
import type { DialFailure, SessionEvent, SessionRole, SubflowEnd } from './session-event.ts';
import type { SessionIdentity, VerifiedHello } from './session-identity.ts';
import { confirmMs, goneMs, HEARD_EVERY_MS, PATIENT_GONE_MS, PEER_SILENT_MS } from './session-timing.ts';
import type { Subflow } from './subflow.ts';
import { SubflowPair } from './subflow-pair.ts';
import { TAG_BYTES } from './suite.ts';
import { type Authenticated, encodeResume, type Refuse } from './wire/hello.ts';
import { RECORD_TYPE, type RecordType } from './wire/record.ts';

export interface PathKeeperInit {
  readonly role: SessionRole;
  readonly identity: SessionIdentity;
  readonly sessionTimeoutMs: number;
  readonly now: Instant;
  readonly stream: ByteStream;
  readonly emit: (event: SessionEvent) => void;
  /** The peer's process is gone; while parting, that there is nobody left to wait for. */
  readonly onPeerGone: () => void;
  /** No path for the session's time-out. */
  readonly onTimedOut: () => void;
}

type DeadlineName = 'confirm' | 'give-up' | 'gone' | 'silent';
const DEADLINE_NAMES: readonly DeadlineName[] = ['confirm', 'give-up', 'gone', 'silent'];

export class PathKeeper {
  readonly #init: PathKeeperInit;
  #identity: SessionIdentity;
  readonly #subflows: SubflowPair;
  readonly #dialing: Dialing = new Dialing();
  readonly #deadlines: Deadlines<DeadlineName> = new Deadlines(DEADLINE_NAMES);
  #stateSequence = 0;
  #opened: boolean;
  #suspendedAt: Instant | undefined;
  #heardAt: Instant;
  #confirmedAt: Instant = 0;
  #silentMs = PEER_SILENT_MS;
  /** Responder: since when the peer owes an acknowledgement and says nothing. */
  #unansweredSince: Instant | undefined;
  #moves = 0;
  #parting = false;
  #stopped = false;

  constructor(init: PathKeeperInit) {
    this.#init = init;
    this.#identity = init.identity;
    this.#opened = init.role === 'responder';
    this.#heardAt = init.now;
    this.#subflows = new SubflowPair(init.role, (subflow, graceful) => this.#close(subflow, graceful));
    this.#deadlines.set('give-up', init.now + init.sessionTimeoutMs);
  }

  get identity(): SessionIdentity {
    return this.#identity;
  }
  get current(): Subflow | undefined {
    return this.#subflows.current;
  }
  get opened(): boolean {
    return this.#opened;
  }
  get suspended(): boolean {
    return this.#suspendedAt !== undefined;
  }
  get moves(): number {
    return this.#moves;
  }
  /** When a verified record or hello last came. */
  get heardAt(): Instant {
    return this.#heardAt;
  }
  /** Whether the peer can have heard of the session. */
  get everUsed(): boolean {
    return this.#stateSequence > 0;
  }
  get #isInitiator(): boolean {
    return this.#init.role === 'initiator';
  }

  find(id: number): Subflow | undefined {
    return this.#subflows.find(id);
  }

  // ---- subflows come -------------------------------------------------------------------------------------------------

  attachDialed(now: Instant, id: number, roundTripMs: number): void {
    this.#dialing.attached();
    if (this.#stopped) {
      this.#init.emit({ type: 'close-subflow', subflow: id, graceful: false });
      return;
    }
    this.#stateSequence += 1;
    const hello = this.#encodeHello();
    const subflow = this.#subflows.replace(now, id, this.#stateSequence, this.#identity, roundTripMs);
    subflow.hello = hello;
    subflow.helloMac = hello.subarray(-TAG_BYTES);
    this.#deadlines.set('confirm', now + confirmMs(subflow, false));
    this.#init.stream.restart();
  }

  #encodeHello(): Uint8Array {
    const { associationIdText, portPair, keys, encodeOpen } = this.#identity;
    const { receive } = this.#init.stream;
    const { window, acknowledgement } = receive;
    receive.told();
    if (!this.#opened && encodeOpen !== undefined) return encodeOpen(this.#stateSequence, window);
    const associationId = fromHex(associationIdText);
    return encodeResume(
      { associationId, portPair, stateSequence: this.#stateSequence, receiveOffset: acknowledgement, window },
      (covered) => messageMac(keys.resume, covered),
    );
  }

  /** The responder's, also for a session that has ended. Returns false for a hello that is not newer than all before. */
  attachAccepted(now: Instant, id: number, hello: VerifiedHello, ended: boolean): boolean {
    if (hello.stateSequence <= this.#stateSequence) return false;
    try {
      this.#init.stream.send.acknowledge(hello.receiveOffset, hello.window);
    } catch {
      return false;
    }
    const moved = this.#stateSequence > 0;
    this.#stateSequence = hello.stateSequence;
    const subflow = this.#subflows.replace(now, id, hello.stateSequence, this.#identity, 0);
    subflow.confirmed = true;
    subflow.answerDue = hello.kind === 'open' ? RECORD_TYPE.openOk : RECORD_TYPE.resumeOk;
    this.#init.stream.restart();
    if (ended) return true;
    this.#stopped = false;
    this.#heardAt = now;
    this.#unansweredSince = undefined;
    this.#confirmed(now, moved);
    return true;
  }

  /** The record type that an unconfirmed subflow has to begin with. */
  get expectedAnswer(): RecordType {
    return this.#opened ? RECORD_TYPE.resumeOk : RECORD_TYPE.openOk;
  }

  /** Initiator: the peer has answered the hello. */
  confirm(now: Instant, subflow: Subflow): void {
    subflow.confirmed = true;
    this.#confirmed(now, this.#opened);
  }

  #confirmed(now: Instant, moved: boolean): void {
    this.#subflows.settle();
    this.#confirmedAt = now;
    this.#dialing.settle();
    this.#deadlines.clear('confirm');
    this.#deadlines.clear('gone');
    if (this.#isInitiator) this.#deadlines.clear('give-up');
    else this.#deadlines.set('give-up', now + this.#init.sessionTimeoutMs);
    if (!this.#opened) {
      this.#opened = true;
      this.#suspendedAt = undefined;
      this.#init.emit({ type: 'opened' });
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
    this.#init.emit({ type: 'moved', gapMs, wasSuspended: suspendedAt !== undefined, samePath });
  }

  // ---- subflows go ---------------------------------------------------------------------------------------------------

  handleSubflowEnd(now: Instant, id: number, how: SubflowEnd): void {
    const lost = this.#subflows.lose(id);
    if (lost === undefined || this.#stopped) return;
    if (this.#parting && how === 'closed') return this.#init.onPeerGone();
    this.#deadlines.clear('confirm');
    this.#deadlines.clear('silent');
    if (this.current === undefined) this.#suspend(now);
    else this.#init.stream.send.rewind(); // the new subflow came to nothing, and the one before it still stands
    if (this.#isInitiator) {
      if (lost.confirmed) this.#dialing.restartLadder();
      this.#requestDial(now);
    } else if (how !== 'lost') {
      // Perhaps the initiator lost patience with a slow path before our answer arrived: then it lives, and dials again.
      const abandoned = lost.number > 1 && now - this.#confirmedAt < confirmMs(lost, false);
      this.#deadlines.set('gone', now + (abandoned ? PATIENT_GONE_MS : goneMs(how, now - this.#heardAt)));
      this.#init.emit({ type: 'peer-silent' });
    }
  }

  /** The peer may have had it, and takes its end for ours: word of us by another way says that we live. */
  #giveUpHello(now: Instant): void {
    if (this.current?.confirmed !== false) return;
    this.#init.emit({ type: 'peer-silent' });
    this.giveUpSubflow(now, this.current);
  }

  /** Closes a subflow that is of no use, and goes on as if it had been lost. */
  giveUpSubflow(now: Instant, subflow: Subflow): void {
    this.#close(subflow, false);
    this.handleSubflowEnd(now, subflow.id, 'lost');
  }

  #suspend(now: Instant): void {
    if (this.#suspendedAt !== undefined) return;
    this.#suspendedAt = now;
    if (this.#parting) return;
    if (!this.#isInitiator || this.#deadlines.get('give-up') === undefined) {
      this.#deadlines.set('give-up', now + this.#init.sessionTimeoutMs);
    }
    if (this.#opened) this.#init.emit({ type: 'suspended' });
  }

  #close(subflow: Subflow, graceful: boolean): void {
    this.#init.emit({ type: 'close-subflow', subflow: subflow.id, graceful });
  }

  // ---- dialing -------------------------------------------------------------------------------------------------------

  /** A confirmed subflow that is not known to be dead. */
  #pathWorks(now: Instant): boolean {
    return this.current?.confirmed === true && this.current.liveness.verdict(now) !== 'dead';
  }

  #requestDial(now: Instant): void {
    if (this.#dialing.request(now)) this.#init.emit({ type: 'dial' });
  }

  #startDial(): void {
    this.#dialing.start();
    this.#init.emit({ type: 'dial' });
  }

  handleDialFailure(now: Instant, failure: DialFailure): void {
    if (this.#stopped) return;
    if (this.#parting && failure === 'refused') return this.#init.onPeerGone();
    if (this.#pathWorks(now)) return this.#dialing.settle();
    if (failure === 'refused') this.#dialing.refused(now);
    else this.#dialing.unreachable();
    this.#suspend(now); // the old path is dead, if there is one, and no other is to be had
    this.#requestDial(now);
  }

  handleNetworkChange(now: Instant): void {
    if (this.#stopped) return;
    if (!this.#isInitiator) {
      // Whoever tells where it is lives, however its subflow ended; and our own change may keep it from us.
      if (this.#deadlines.get('gone') !== undefined) this.#deadlines.set('gone', now + PATIENT_GONE_MS);
      return;
    }
    this.#dialing.restartLadder();
    const { current } = this;
    if (current === undefined) this.#startDial();
    else if (current.confirmed) this.#ask(now, current);
    else {
      const soon = now + confirmMs(current, true);
      this.#deadlines.set('confirm', Math.min(soon, this.#deadlines.get('confirm') ?? soon));
    }
  }

  migrate(): void {
    if (this.#isInitiator && !this.#stopped) this.#startDial();
  }

  reopen(now: Instant, identity: SessionIdentity): void {
    if (this.#stopped || this.#opened) return;
    this.#identity = identity;
    this.#dialing.settle();
    this.#requestDial(now);
  }

  /** A REFUSE in the place of an answer. Returns whether it was genuine. */
  handleRefusal(now: Instant, subflow: Subflow, { message, covered, mac }: Authenticated<Refuse>): boolean {
    const { code } = message;
    const unknown = code === 'unknown';
    const genuine = unknown || this.#isRefuseMac(mac, covered, subflow);
    if (genuine && !this.#opened && code !== 'stale') {
      this.#drop(subflow);
      this.#init.emit({ type: 'refused', refuse: message });
    } else if (genuine && (unknown ? this.#parting : code !== 'stale' && code !== 'limit')) {
      this.#drop(subflow);
      this.#init.onPeerGone();
    } else {
      // Another host may have the peer's old address by now: it says `unknown`, as a closed port says RST.
      if (unknown) this.#dialing.refused(now);
      this.giveUpSubflow(now, subflow);
    }
    return genuine;
  }

  #isRefuseMac(mac: Uint8Array, covered: Uint8Array, { helloMac }: Subflow): boolean {
    const { refuseKey } = this.#identity;
    if (refuseKey === undefined || helloMac === undefined) return false;
    return equalConstantTime(messageMac(refuseKey, covered, helloMac), mac);
  }

  #drop(subflow: Subflow): void {
    this.#deadlines.clear('confirm');
    this.#subflows.lose(subflow.id);
    this.#close(subflow, false);
  }

  // ---- watching ------------------------------------------------------------------------------------------------------

  /** A verified record came. `progress`: it acknowledged something new. */
  heard(now: Instant, subflow: Subflow, isData: boolean, progress: boolean): void {
    this.#heardAt = now;
    this.#unansweredSince = undefined;
    subflow.liveness.heard(now, isData, this.#init.stream.send.outstanding || this.#parting);
    if (progress) this.#silentMs = PEER_SILENT_MS;
    this.#watchSilence(now);
    if (subflow !== this.current) return;
    this.#dialing.notRefused();
    if (!this.#isInitiator) return;
    // The path that was given up may work after all.
    this.#deadlines.clear('give-up');
    if (this.#suspendedAt !== undefined) this.#resumed(now, true);
  }

  /** Something went out that the peer will answer. */
  expectAnswer(now: Instant, subflow: Subflow): void {
    subflow.liveness.sent(now);
    if (this.#deadlines.get('silent') === undefined) this.#watchSilence(now);
  }

  #watchSilence(now: Instant): void {
    if (this.#isInitiator) return;
    if (this.#init.stream.send.outstanding) this.#deadlines.set('silent', now + this.#silentMs);
    else this.#deadlines.clear('silent');
  }

  /** The subflow that the initiator minds, unless it is about to replace it anyway. */
  get #watched(): Subflow | undefined {
    if (!this.#isInitiator || this.#stopped || this.#dialing.pending) return undefined;
    return this.current?.confirmed === true ? this.current : undefined;
  }

  #ask(now: Instant, subflow: Subflow): void {
    this.#init.stream.outbox.pingDue = true;
    subflow.liveness.asked(now);
  }

  #judge(now: Instant, subflow: Subflow): void {
    const verdict = subflow.liveness.verdict(now);
    if (verdict === 'ask') this.#ask(now, subflow);
    else if (verdict === 'suspect') {
      subflow.liveness.suspected();
      this.#init.emit({ type: 'peer-silent' });
    } else if (verdict === 'dead') this.#replaceDead(now);
  }

  #replaceDead(now: Instant): void {
    if (!this.#parting && this.#deadlines.get('give-up') === undefined) {
      this.#deadlines.set('give-up', now + this.#init.sessionTimeoutMs);
    }
    this.#requestDial(now);
  }

  // ---- time ----------------------------------------------------------------------------------------------------------

  pollTimeout(): Instant | undefined {
    const path = this.#watched?.liveness.deadline();
    return earliest(earliest(this.#deadlines.next(), this.#dialing.pollTimeout()), path);
  }

  handleTimeout(now: Instant): void {
    for (let name = this.#deadlines.takeDue(now); name !== undefined; name = this.#deadlines.takeDue(now)) {
      this.#handleDeadline(now, name);
    }
    for (let due = this.#dialing.takeDue(now); due !== undefined; due = this.#dialing.takeDue(now)) {
      if (this.#pathWorks(now)) this.#dialing.settle();
      else if (due === 'gone') this.#init.onPeerGone();
      else this.#startDial();
    }
    if (this.#watched !== undefined) this.#judge(now, this.#watched);
  }

  #handleDeadline(now: Instant, name: DeadlineName): void {
    switch (name) {
      case 'confirm':
        this.#giveUpHello(now);
        break;
      case 'give-up':
        this.#giveUp(now);
        break;
      case 'gone':
        this.#init.onPeerGone();
        break;
      case 'silent':
        this.#handleSilence(now);
        break;
      default:
        name satisfies never;
    }
  }

  #handleSilence(now: Instant): void {
    this.#unansweredSince ??= now - this.#silentMs;
    this.#silentMs *= 2;
    this.#init.emit({ type: 'peer-silent' });
    this.#watchSilence(now);
    this.#deadlines.set('give-up', Math.min(this.#silentUntil, this.#deadlines.get('give-up') ?? this.#silentUntil));
  }

  /**
   * Responder: how long the peer may be silent on a subflow that stands. An idle one's next keep-alive may be due just
   * when its path goes; where an acknowledgement is missing, the path has gone by then.
   */
  get #silentUntil(): Instant {
    const idleUntil = this.#heardAt + HEARD_EVERY_MS;
    const { sessionTimeoutMs } = this.#init;
    if (this.#unansweredSince === undefined) return idleUntil + sessionTimeoutMs;
    return Math.min(idleUntil, this.#unansweredSince + MAX_UNANSWERED_MS) + sessionTimeoutMs;
  }

  /** A responder's subflow may stand for ever after its initiator has vanished. */
  #giveUp(now: Instant): void {
    const until = this.#silentUntil;
    if (!this.#isInitiator && this.current !== undefined && now < until) this.#deadlines.set('give-up', until);
    else this.#init.onTimedOut();
  }

  // ---- the end -------------------------------------------------------------------------------------------------------

  /** Initiator: all is said. The path is kept up until the responder has closed it. */
  part(now: Instant): void {
    this.#parting = true;
    this.#deadlines.clear('give-up');
    this.current?.liveness.sent(now);
  }

  /** No path is wanted any more; the current subflow stays for last words. */
  stop(): void {
    this.#stopped = true;
    this.#suspendedAt = undefined;
    this.#dialing.settle();
    this.#deadlines.clearAll();
    this.#subflows.settle();
  }

  closeAll(graceful: boolean): void {
    this.#subflows.closeAll(graceful);
  }
}
