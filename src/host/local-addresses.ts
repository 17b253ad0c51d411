/**
 * A local address as mobisock sees it, and the reading of all of them without the kernel's event interface.
 */
import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { addressText, canonicalAddress, familyOf, isLinkLocal, isLoopback } from '../core/address.ts';

const INET6_FLAGS_FILE = '/proc/net/if_inet6';
// IFA_F_* of linux/if_addr.h.
const INET6_TEMPORARY = 0x01;
const INET6_DAD_FAILED = 0x08;
const INET6_DEPRECATED = 0x20;
const INET6_TENTATIVE = 0x40;

/** An address of this host. Identity is interface, address and prefix length; the flags may change under it. */
export interface LocalAddress {
  /** Canonical text; an IPv6 link-local address carries its zone (`fe80::1%eth0`). */
  readonly ip: string;
  readonly prefixLength: number;
  readonly interfaceName: string;
  /** The kernel's index; 0 where it is not known (IPv4 by {@link readLocalAddresses}). */
  readonly interfaceIndex: number;
  readonly scope: 'global' | 'link' | 'host';
  /** Duplicate address detection is still running: not usable yet, so never among the usable addresses. */
  readonly tentative: boolean;
  /** Past its preferred lifetime: good for what uses it, not for anything new. */
  readonly deprecated: boolean;
  /** A privacy address (RFC 8981), soon replaced by another. */
  readonly temporary: boolean;
}

/**
 * The usable addresses by `os.networkInterfaces()`, which works everywhere. It leaves out interfaces that are down or
 * without carrier, but tells no flags; on Linux those of IPv6 addresses come from procfs, elsewhere they are false.
 * Throws a system error where the list can't be had (no free descriptor).
 */
export function readLocalAddresses(): LocalAddress[] {
  const flagsOf = readInet6Flags();
  const addresses: LocalAddress[] = [];
  for (const [interfaceName, infos = []] of Object.entries(networkInterfaces())) {
    for (const info of infos) {
      const ip = canonicalAddress(info.address);
      const prefixLength = prefixLengthOf(info.cidr);
      if (ip === undefined || prefixLength === undefined) continue;
      const known = flagsOf.get(`${interfaceName} ${ip}`);
      const flags = known?.flags ?? 0;
      if ((flags & (INET6_TENTATIVE | INET6_DAD_FAILED)) !== 0) continue;
      addresses.push({
        ip: withZone(ip, interfaceName),
        prefixLength,
        interfaceName,
        interfaceIndex: known?.interfaceIndex ?? info.scopeid ?? 0,
        scope: scopeOf(ip),
        tentative: false,
        deprecated: (flags & INET6_DEPRECATED) !== 0,
        temporary: (flags & INET6_TEMPORARY) !== 0,
      });
    }
  }
  return addresses;
}

/** {@link readLocalAddresses}, or `last` while the list can't be had: that is no reason to give up addresses. */
export function rereadLocalAddresses(last: readonly LocalAddress[]): readonly LocalAddress[] {
  try {
    return readLocalAddresses();
  } catch {
    return last;
  }
}

/** The zone that an IPv6 link-local address needs to mean anything. */
export function withZone(ip: string, interfaceName: string): string {
  return familyOf(ip) === 6 && isLinkLocal(ip) && !ip.includes('%') ? `${ip}%${interfaceName}` : ip;
}

/** What reaches how far, by the address alone. */
export function scopeOf(ip: string): LocalAddress['scope'] {
  if (isLoopback(ip)) return 'host';
  return isLinkLocal(ip) ? 'link' : 'global';
}

/** Identity of a local address, as a map key. */
export function localAddressKey({ interfaceName, ip, prefixLength }: LocalAddress): string {
  return `${interfaceName} ${ip}/${prefixLength}`;
}

/**
 * Those by which others find this host: no loopback, nothing that means something on one link only. What is on a loopback
 * interface may be an anycast address, by which others find somebody else (docs/aarp.md): it counts only where the host
 * has no other of that family.
 */
export function findableAddresses(addresses: readonly LocalAddress[]): string[] {
  const loopbackInterfaces = new Set(addresses.filter(({ ip }) => isLoopback(ip)).map((each) => each.interfaceName));
  const findable = addresses.filter(({ ip, scope }) => scope === 'global' && !isLinkLocal(ip));
  const onLinks = findable.filter(({ interfaceName }) => !loopbackInterfaces.has(interfaceName));
  const families = new Set(onLinks.map(({ ip }) => familyOf(ip)));
  return findable.filter((each) => onLinks.includes(each) || !families.has(familyOf(each.ip))).map(({ ip }) => ip);
}

/** What came and what went between two readings. */
export function diffLocalAddresses(
  before: readonly LocalAddress[],
  after: readonly LocalAddress[],
): { readonly added: LocalAddress[]; readonly removed: LocalAddress[] } {
  const keysBefore = new Set(before.map(localAddressKey));
  const keysAfter = new Set(after.map(localAddressKey));
  return {
    added: after.filter((address) => !keysBefore.has(localAddressKey(address))),
    removed: before.filter((address) => !keysAfter.has(localAddressKey(address))),
  };
}

function prefixLengthOf(cidr: string | null): number | undefined {
  const slash = cidr?.lastIndexOf('/') ?? -1;
  return cidr === null || slash < 0 ? undefined : Number(cidr.slice(slash + 1));
}

/** Lines of address, interface index, prefix length, scope, flags (all hexadecimal) and interface name. */
function readInet6Flags(): Map<string, { interfaceIndex: number; flags: number }> {
  const known = new Map<string, { interfaceIndex: number; flags: number }>();
  let text: string;
  try {
    text = readFileSync(INET6_FLAGS_FILE, 'latin1');
  } catch {
    return known; // not Linux, or no IPv6
  }
  for (const line of text.split('\n')) {
    const [address = '', index = '', , , flags = '', name = ''] = line.trim().split(/\s+/);
    if (!/^[0-9a-f]{32}$/.test(address)) continue;
    const ip = addressText(Buffer.from(address, 'hex'));
    known.set(`${name} ${ip}`, { interfaceIndex: Number.parseInt(index, 16), flags: Number.parseInt(flags, 16) });
  }
  return known;
}
