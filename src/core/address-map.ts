/**
 * Address map: values by transport address, looked up without building a key: one look by port, one by address. Most
 * ports have one peer behind them, and that one costs no map of its own.
 */
import type { TransportAddress } from './address.ts';

class Single<Value> {
  readonly ip: string;
  value: Value;

  constructor(ip: string, value: Value) {
    this.ip = ip;
    this.value = value;
  }
}

export class AddressMap<Value> {
  readonly #byPort = new Map<number, Single<Value> | Map<string, Value>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ ip, port }: TransportAddress): Value | undefined {
    const found = this.#byPort.get(port);
    if (found === undefined) return undefined;
    if (found instanceof Single) return found.ip === ip ? found.value : undefined;
    return found.get(ip);
  }

  set({ ip, port }: TransportAddress, value: Value): void {
    const found = this.#byPort.get(port);
    if (found === undefined) this.#byPort.set(port, new Single(ip, value));
    else if (!(found instanceof Single)) {
      this.#size -= found.size;
      found.set(ip, value);
      this.#size += found.size;
      return;
    } else if (found.ip === ip) {
      found.value = value;
      return;
    } else {
      this.#byPort.set(
        port,
        new Map([
          [found.ip, found.value],
          [ip, value],
        ]),
      );
    }
    this.#size += 1;
  }

  delete({ ip, port }: TransportAddress): void {
    const found = this.#byPort.get(port);
    if (found === undefined) return;
    if (found instanceof Single ? found.ip !== ip : !found.delete(ip)) return;
    this.#size -= 1;
    if (found instanceof Single || found.size === 0) this.#byPort.delete(port);
  }

  clear(): void {
    this.#byPort.clear();
    this.#size = 0;
  }
}
