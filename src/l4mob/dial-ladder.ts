/**
 * Dial ladder: when to try again for a new subflow. Any news from the network starts it over, so no stale back-off
 * is left when a network is back.
 */

/** Waits before the attempts, in milliseconds; the last one repeats. */
const WAITS_MS = [0, 30, 100, 250, 500, 1000, 2000] as const;

export class DialLadder {
  #step = 0;

  restart(): void {
    this.#step = 0;
  }

  nextWaitMs(): number {
    const wait = WAITS_MS[Math.min(this.#step, WAITS_MS.length - 1)] as number;
    this.#step += 1;
    return wait;
  }
}
