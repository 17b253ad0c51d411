/**
 * Dialing: when the initiator asks for a new subflow, and what it means that none is to be had. docs/protocol.md,
 * "Dialing".
 *
 * A subflow that stands proves nothing: a port forwarder accepts for a dead server. So the ladder starts over only
 * with news from the network, or once a peer has confirmed a hello.
 */
import { Deadlines } from '../core/deadlines.ts';
import type { Instant } from '../core/time.ts';
import { DialLadder } from './dial-ladder.ts';

/** All of the peer's addresses refuse: wait this long for word that it has moved, then believe that it is gone. */
const REFUSED_MEANS_GONE_MS = 1_000;

export class Dialing {
  readonly #ladder: DialLadder = new DialLadder();
  readonly #deadlines: Deadlines<'dial' | 'refused'> = new Deadlines(['dial', 'refused']);
  #underWay = false;
  #refusedSince: Instant | undefined;

  get underWay(): boolean {
    return this.#underWay;
  }

  /** Whether a dial is under way or has its time set. */
  get pending(): boolean {
    return this.#underWay || this.#deadlines.get('dial') !== undefined;
  }

  /** A new subflow is wanted, at its time on the ladder. Returns whether that is now. */
  request(now: Instant): boolean {
    if (this.pending) return false;
    const wait = this.#ladder.nextWaitMs();
    if (wait > 0) {
      this.#deadlines.set('dial', now + wait);
      return false;
    }
    this.#underWay = true;
    return true;
  }

  /** A new subflow is wanted at once, whatever was going on. */
  start(): void {
    this.#deadlines.clear('dial');
    this.#underWay = true;
  }

  /** There is news from the network: no stale back-off. */
  restartLadder(): void {
    this.#ladder.restart();
  }

  /** A connection stands; whether the peer is behind it is still to be seen. */
  attached(): void {
    this.#underWay = false;
    this.#deadlines.clear('dial');
    this.#deadlines.clear('refused');
  }

  /** No connection, for another reason than a refusal. */
  unreachable(): void {
    this.#underWay = false;
    this.notRefused();
  }

  /** The peer's host refuses, at all of its addresses, or knows nothing of the session. */
  refused(now: Instant): void {
    this.#underWay = false;
    this.#refusedSince ??= now;
    this.#deadlines.set('refused', this.#refusedSince + REFUSED_MEANS_GONE_MS);
  }

  /** The peer was heard, or may just be out of reach. */
  notRefused(): void {
    if (this.#refusedSince === undefined) return;
    this.#refusedSince = undefined;
    this.#deadlines.clear('refused');
  }

  /** No dial is wanted any more: the path works, or the session is over. */
  settle(): void {
    this.#underWay = false;
    this.#deadlines.clearAll();
    this.#refusedSince = undefined;
    this.#ladder.restart();
  }

  pollTimeout(): Instant | undefined {
    return this.#deadlines.next();
  }

  /** `dial`: it is time for one, see {@link start}. `gone`: the peer refused for so long that it is believed gone. */
  takeDue(now: Instant): 'dial' | 'gone' | undefined {
    const due = this.#deadlines.takeDue(now);
    return due === 'refused' ? 'gone' : due;
  }
}
