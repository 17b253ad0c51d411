/**
 * Path: one place where a flow's peer is or seems to be, and how much may be sent there. Until the peer has shown that
 * it receives there, it is no more than three times what came from there (RFC 9000, section 8.1): who forges a source
 * address must not be able to aim our traffic at it.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { CHALLENGE_STEPS } from './flow-timing.ts';
import { Ladder } from './ladder.ts';

export const AMPLIFICATION_LIMIT = 3;
/**
 * Kept back for the flow's own packets, half of what came and this at most: a path whose allowance is used up by data
 * could never be validated. A short question from somewhere else is answered all the same.
 */
const CONTROL_RESERVE_BYTES = 400;

export class Path implements TransportAddress {
  readonly ip: string;
  readonly port: number;
  /** The peer said that it moved here, by a larger state sequence number. Otherwise only the source address says so. */
  announced = false;
  /** When the flow went elsewhere from here. */
  leftAt: Instant = 0;
  #validated: boolean;
  #receivedBytes = 0;
  #sentBytes = 0;
  #challenge: Ladder | undefined;

  constructor({ ip, port }: TransportAddress, validated: boolean) {
    this.ip = ip;
    this.port = port;
    this.#validated = validated;
  }

  get validated(): boolean {
    return this.#validated;
  }

  /** How often it was challenged in this validation. */
  get challenges(): number {
    return this.#challenge?.taken ?? 0;
  }

  /** When it is to be challenged next; undefined: not, or not any more. */
  get challengeAt(): Instant | undefined {
    return this.#challenge?.at;
  }

  is({ ip, port }: TransportAddress): boolean {
    return port === this.port && ip === this.ip;
  }

  /** A verified packet came from there. */
  received(bytes: number): void {
    if (!this.#validated) this.#receivedBytes += bytes;
  }

  /** Whether data of that size may go there; counts it if so. */
  spendOnData(bytes: number): boolean {
    return this.#validated || this.#spend(bytes, Math.min(CONTROL_RESERVE_BYTES, this.#receivedBytes / 2));
  }

  /** The same for one of the flow's own packets. */
  spendOnControl(bytes: number): boolean {
    return this.#validated || this.#spend(bytes, 0);
  }

  #spend(bytes: number, reserve: number): boolean {
    if (this.#sentBytes + bytes + reserve > AMPLIFICATION_LIMIT * this.#receivedBytes) return false;
    this.#sentBytes += bytes;
    return true;
  }

  /** Begins a validation, unless one is under way. */
  startChallenge(now: Instant): void {
    if (this.#challenge?.at === undefined) this.#challenge = new Ladder(CHALLENGE_STEPS, now);
  }

  takeChallenge(now: Instant): boolean {
    return this.#challenge?.takeDue(now) === true;
  }

  validate(): void {
    this.#validated = true;
    this.#challenge = undefined;
  }
}
