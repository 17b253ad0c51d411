/**
 * Question: "I am here now; are you there?", said again until the peer has answered. Asked after a move of our own (an
 * announcement), and after silence. With it goes the list of our addresses, until the peer has that too.
 */
import { earliest, type Instant } from '../../core/time.ts';
import {
  ANNOUNCE_STEPS,
  ASK_ELSEWHERE_FROM,
  ASK_STEPS,
  LOST_AGAIN_MS,
  LOST_MS,
  MAX_ASKED_ELSEWHERE,
} from './flow-timing.ts';
import { Ladder } from './ladder.ts';

/** A peer that answers, but never the list, does without it. */
const MOST_LISTS = 20;

export type QuestionKind = 'announcement' | 'ask';

export class Question {
  readonly kind: QuestionKind;
  readonly since: Instant;
  readonly #ladder: Ladder;
  #askedElsewhere = 0;
  #elsewhereFrom = ASK_ELSEWHERE_FROM;
  #lostTold = false;
  #lostAt: Instant;
  /** The list of our addresses, encoded, while the peer does not have it. */
  list: Uint8Array | undefined;
  /** The peer has still to answer on any path. */
  pathOpen = true;

  constructor(kind: QuestionKind, now: Instant, since: Instant, list: Uint8Array | undefined) {
    this.kind = kind;
    this.since = since;
    this.list = list;
    this.#lostAt = since + LOST_MS;
    this.#ladder = new Ladder(kind === 'announcement' ? ANNOUNCE_STEPS : ASK_STEPS, now);
  }

  get done(): boolean {
    return !this.pathOpen && this.list === undefined;
  }

  /** Whether the owner was told that the peer can't be found. */
  get lostTold(): boolean {
    return this.#lostTold;
  }

  get deadline(): Instant | undefined {
    return this.pathOpen ? earliest(this.#lostAt, this.#ladder.at) : this.#ladder.at;
  }

  takeLost(now: Instant): boolean {
    if (!this.pathOpen || now < this.#lostAt) return false;
    this.#lostTold = true;
    this.#lostAt = now + LOST_AGAIN_MS;
    return true;
  }

  /** Something has changed on the way to the peer: ask at once again; elsewhere too, where that is what changed. */
  restart(now: Instant, elsewhere = false): void {
    this.#ladder.restart(now);
    this.#askedElsewhere = 0;
    this.#elsewhereFrom = elsewhere ? 0 : ASK_ELSEWHERE_FROM;
  }

  /** Whether to ask now, and for the how manyth time (from 0); undefined: not yet. */
  takeDue(now: Instant): number | undefined {
    const taken = this.#ladder.taken;
    if (!this.pathOpen && taken >= MOST_LISTS) this.list = undefined;
    return this.#ladder.takeDue(now) ? taken : undefined;
  }

  /** Whether the peer's other addresses are to be asked with this repetition. */
  takeElsewhere(repetition: number): boolean {
    if (!this.pathOpen || repetition < this.#elsewhereFrom || this.#askedElsewhere >= MAX_ASKED_ELSEWHERE) return false;
    this.#askedElsewhere += 1;
    return true;
  }
}
