/**
 * The address watch where the kernel's events can't be had: node's own list, read again and again. Sees addresses come
 * and go, late by up to the interval unless somebody tells; sees links only by their addresses, and no routes.
 */
import type { AddressChange } from './address-watch.ts';
import { monotonicNow } from './clock.ts';
import { diffLocalAddresses, type LocalAddress, rereadLocalAddresses } from './local-addresses.ts';

/** Reading the list costs 0.1 to 0.2 ms: at most two thousandths of one core. */
const POLL_MS = 100;

const startTimer = globalThis.setInterval;
const stopTimer = globalThis.clearInterval;

export class PollingWatch {
  readonly #onChange: (change: AddressChange) => void;
  readonly #timer: NodeJS.Timeout;
  #addresses: readonly LocalAddress[] = rereadLocalAddresses([]);

  constructor(onChange: (change: AddressChange) => void) {
    this.#onChange = onChange;
    this.#timer = startTimer(() => this.look(), POLL_MS);
    this.#timer.unref();
  }

  /** Reads the list now. `routesChanged`: what it does not show, as somebody else knows. */
  look(routesChanged: boolean = false): void {
    const before = this.#addresses;
    const after = rereadLocalAddresses(before);
    this.#addresses = after;
    const { added, removed } = diffLocalAddresses(before, after);
    if (added.length === 0 && removed.length === 0 && !routesChanged) return;
    const linksChanged = interfaceNames(before) !== interfaceNames(after);
    this.#onChange({ at: monotonicNow(), added, removed, routesChanged, linksChanged });
  }

  get addresses(): readonly LocalAddress[] {
    return this.#addresses;
  }

  close(): void {
    stopTimer(this.#timer);
  }
}

function interfaceNames(addresses: readonly LocalAddress[]): string {
  return [...new Set(addresses.map(({ interfaceName }) => interfaceName))].sort().join('\n');
}
