/**
 * Update exchange: tells one peer by L4_UPDATE where we are until it has answered. Lost ones are repeated at once and
 * then ever more seldom: while the peer itself is in an outage, only patience helps.
 */
import type { Instant } from '../core/time.ts';

/** Waits between repetitions, in milliseconds; the last one repeats. */
const WAITS_MS = [20, 40, 80, 160, 320, 640, 1280, 2500] as const;

export class UpdateExchange {
  #step = 0;
  #sendAt: Instant | undefined;
  #firstPacketNumber = 0;

  /** Repeated so often that only somebody who waits for the peer should go on. */
  get exhausted(): boolean {
    return this.#step > WAITS_MS.length;
  }

  /** There is news; answers to packets before `packetNumber` don't cover it. */
  start(now: Instant, packetNumber: number): void {
    this.#step = 0;
    this.#sendAt = now;
    this.#firstPacketNumber = packetNumber;
  }

  answered(packetNumber: number): void {
    if (packetNumber >= this.#firstPacketNumber) this.stop();
  }

  stop(): void {
    this.#sendAt = undefined;
  }

  pollTimeout(): Instant | undefined {
    return this.#sendAt;
  }

  /** Whether an L4_UPDATE is to be sent now; schedules the next one. */
  takeDue(now: Instant): boolean {
    if (this.#sendAt === undefined || now < this.#sendAt) return false;
    const wait = WAITS_MS[Math.min(this.#step, WAITS_MS.length - 1)] as number;
    this.#step += 1;
    this.#sendAt = now + wait;
    return true;
  }
}
