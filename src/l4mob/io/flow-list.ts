/**
 * Flow list: the flows of one socket, chained through their drivers. Most sockets have one, for which a Set would take
 * 190 bytes; and one that serves thousands takes and leaves each in constant time all the same.
 */
import type { FlowDriver } from './flow-driver.ts';

export class FlowList {
  #first: FlowDriver | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(driver: FlowDriver): boolean {
    return driver.list === this;
  }

  /** A driver is in one list at most. */
  add(driver: FlowDriver): void {
    driver.list = this;
    driver.nextInList = this.#first;
    if (this.#first !== undefined) this.#first.previousInList = driver;
    this.#first = driver;
    this.#size += 1;
  }

  delete(driver: FlowDriver): void {
    if (driver.list !== this) return;
    const { previousInList: previous, nextInList: next } = driver;
    if (previous === undefined) this.#first = next;
    else previous.nextInList = next;
    if (next !== undefined) next.previousInList = previous;
    driver.list = undefined;
    driver.previousInList = undefined;
    driver.nextInList = undefined;
    this.#size -= 1;
  }

  /** Of this moment: they may leave meanwhile. The one that came last is first. */
  all(): FlowDriver[] {
    const drivers: FlowDriver[] = [];
    for (let driver = this.#first; driver !== undefined; driver = driver.nextInList) drivers.push(driver);
    return drivers;
  }
}
