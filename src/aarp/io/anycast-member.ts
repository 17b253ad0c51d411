/**
 * A member of anycast addresses: joins them, so that the kernel takes what is sent there, and answers AARP probes about
 * them with this host's unicast addresses, which it follows as they change. Keeps the process alive until it is closed.
 *
 * An address that the host has already (on its loopback interface, say, with a route announced by a routing daemon) is
 * not joined: it is there, and its owner knows why. Nor is an IPv4 address, which is like any other.
 */
import { canonicalAddress, familyOf, isLinkLocal, isLoopback, type TransportAddress } from '../../core/address.ts';
import { UsageError } from '../../core/errors.ts';
import { type AddressWatch, openAddressWatch } from '../../host/address-watch.ts';
import { type AnycastMembership, joinAnycast } from '../../host/anycast-membership.ts';
import { monotonicNow } from '../../host/clock.ts';
import type { LocalAddress } from '../../host/local-addresses.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import { AarpMember, type MemberCounters } from '../member.ts';
import { AARP_PORT } from '../wire/aarp.ts';
import { checkKey } from './embedded-resolver.ts';

export interface AnycastMemberOptions {
  /** The anycast addresses; an IPv6 one may name its interface: `fd00::53%eth0`. At most {@link MAX_SERVED}. */
  readonly serves: readonly string[];
  /** Where probes are heard; default `::`, which takes IPv4 as well. */
  readonly address?: string;
  /** 4476 where left out; 0 for any. */
  readonly port?: number;
  /** As the resolvers have it. */
  readonly key?: Uint8Array;
  /** For how long resolvers are asked to keep the answer; 0, the default, leaves it to them. */
  readonly lifetimeMs?: number;
  /** What is told instead of all addresses of this host that others can reach. */
  readonly unicast?: readonly string[];
}

export interface AnycastMember {
  /** Where probes are heard. */
  readonly address: TransportAddress;
  /** Those of the addresses that were joined; the others were there. */
  readonly joined: readonly string[];
  /** What came and what became of it. */
  counters(): Readonly<MemberCounters>;
  /** Leaves the addresses. Idempotent. */
  close(): void;
}

/** Each is a socket; a host with more services than this has a range, and a routing daemon for it. */
export const MAX_SERVED = 64;

/**
 * @throws (rejects with) UsageError for what can't be an address, ERR_MOBISOCK_ENVIRONMENT where one can't be joined;
 * node's error where the port can't be had: EADDRINUSE, EACCES.
 */
export async function openAnycastMember(options: AnycastMemberOptions): Promise<AnycastMember> {
  const { serves, address = '::', port = AARP_PORT, key, lifetimeMs = 0, unicast } = options;
  if (serves.length > MAX_SERVED) throw new UsageError(`anycast: ${serves.length} addresses, at most ${MAX_SERVED}`);
  checkKey(key);
  const core = new AarpMember({ serves, key, lifetimeMs });
  const udp = await listen(address, port, core);
  const watch = openAddressWatch();
  const memberships: AnycastMembership[] = [];
  const close = (): void => {
    watch.close();
    for (const membership of memberships) membership.close();
    udp.close();
  };
  try {
    core.setAddresses(unicast ?? reachable(watch.addresses()));
    const missing = serves.filter((served) => isMissing(served, watch));
    for (const served of missing) memberships.push(joinAnycast(served));
    if (unicast === undefined) watch.subscribe(() => core.setAddresses(reachable(watch.addresses())));
    const heardAt = { ip: address, port: udp.port };
    return { address: heardAt, joined: missing, counters: () => ({ ...core.counters }), close };
  } catch (error) {
    close();
    throw error;
  }
}

function listen(address: string, port: number, core: AarpMember): Promise<UdpPort> {
  return new Promise((resolve, reject) => {
    const udp: UdpPort = openUdpPort({
      address,
      port,
      keepsAlive: true,
      onDatagram: (bytes, from) => {
        const reply = core.handleDatagram(monotonicNow(), bytes);
        if (reply !== undefined) udp.send(reply, from);
      },
      onError: reject,
    });
    if (udp.port !== 0) resolve(udp);
  });
}

function isMissing(served: string, watch: AddressWatch): boolean {
  const ip = canonicalAddress(served.split('%')[0] ?? '') ?? served;
  return familyOf(ip) === 6 && !watch.addresses().some((local) => local.ip === ip);
}

/** By others: no loopback, nothing that means something on one link only. Lasting addresses first. */
function reachable(addresses: readonly LocalAddress[]): string[] {
  return [...addresses]
    .filter(({ ip, tentative }) => !isLoopback(ip) && !isLinkLocal(ip) && !tentative)
    .sort((a, b) => Number(a.deprecated || a.temporary) - Number(b.deprecated || b.temporary))
    .map(({ ip }) => ip);
}
