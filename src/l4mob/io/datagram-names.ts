/**
 * Datagram names: under which address the application knows each peer of one socket. A flow keeps its name wherever its
 * peer goes. Whoever else turns up at an address that is the name of a flow (addresses are given out again) gets an
 * alias: the same address with a port that nobody has, so that the application never takes one for the other.
 */
import type { TransportAddress } from '../../core/address.ts';
import { AddressMap } from '../../core/address-map.ts';
import type { FlowDriver } from './flow-driver.ts';

/** Strangers at former addresses of peers are few. The one that came first goes first, and gets another alias. */
export const MAX_ALIASES = 256;
const FIRST_PORT = 1024;
const PORTS = 0x10000 - FIRST_PORT;
/** Prime, and no divisor of how many there are: the walk comes to all of them. */
const PORT_STEP = 7919;

/** A plain peer that goes by another name. */
export class Alias {
  readonly name: TransportAddress;
  readonly address: TransportAddress;

  constructor(name: TransportAddress, address: TransportAddress) {
    this.name = name;
    this.address = address;
  }
}

export interface PlainPeers {
  /** Whether the application knows somebody by that address who has no name here. */
  knows(address: TransportAddress): boolean;
}

export class DatagramNames {
  readonly #plainPeers: PlainPeers;
  readonly #named = new AddressMap<FlowDriver | Alias>();
  /** By where they really are, in the order in which they came. */
  readonly #aliases = new AddressMap<Alias>();
  #aliasOrder: Set<Alias> | undefined;

  constructor(plainPeers: PlainPeers) {
    this.#plainPeers = plainPeers;
  }

  /** Nobody has a name but what is its address. */
  get empty(): boolean {
    return this.#named.size === 0;
  }

  get(name: TransportAddress): FlowDriver | Alias | undefined {
    return this.#named.get(name);
  }

  /**
   * Under which name a new flow goes whose peer is at that address: by it, by the alias that the peer had until now, or
   * by another. Undefined where none is left.
   */
  nameFor(address: TransportAddress): TransportAddress | undefined {
    const { ip, port } = address;
    if (this.#named.get(address) === undefined) return { ip, port };
    const alias = this.#aliases.get(address);
    if (alias === undefined) return this.#unusedName(address);
    this.#forget(alias);
    return alias.name;
  }

  take(driver: FlowDriver): void {
    this.#named.set(driver.name, driver);
  }

  /** The name is free again, unless another has taken it. */
  release(driver: FlowDriver): void {
    if (this.#named.get(driver.name) === driver) this.#named.delete(driver.name);
  }

  /** The alias of whoever sends from an address that is another's name. Undefined where none is left. */
  aliasFor(address: TransportAddress): Alias | undefined {
    const known = this.#aliases.get(address);
    if (known !== undefined) return known;
    this.#aliasOrder ??= new Set();
    const [oldest] = this.#aliasOrder;
    if (oldest !== undefined && this.#aliasOrder.size >= MAX_ALIASES) this.#forget(oldest);
    const name = this.#unusedName(address);
    if (name === undefined) return undefined;
    const alias = new Alias(name, { ip: address.ip, port: address.port });
    this.#named.set(alias.name, alias);
    this.#aliases.set(alias.address, alias);
    this.#aliasOrder.add(alias);
    return alias;
  }

  clear(): void {
    this.#named.clear();
    this.#aliases.clear();
    this.#aliasOrder = undefined;
  }

  #forget(alias: Alias): void {
    if (this.#named.get(alias.name) === alias) this.#named.delete(alias.name);
    this.#aliases.delete(alias.address);
    this.#aliasOrder?.delete(alias);
  }

  /** Ports in an order that leaves the neighbours of well-known ones alone. */
  #unusedName({ ip, port }: TransportAddress): TransportAddress | undefined {
    for (let step = 1; step < PORTS; step++) {
      const name = { ip, port: FIRST_PORT + ((port + step * PORT_STEP) % PORTS) };
      if (this.#named.get(name) === undefined && !this.#plainPeers.knows(name)) return name;
    }
    return undefined;
  }
}
