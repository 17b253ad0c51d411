/**
 * Settings of one UDP handle that the kernel keeps and node cannot ask it for: noted as the application makes them, so
 * that another handle can take the first one's place.
 */
import type { UdpHandle } from './dgram-internals.ts';

/** What makes settings. */
export type Setter =
  | 'setTTL'
  | 'setBroadcast'
  | 'setMulticastTTL'
  | 'setMulticastLoopback'
  | 'setMulticastInterface'
  | 'bufferSize'
  | 'addMembership'
  | 'dropMembership'
  | 'addSourceSpecificMembership'
  | 'dropSourceSpecificMembership';

const SCALARS: readonly Setter[] = [
  'setTTL',
  'setBroadcast',
  'setMulticastTTL',
  'setMulticastLoopback',
  'setMulticastInterface',
];
/** Those that join, and what takes it back. */
const MEMBERSHIPS: readonly (readonly [Setter, Setter])[] = [
  ['addMembership', 'dropMembership'],
  ['addSourceSpecificMembership', 'dropSourceSpecificMembership'],
];
export const SETTERS: readonly Setter[] = [...SCALARS, 'bufferSize', ...MEMBERSHIPS.flat()];

interface Setting {
  readonly name: Setter;
  readonly args: readonly unknown[];
}

export class HandleSettings {
  /** By what they set. No more memberships than the kernel takes, since only what has succeeded is here. */
  readonly #made = new Map<string, Setting>();

  /** What was called, and what it returned. */
  note(name: Setter, args: readonly unknown[], result: unknown): void {
    const left = MEMBERSHIPS.find(([, leave]) => leave === name);
    if (name === 'bufferSize') {
      // Receive or send buffer; a size of 0 asks, and the last argument takes an error.
      const [size, which] = args;
      if (result !== undefined && size !== 0) this.#made.set(`${name} ${which}`, { name, args: [size, which, {}] });
    } else if (result !== 0) return;
    else if (left !== undefined) this.#made.delete(`${left[0]} ${args}`);
    else this.#made.set(MEMBERSHIPS.some(([join]) => join === name) ? `${name} ${args}` : name, { name, args });
  }

  applyTo(handle: UdpHandle): void {
    for (const { name, args } of this.#made.values()) (handle[name] as (...args: unknown[]) => unknown)(...args);
  }
}
