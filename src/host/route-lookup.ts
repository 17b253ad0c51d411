/**
 * Asks the kernel which way packets to an address would go: one request and answer over a short-lived netlink socket.
 * Costs some 50 us plus, the first time, loading koffi.
 */

import { canonicalAddress } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';
import { type Libc, loadLibc } from './libc.ts';
import { withZone } from './local-addresses.ts';
import { NetlinkSocket } from './netlink/netlink-socket.ts';
import { encodeRouteRequest, type RouteMessage } from './netlink/route-messages.ts';

export interface ResolvedRoute {
  /** The source address that the kernel would choose; link-local ones carry their zone. */
  readonly sourceIp: string;
  readonly interfaceName: string;
  /** The router that packets go to first; absent on-link. */
  readonly nextHopIp?: string;
}

/**
 * The route to `to` (any spelling, with a zone if link-local), or undefined where there is none or where it can't be
 * asked (no Linux, no koffi). Throws a UsageError where `to` is no address.
 */
export function resolveRoute(to: string): ResolvedRoute | undefined {
  const target = canonicalAddress(to);
  if (target === undefined) throw new UsageError(`route lookup: not an address: ${to}`);
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  let route: RouteMessage | undefined;
  let socket: NetlinkSocket | undefined;
  try {
    const zoneIndex = zoneIndexOf(libc, target);
    if (zoneIndex === 0) return undefined; // no such interface; the kernel would take 0 for "any"
    socket = new NetlinkSocket(libc, 0);
    socket.ask(
      (sequence) => encodeRouteRequest(sequence, target, zoneIndex),
      (message) => {
        if (message.kind === 'route') route = message;
      },
      'first',
    );
  } catch {
    return undefined; // ENETUNREACH, EHOSTUNREACH, EACCES (a prohibit route): no way there
  } finally {
    socket?.close();
  }
  if (route?.sourceIp === undefined || route.interfaceIndex === undefined) return undefined;
  const interfaceName = libc.interfaceName(route.interfaceIndex);
  if (interfaceName === undefined) return undefined;
  const sourceIp = withZone(route.sourceIp, interfaceName);
  if (route.gatewayIp === undefined) return { sourceIp, interfaceName };
  return { sourceIp, interfaceName, nextHopIp: withZone(route.gatewayIp, interfaceName) };
}

function zoneIndexOf(libc: Libc, ip: string): number | undefined {
  const zone = ip.split('%')[1];
  if (zone === undefined) return undefined;
  return /^\d+$/.test(zone) ? Number(zone) : libc.interfaceIndex(zone);
}
