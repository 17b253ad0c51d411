/**
 * Methods in the place of a UDP handle's own: in a prototype before that of the handle, which all handles share, so that
 * a socket costs no function and its handle no property (a dozen of them make V8 keep a table for each handle). What
 * node has put on the instance itself, where it would come first, is replaced there. Taken off, all is as it was.
 */
import type { UdpHandle } from './dgram-internals.ts';

export type HandleMethods<Name extends keyof UdpHandle> = Pick<UdpHandle, Name> & ThisType<UdpHandle>;

export class HandleShadows<Name extends keyof UdpHandle> {
  readonly #methods: Pick<UdpHandle, Name>;
  readonly #names: readonly Name[];
  /** By the prototype that they stand before: as a rule there is one. */
  readonly #prototypes = new WeakMap<object, object>();

  constructor(methods: HandleMethods<Name>) {
    this.#methods = methods;
    this.#names = Object.keys(methods) as Name[];
  }

  /** Returns the methods as they were, each to be called on the handle. */
  castOn(handle: UdpHandle): Pick<UdpHandle, Name> {
    const below = Object.getPrototypeOf(handle) as object;
    const native = Object.create(below) as Pick<UdpHandle, Name>;
    for (const name of this.#names) {
      if (!Object.hasOwn(handle, name)) continue;
      Reflect.set(native, name, handle[name]);
      Reflect.set(handle, name, this.#methods[name]);
    }
    Object.setPrototypeOf(handle, this.#before(below));
    return native;
  }

  /** `native`: what {@link castOn} returned. */
  liftFrom(handle: UdpHandle, native: Pick<UdpHandle, Name>): void {
    for (const name of this.#names) {
      if (Object.hasOwn(native, name)) Reflect.set(handle, name, native[name]);
      else Reflect.deleteProperty(handle, name); // somebody else's, over ours
    }
    Object.setPrototypeOf(handle, Object.getPrototypeOf(native) as object);
  }

  #before(below: object): object {
    let prototype = this.#prototypes.get(below);
    if (prototype === undefined) {
      prototype = Object.create(below) as object;
      for (const name of this.#names) {
        Object.defineProperty(prototype, name, { value: this.#methods[name], configurable: true, writable: true });
      }
      this.#prototypes.set(below, prototype);
    }
    return prototype;
  }
}
