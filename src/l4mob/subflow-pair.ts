/**
 * The subflows of one session: the current one, and the confirmed one before it, which is listened to, and fallen back
 * on, until the current one is confirmed. Never more than these two.
 */
import type { Instant } from '../core/time.ts';
import type { SessionRole } from './session-event.ts';
import type { SessionIdentity } from './session-identity.ts';
import { Subflow } from './subflow.ts';

export class SubflowPair {
  readonly #role: SessionRole;
  readonly #close: (subflow: Subflow, graceful: boolean) => void;
  #current: Subflow | undefined;
  #previous: Subflow | undefined;

  /** `close` is called for every subflow that is to be closed from here. */
  constructor(role: SessionRole, close: (subflow: Subflow, graceful: boolean) => void) {
    this.#role = role;
    this.#close = close;
  }

  get current(): Subflow | undefined {
    return this.#current;
  }

  find(id: number): Subflow | undefined {
    if (this.#current?.id === id) return this.#current;
    return this.#previous?.id === id ? this.#previous : undefined;
  }

  /** Puts a new subflow in the place of the current one. Its number is the state sequence number of its hello. */
  replace(now: Instant, id: number, number: number, identity: SessionIdentity, roundTripMs: number): Subflow {
    const { suite, keys, portPair } = identity;
    const initiator = this.#role === 'initiator';
    const old = this.#current;
    const subflow = new Subflow({
      id,
      number,
      portPair,
      sealer: suite.sealer(initiator ? keys.recordFromInitiator : keys.recordFromResponder),
      opener: suite.opener(initiator ? keys.recordFromResponder : keys.recordFromInitiator),
      now,
      roundTripMs,
      replaced: old,
    });
    if (old !== undefined) {
      if (initiator && old.confirmed && this.#previous === undefined) this.#previous = old;
      else this.#close(old, false);
    }
    this.#current = subflow;
    return subflow;
  }

  /** The current subflow has proved itself: the one before is of no use any more. */
  settle(): void {
    if (this.#previous !== undefined) this.#close(this.#previous, false);
    this.#previous = undefined;
  }

  /** A connection is gone. Returns the current subflow where it was that one; then the one before takes its place. */
  lose(id: number): Subflow | undefined {
    if (this.#previous?.id === id) this.#previous = undefined;
    const lost = this.#current;
    if (lost?.id !== id) return undefined;
    this.#current = this.#previous;
    this.#previous = undefined;
    return lost;
  }

  closeAll(graceful: boolean): void {
    this.settle();
    if (this.#current !== undefined) this.#close(this.#current, graceful);
    this.#current = undefined;
  }
}
