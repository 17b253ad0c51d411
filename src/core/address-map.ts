/**
 * Address map: values by transport address, looked up without building a key: one look by port, one by address. Most
 * ports have one peer behind them, and that one costs no map of its own; nor does a map with one entry, which is all
 * that most sockets need: an empty Map takes 250 bytes.
 */
import type { TransportAddress } from './address.ts';

class Entry<Value> {
  readonly ip: string;
  readonly port: number;
  value: Value;

  constructor({ ip, port }: TransportAddress, value: Value) {
    this.ip = ip;
    this.port = port;
    this.value = value;
  }
}

export class AddressMap<Value> {
  /** While there is one. */
  #only: Entry<Value> | undefined;
  /** From the second on, until there is none. */
  #byPort: Map<number, Entry<Value> | Map<string, Value>> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get({ ip, port }: TransportAddress): Value | undefined {
    const found = this.#byPort === undefined ? this.#only : this.#byPort.get(port);
    if (found === undefined) return undefined;
    if (found instanceof Entry) return found.port === port && found.ip === ip ? found.value : undefined;
    return found.get(ip);
  }

  set(address: TransportAddress, value: Value): void {
    const only = this.#only;
    if (only === undefined && this.#byPort === undefined) {
      this.#only = new Entry(address, value);
      this.#size = 1;
    } else if (only !== undefined && only.port === address.port && only.ip === address.ip) {
      only.value = value;
    } else {
      this.#byPort ??= new Map(only && [[only.port, only]]);
      this.#only = undefined;
      this.#size += setByPort(this.#byPort, address, value);
    }
  }

  delete({ ip, port }: TransportAddress): void {
    const byPort = this.#byPort;
    const found = byPort === undefined ? this.#only : byPort.get(port);
    if (found === undefined) return;
    if (found instanceof Entry ? found.port !== port || found.ip !== ip : !found.delete(ip)) return;
    this.#size -= 1;
    if (this.#size === 0) this.clear();
    else if (found instanceof Entry || found.size === 0) byPort?.delete(port);
  }

  clear(): void {
    this.#only = undefined;
    this.#byPort = undefined;
    this.#size = 0;
  }
}

/** Returns by how much there are more. */
function setByPort<Value>(
  byPort: Map<number, Entry<Value> | Map<string, Value>>,
  address: TransportAddress,
  value: Value,
): 0 | 1 {
  const { ip, port } = address;
  const found = byPort.get(port);
  if (found === undefined) byPort.set(port, new Entry(address, value));
  else if (found instanceof Map) {
    const before = found.size;
    return found.set(ip, value).size > before ? 1 : 0;
  } else if (found.ip === ip) {
    found.value = value;
    return 0;
  } else byPort.set(port, new Map([[found.ip, found.value]]).set(ip, value));
  return 1;
}
