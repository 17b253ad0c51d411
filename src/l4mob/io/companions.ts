/**
 * Companions: the UDP sockets beside one listener of the application, on its port number, at which L4_INITs arrive.
 *
 * An answer has to come from the address that was asked, for the initiator hears no other. A socket on the wildcard
 * address answers from the one that the route prefers, so where a family has several usable addresses a wildcard
 * listener has a companion on each of them, which come and go with the addresses. The wildcard address itself is left
 * then: to have both takes SO_REUSEADDR, with which datagrams of another program could end up here.
 */
import cluster from 'node:cluster';
import { type Family, familyOf, isLinkLocal, isUnspecified, type TransportAddress } from '../../core/address.ts';
import type { LocalAddress } from '../../host/local-addresses.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';

/** Addresses of a host that a listener answers at; a descriptor each. Hosts with more are asked at the first of them. */
export const MAX_COMPANIONS = 32;

export interface CompanionsInit {
  /** What the application's listener is bound to. */
  readonly address: string;
  readonly port: number;
  readonly ipv6Only: boolean;
  /** The usable addresses of this host now. */
  ownAddresses(): readonly LocalAddress[];
  /** The answer to a datagram; undefined for none. */
  answer(bytes: Buffer, from: TransportAddress): Uint8Array | undefined;
  /** Nobody is heard at that address. */
  onError(address: string, error: NodeJS.ErrnoException): void;
}

export class Companions {
  readonly #init: CompanionsInit;
  /** By address. What could not be bound stays, and is tried again when its address has come anew. */
  readonly #ports = new Map<string, UdpPort>();
  #closed = false;

  constructor(init: CompanionsInit) {
    this.#init = init;
    this.follow();
  }

  /** Whether there is one for each address of this host, so that {@link follow} has to be called when these change. */
  get perAddress(): boolean {
    return isUnspecified(this.#init.address) && !this.#ports.has(this.#init.address);
  }

  /** Opens and closes what the addresses of this host ask for now. */
  follow(): void {
    if (this.#closed) return;
    const { address: bound, ipv6Only, ownAddresses } = this.#init;
    // A cluster's workers share these sockets, and can't leave the wildcard address all at once.
    const always = cluster.isWorker;
    const wanted = new Set(
      isUnspecified(bound) ? companionAddresses(bound, ipv6Only, ownAddresses(), always) : [bound],
    );
    // First what goes: the wildcard address excludes all others.
    for (const [address, port] of this.#ports) {
      if (wanted.has(address)) continue;
      port.close();
      this.#ports.delete(address);
    }
    for (const address of wanted) if (!this.#ports.has(address)) this.#ports.set(address, this.#open(address));
  }

  /** For good: the port number is somebody else's, or the listener is gone. */
  close(): void {
    this.#closed = true;
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
  }

  #open(address: string): UdpPort {
    const { port, ipv6Only, answer, onError } = this.#init;
    const companion = openUdpPort({
      address,
      port,
      ipv6Only,
      onDatagram: (bytes, from) => {
        const reply = answer(bytes, from);
        if (reply !== undefined) companion.send(reply, from);
      },
      onError: (error) => onError(address, error),
    });
    return companion;
  }
}

/**
 * Where a listener on the address `wildcard` has companions: there, or on this host's own addresses. `always`: on these
 * even where none of its families has several.
 */
function companionAddresses(
  wildcard: string,
  ipv6Only: boolean,
  addresses: readonly LocalAddress[],
  always: boolean,
): string[] {
  const families: readonly Family[] = wildcard === '0.0.0.0' ? [4] : ipv6Only ? [6] : [6, 4];
  const own = addresses.filter(({ ip }) => families.includes(familyOf(ip)));
  const usable = own.filter(({ ip, scope }) => scope === 'global' && !isLinkLocal(ip));
  const several = families.some((family) => usable.filter(({ ip }) => familyOf(ip) === family).length > 1);
  if (own.length === 0 || (!several && !always)) return [wildcard];
  const linkLocal = own.filter(({ ip }) => isLinkLocal(ip));
  const byUse = [...usable, ...own.filter((one) => !linkLocal.includes(one)), ...linkLocal];
  return [...new Set(byUse.map(({ ip }) => ip))].slice(0, MAX_COMPANIONS);
}
