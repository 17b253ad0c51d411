/** Methods of one handle, replaced on the instance alone and put back as they were. */
import type { UdpHandle } from './dgram-internals.ts';

export class HandleShadows {
  readonly #handle: UdpHandle;
  /** What was on the instance itself before; undefined where that was nothing. */
  readonly #before = new Map<keyof UdpHandle, PropertyDescriptor | undefined>();

  constructor(handle: UdpHandle) {
    this.#handle = handle;
  }

  cast<Name extends keyof UdpHandle>(name: Name, method: UdpHandle[Name]): void {
    if (!this.#before.has(name)) this.#before.set(name, Object.getOwnPropertyDescriptor(this.#handle, name));
    Object.defineProperty(this.#handle, name, { value: method, configurable: true, enumerable: true, writable: true });
  }

  lift(name: keyof UdpHandle): void {
    if (!this.#before.has(name)) return;
    const before = this.#before.get(name);
    this.#before.delete(name);
    if (before === undefined) Reflect.deleteProperty(this.#handle, name);
    else Object.defineProperty(this.#handle, name, before);
  }

  liftAll(): void {
    for (const name of [...this.#before.keys()]) this.lift(name);
  }
}
