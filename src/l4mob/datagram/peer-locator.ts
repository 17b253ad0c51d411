/**
 * Peer locator: keeps a flow's packets going to where the peer is. It follows what genuine packets show (the address
 * update rule), challenges paths, tells the peer where we are, and looks for the peer at all known addresses when it
 * doesn't answer. It decides where the flow goes, never what it carries or when it ends. docs/protocol.md, "Moves of a
 * flow".
 */
import type { TransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { earliest, type Instant } from '../../core/time.ts';
import { TAG_BYTES } from '../suite.ts';
import { CHALLENGE_BYTES, DATAGRAM_HEADER_BYTES, DATAGRAM_TYPE, type DatagramHeader } from '../wire/datagram.ts';
import { decodeWhereabouts, type Whereabouts } from '../wire/update.ts';
import type { ChallengeTokens, ChallengeType } from './challenge-tokens.ts';
import type { FlowChannel } from './flow-channel.ts';
import type { FlowOutput } from './flow-output.ts';
import { ASK_ELSEWHERE_FROM, MOVE_BYTES, QUESTION_BYTES } from './flow-timing.ts';
import { KnownAddresses } from './known-addresses.ts';
import type { Path } from './path.ts';
import type { PathSet } from './path-set.ts';
import { Question, type QuestionKind } from './question.ts';

export class PeerLocator {
  readonly #channel: FlowChannel;
  readonly #paths: PathSet;
  readonly #output: FlowOutput;
  readonly #tokens: ChallengeTokens;
  #question: Question | undefined;
  #known: KnownAddresses | undefined;
  /** The peer's state sequence number, by its newest packet. */
  #peerSequence = 0;

  constructor(channel: FlowChannel, paths: PathSet, output: FlowOutput, tokens: ChallengeTokens) {
    this.#channel = channel;
    this.#paths = paths;
    this.#output = output;
    this.#tokens = tokens;
  }

  /** Where the peer is, as it may be told. */
  get remote(): TransportAddress {
    const { ip, port } = this.#paths.current;
    return { ip, port };
  }

  /** Since when the peer owes an answer; undefined while it doesn't. */
  get unansweredSince(): Instant | undefined {
    return this.#question?.pathOpen === true ? this.#question.since : undefined;
  }

  // ---- what genuine packets show -------------------------------------------------------------------------------------

  /** Of a flow that is not confirmed: addresses decide nothing yet. */
  noteSequence({ stateSequence }: DatagramHeader, newest: boolean): void {
    if (newest && stateSequence > this.#peerSequence) this.#peerSequence = stateSequence;
  }

  /**
   * The address update rule, for a packet that is genuine and new. An ANSWER goes back to where it was asked from, so
   * where it comes from shows no move; its token speaks instead.
   */
  follow(now: Instant, header: DatagramHeader, newest: boolean, from: TransportAddress, bytes: number): void {
    const { current } = this.#paths;
    const announced = newest && header.stateSequence > this.#peerSequence;
    this.noteSequence(header, newest);
    if (current.is(from)) {
      if (announced) current.announced = true;
      if (current.validated) return;
      current.received(bytes);
      current.startChallenge(now);
      return this.challengePaths(now);
    }
    const moves = newest && header.type !== DATAGRAM_TYPE.answer && header.stateSequence === this.#peerSequence;
    const followed = moves ? this.#paths.follow(now, from, announced, bytes) : 'pinned';
    if (followed === 'pinned') {
      if (moves) this.#output.counters.refusedMoves += 1;
      this.#paths.find(from)?.received(bytes);
      return;
    }
    const { remote } = this;
    if (followed === 'undone') this.#output.emit({ type: 'move-undone', remote });
    else this.#output.emit({ type: 'peer-moved', remote, announced });
    this.#question?.restart(now);
    this.handleTimeout(now);
  }

  /** An ADDRESSES packet's list. Returns false where it is malformed. */
  learnList(list: Uint8Array): boolean {
    let whereabouts: Whereabouts;
    try {
      whereabouts = decodeWhereabouts(list);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return false;
    }
    this.#known ??= new KnownAddresses();
    this.#known.tell(whereabouts);
    return true;
  }

  /** What the peer is to send back, wherever from and to. */
  closeToken(now: Instant): Uint8Array {
    return this.#tokens.token(now, this.#channel, DATAGRAM_TYPE.close, this.#paths.current);
  }

  answersClose(now: Instant, token: Uint8Array): boolean {
    return this.#tokens.isAnswer(now, this.#channel, DATAGRAM_TYPE.close, this.#paths.current, token);
  }

  /** Returns whether it was the answer that our question waited for. */
  handleAnswer(now: Instant, token: Uint8Array, from: TransportAddress): boolean {
    const answers = (type: ChallengeType, to: TransportAddress): boolean =>
      this.#tokens.isAnswer(now, this.#channel, type, to, token);
    const question = this.#question;
    for (const path of this.#paths.all()) {
      if (question?.list !== undefined && answers(DATAGRAM_TYPE.addresses, path)) question.list = undefined;
      else if (!answers(DATAGRAM_TYPE.challenge, path)) continue;
      return this.#pathAnswered(now, path);
    }
    // A path that had to make room for others is as good as it was.
    if (answers(DATAGRAM_TYPE.challenge, from)) return this.#pathAnswered(now, this.#paths.recall(from));
    if (question?.pathOpen !== true) return false;
    const found = this.#known?.all.find((address) => answers(DATAGRAM_TYPE.challenge, address));
    if (found === undefined) return false;
    this.#paths.adopt(now, found);
    this.#output.emit({ type: 'peer-moved', remote: this.remote, announced: false });
    return this.#answered(now);
  }

  #pathAnswered(now: Instant, path: Path): boolean {
    const what = this.#paths.answered(now, path);
    const { remote } = this;
    if (what === 'undone') this.#output.emit({ type: 'move-undone', remote });
    else if (what === 'validated') this.#output.emit({ type: 'validated', remote });
    return path === this.#paths.current && this.#answered(now);
  }

  /** The peer receives what we send on the present path, and we what it sends. */
  #answered(now: Instant): boolean {
    const question = this.#question;
    if (question === undefined) return false;
    const awaited = question.pathOpen;
    if (awaited) {
      question.pathOpen = false;
      const gapMs = now - question.since;
      if (question.lostTold) this.#output.emit({ type: 'found', gapMs });
      if (question.kind === 'announcement') this.#output.emit({ type: 'moved', gapMs });
    }
    if (question.done) this.#question = undefined;
    return awaited;
  }

  // ---- what we ask ---------------------------------------------------------------------------------------------------

  /** A question that is open goes on as the new one, but counts from its beginning. */
  ask(kind: QuestionKind, now: Instant, list?: Uint8Array): void {
    const open = this.#question;
    const since = open?.pathOpen === true ? open.since : now;
    this.#question = new Question(kind, now, since, list ?? open?.list);
  }

  learn(now: Instant, addresses: readonly TransportAddress[]): void {
    this.#known ??= new KnownAddresses();
    this.#known.learn(addresses);
    this.#question?.restart(now, true);
  }

  /** The flow is confirmed: what was to be said before counts from now. `asks`: there has to be something. */
  begin(now: Instant, asks: boolean): void {
    const early = this.#question;
    if (early !== undefined || asks) this.#question = new Question(early?.kind ?? 'ask', now, now, early?.list);
  }

  /** Without paths' challenges: those run also while nothing is asked. */
  pollTimeout(): Instant | undefined {
    return earliest(this.#question?.deadline, this.#paths.nextChallenge());
  }

  handleTimeout(now: Instant): void {
    this.challengePaths(now);
    const question = this.#question;
    if (question === undefined) return;
    const repetition = question.takeDue(now);
    if (repetition !== undefined && !question.done) this.#sendQuestion(now, question, repetition);
    if (question.takeLost(now)) this.#output.emit({ type: 'lost' });
    if (question.done) this.#question = undefined;
  }

  challengePaths(now: Instant): void {
    for (const path of this.#paths.takeChallenges(now)) {
      this.#output.counters.challenges += 1;
      this.challenge(now, path);
    }
    if (this.#paths.expire(now)) this.#output.emit({ type: 'move-undone', remote: this.remote });
  }

  /** `bytes`: of the whole packet, padded with zeros. */
  challenge(now: Instant, to: TransportAddress, bytes = 0, vouched = false): void {
    const payload = new Uint8Array(Math.max(CHALLENGE_BYTES, bytes - DATAGRAM_HEADER_BYTES - TAG_BYTES));
    payload.set(this.#tokens.token(now, this.#channel, DATAGRAM_TYPE.challenge, to));
    this.#output.transmit(now, DATAGRAM_TYPE.challenge, payload, to, vouched);
  }

  #sendQuestion(now: Instant, question: Question, repetition: number): void {
    const { current } = this.#paths;
    const moved = question.kind === 'announcement' && repetition === 0;
    if (question.pathOpen) this.#askCurrent(now, moved ? MOVE_BYTES : QUESTION_BYTES);
    if (question.list !== undefined) this.#sendList(now, question.list);
    if (question.kind === 'ask' && question.pathOpen && repetition === ASK_ELSEWHERE_FROM) {
      this.#output.emit({ type: 'silent' });
    }
    if (!question.takeElsewhere(repetition)) return;
    for (const address of this.#known?.all ?? []) {
      if (!current.is(address)) this.challenge(now, address, 0, true);
    }
  }

  /**
   * Both may have moved and then lost each other's packets until neither had any allowance left. Questions, few and
   * small, get through then to where the peer was said to be under its key.
   */
  #askCurrent(now: Instant, bytes: number): void {
    const { current } = this.#paths;
    if (current.validated) return this.challenge(now, current, bytes);
    this.challenge(now, current, 0, this.#known?.has(current) === true);
  }

  #sendList(now: Instant, list: Uint8Array): void {
    const { current } = this.#paths;
    const payload = new Uint8Array(CHALLENGE_BYTES + list.length);
    payload.set(this.#tokens.token(now, this.#channel, DATAGRAM_TYPE.addresses, current));
    payload.set(list, CHALLENGE_BYTES);
    this.#output.transmit(now, DATAGRAM_TYPE.addresses, payload, current);
  }
}
