/**
 * What the kernel knows of this host's addresses, for those who have to choose among them: more than the address watch
 * tells, tentative addresses included, in the kernel's own order. Asked for when needed; nothing is kept.
 */
import { readFileSync } from 'node:fs';
import { loadLibc } from './libc.ts';
import { readLocalAddresses, withZone } from './local-addresses.ts';
import { NetlinkSocket } from './netlink/netlink-socket.ts';
import type { AddressMessage, LinkMessage, RouteNetlinkMessage } from './netlink/route-messages.ts';

/** ARPHRD_TUNNEL, ARPHRD_TUNNEL6, ARPHRD_SIT of linux/if_arp.h: IP in IP. */
const TUNNEL_TYPES: ReadonlySet<number> = new Set([768, 769, 776]);

export interface AddressFacts {
  /** Canonical text; an IPv6 link-local address carries its zone. */
  readonly ip: string;
  readonly prefixLength: number;
  readonly interfaceName: string;
  /** Detection of duplicates runs, or has found one. */
  readonly tentative: boolean;
  readonly deprecated: boolean;
  readonly temporary: boolean;
  /** A home address of Mobile IPv6. False where netlink can't be had. */
  readonly home: boolean;
  /** Its interface prefers temporary addresses as sources (sysctl `use_tempaddr`). */
  readonly temporaryPreferred: boolean;
  /** Its interface is a tunnel of IP in IP. False where netlink can't be had. */
  readonly tunnel: boolean;
}

/** The addresses of all interfaces that are up, loopback included. Throws a system error. */
export function readAddressFacts(): AddressFacts[] {
  const libc = loadLibc();
  if (libc === undefined) return readWithoutNetlink();
  const snapshot = new Snapshot();
  const socket = new NetlinkSocket(libc, 0);
  try {
    socket.dump(snapshot);
  } finally {
    socket.close();
  }
  return snapshot.facts();
}

class Snapshot {
  readonly #links = new Map<number, LinkMessage>();
  readonly #addresses = new Map<string, AddressMessage>();

  handleMessage(message: RouteNetlinkMessage): 'none' {
    if (message.kind === 'link') this.#links.set(message.index, message);
    else if (message.kind === 'address') {
      this.#addresses.set(`${message.interfaceIndex} ${message.ip}/${message.prefixLength}`, message);
    }
    return 'none';
  }

  facts(): AddressFacts[] {
    const facts: AddressFacts[] = [];
    const preferences = new Map<string, boolean>();
    for (const { interfaceIndex, ip, prefixLength, tentative, dadFailed, ...flags } of this.#addresses.values()) {
      const link = this.#links.get(interfaceIndex);
      if (link?.up !== true) continue;
      const temporaryPreferred = preferences.get(link.name) ?? prefersTemporary(link.name);
      preferences.set(link.name, temporaryPreferred);
      facts.push({
        ip: withZone(ip, link.name),
        prefixLength,
        interfaceName: link.name,
        tentative: tentative || dadFailed,
        deprecated: flags.deprecated,
        temporary: flags.temporary,
        home: flags.home,
        temporaryPreferred,
        tunnel: TUNNEL_TYPES.has(link.hardwareType),
      });
    }
    return facts;
  }
}

function readWithoutNetlink(): AddressFacts[] {
  return readLocalAddresses().map(({ ip, prefixLength, interfaceName, tentative, deprecated, temporary }) => ({
    ip,
    prefixLength,
    interfaceName,
    tentative,
    deprecated,
    temporary,
    home: false,
    temporaryPreferred: prefersTemporary(interfaceName),
    tunnel: false,
  }));
}

function prefersTemporary(interfaceName: string): boolean {
  try {
    return Number(readFileSync(`/proc/sys/net/ipv6/conf/${interfaceName}/use_tempaddr`, 'latin1')) >= 2;
  } catch {
    return false; // not Linux, or no IPv6 on it
  }
}
