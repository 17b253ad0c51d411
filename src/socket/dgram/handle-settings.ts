/**
 * Settings of one UDP handle that the kernel keeps and node cannot ask it for: noted as the application makes them, so
 * that another handle can take the first one's place.
 */
import type { UdpHandle } from './dgram-internals.ts';
import type { HandleShadows } from './handle-shadows.ts';

const SCALARS = [
  'setTTL',
  'setBroadcast',
  'setMulticastTTL',
  'setMulticastLoopback',
  'setMulticastInterface',
] as const satisfies readonly (keyof UdpHandle)[];
/** Those that join, and what takes it back. */
const MEMBERSHIPS = [
  ['addMembership', 'dropMembership'],
  ['addSourceSpecificMembership', 'dropSourceSpecificMembership'],
] as const satisfies readonly (readonly [keyof UdpHandle, keyof UdpHandle])[];

type Setter = (typeof SCALARS)[number] | (typeof MEMBERSHIPS)[number][number] | 'bufferSize';

interface Setting {
  readonly name: Setter;
  readonly args: readonly unknown[];
}

export class HandleSettings {
  /** By what they set. No more memberships than the kernel takes, since only what has succeeded is here. */
  readonly #made = new Map<string, Setting>();

  /** Notes what is set from now on. */
  castOn(handle: UdpHandle, shadows: HandleShadows): void {
    const cast = (name: Setter, note: (args: readonly unknown[]) => void): void => {
      const native = handle[name] as (...args: unknown[]) => number | undefined;
      const noting = (...args: unknown[]): number | undefined => {
        const result = native.apply(handle, args);
        if (name === 'bufferSize' ? result !== undefined && args[0] !== 0 : result === 0) note(args);
        return result;
      };
      shadows.cast(name, noting as UdpHandle[Setter]);
    };
    for (const name of SCALARS) cast(name, (args) => this.#made.set(name, { name, args }));
    // Receive or send buffer; the last argument takes an error.
    cast('bufferSize', ([size, which]) =>
      this.#made.set(`bufferSize ${which}`, { name: 'bufferSize', args: [size, which, {}] }),
    );
    for (const [join, leave] of MEMBERSHIPS) {
      cast(join, (args) => this.#made.set(`${join} ${args}`, { name: join, args }));
      cast(leave, (args) => this.#made.delete(`${join} ${args}`));
    }
  }

  applyTo(handle: UdpHandle): void {
    for (const { name, args } of this.#made.values()) (handle[name] as (...args: unknown[]) => unknown)(...args);
  }
}
