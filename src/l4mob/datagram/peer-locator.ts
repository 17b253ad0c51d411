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
import {
  CHALLENGE_BYTES,
  DATAGRAM_HEADER_BYTES,
  DATAGRAM_TYPE,
  type DatagramHeader,
  MAX_CONTROL_DATAGRAM_BYTES,
} from '../wire/datagram.ts';
import { decodeWhereabouts, type Whereabouts } from '../wire/update.ts';
import type { ChallengeTokens, ChallengeType } from './challenge-tokens.ts';
import type { FlowChannel } from './flow-channel.ts';
import type { FlowOutput } from './flow-output.ts';
import { KnownAddresses } from './known-addresses.ts';
import type { PathSet } from './path-set.ts';
import { Question, type QuestionKind } from './question.ts';

const CONTROL_ROOM = MAX_CONTROL_DATAGRAM_BYTES - DATAGRAM_HEADER_BYTES - TAG_BYTES;

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

  /** Whether a question is under way, or word of ours that the peer has not confirmed. */
  get asking(): boolean {
    return this.#question !== undefined;
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
      return;
    }
    const moves = newest && header.type !== DATAGRAM_TYPE.answer && header.stateSequence === this.#peerSequence;
    const followed = moves ? this.#paths.follow(now, from, announced, bytes) : 'pinned';
    if (followed === 'pinned') {
      this.#paths.find(from)?.received(bytes);
      return;
    }
    const { current: remote } = this.#paths;
    if (followed === 'undone') this.#output.emit({ type: 'move-undone', remote });
    else this.#output.emit({ type: 'peer-moved', remote, announced });
    this.#question?.restart(now);
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

  handleAnswer(now: Instant, token: Uint8Array): void {
    const answers = (type: ChallengeType, to: TransportAddress): boolean =>
      this.#tokens.isAnswer(now, this.#channel, type, to, token);
    const question = this.#question;
    for (const path of this.#paths.all()) {
      if (question?.list !== undefined && answers(DATAGRAM_TYPE.addresses, path)) question.list = undefined;
      else if (!answers(DATAGRAM_TYPE.challenge, path)) continue;
      const what = this.#paths.answered(now, path);
      const { current: remote } = this.#paths;
      if (what === 'undone') this.#output.emit({ type: 'move-undone', remote });
      else if (what === 'validated') this.#output.emit({ type: 'validated', remote });
      if (path === remote) this.#answered(now);
      return;
    }
    if (question?.pathOpen !== true) return;
    const found = this.#known?.all.find((address) => answers(DATAGRAM_TYPE.challenge, address));
    if (found === undefined) return;
    this.#paths.adopt(found);
    this.#output.emit({ type: 'peer-moved', remote: this.#paths.current, announced: false });
    this.#answered(now);
  }

  /** The peer receives what we send on the present path, and we what it sends. */
  #answered(now: Instant): void {
    const question = this.#question;
    if (question === undefined) return;
    if (question.pathOpen) {
      question.pathOpen = false;
      const gapMs = now - question.since;
      if (question.lostTold) this.#output.emit({ type: 'found', gapMs });
      if (question.kind === 'announcement') this.#output.emit({ type: 'moved', gapMs });
    }
    if (question.done) this.#question = undefined;
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

  restart(now: Instant): void {
    this.#question?.restart(now);
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
    if (repetition !== undefined) this.#sendQuestion(now, question, repetition);
    if (question.takeLost(now)) this.#output.emit({ type: 'lost' });
  }

  challengePaths(now: Instant): void {
    for (const path of this.#paths.takeChallenges(now)) this.challenge(now, path);
    if (this.#paths.expire()) this.#output.emit({ type: 'move-undone', remote: this.#paths.current });
  }

  /** `padded`: worth an allowance to the peer, to which our new path is not validated. */
  challenge(now: Instant, to: TransportAddress, padded = false): void {
    const token = this.#tokens.token(now, this.#channel, DATAGRAM_TYPE.challenge, to);
    const payload = padded ? new Uint8Array(CONTROL_ROOM) : token;
    if (padded) payload.set(token);
    this.#output.transmit(now, DATAGRAM_TYPE.challenge, payload, to);
  }

  #sendQuestion(now: Instant, question: Question, repetition: number): void {
    const { current } = this.#paths;
    if (question.pathOpen) this.challenge(now, current, question.kind === 'announcement' && repetition === 0);
    if (question.list !== undefined) this.#sendList(now, question.list);
    if (!question.takeElsewhere(repetition)) return;
    for (const address of this.#known?.all ?? []) if (!current.is(address)) this.challenge(now, address);
  }

  #sendList(now: Instant, list: Uint8Array): void {
    const { current } = this.#paths;
    const payload = new Uint8Array(CHALLENGE_BYTES + list.length);
    payload.set(this.#tokens.token(now, this.#channel, DATAGRAM_TYPE.addresses, current));
    payload.set(list, CHALLENGE_BYTES);
    this.#output.transmit(now, DATAGRAM_TYPE.addresses, payload, current);
  }
}
