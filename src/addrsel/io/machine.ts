/**
 * This machine as the rules see it: where packets to a destination would go, and from which address. Each call asks
 * the kernel anew. The addresses are those of `readAddressFacts`.
 */
import { addressBytes, canonicalAddress } from '../../core/address.ts';
import { UsageError } from '../../core/errors.ts';
import type { AddressFacts } from '../../host/address-facts.ts';
import { withZone } from '../../host/local-addresses.ts';
import { type ResolvedRoute, resolveRoute } from '../../host/route-lookup.ts';
import type { Destination } from '../destination-rules.ts';
import { SCOPE } from '../scope.ts';
import type { SourceAddress } from '../source-address.ts';

export interface RoutedDestination extends Destination {
  readonly source: SourceAddress | undefined;
  /** The first router on the way; undefined on-link, and where there is no route. */
  readonly nextHop: string | undefined;
}

/**
 * A destination with the source that the kernel would choose, as getaddrinfo finds it out by a connect that sends
 * nothing; without one where there is no route.
 *
 * @throws UsageError where `ip` is no address.
 */
export function routeDestination(ip: string, addresses: readonly AddressFacts[]): RoutedDestination {
  // The kernel finds a route to these without a zone too, but a connect to them fails.
  const route = needsZone(ip) ? undefined : resolveRoute(ip);
  if (route === undefined) return { ip: canonical(ip), source: undefined, nextHop: undefined };
  // The way to an address of our own is by the loopback interface, whatever link the address is on.
  const interfaceName = zoneName(ip) ?? route.interfaceName;
  return {
    ip: canonical(ip),
    source: sourceOf(route, interfaceName, addresses),
    interfaceName,
    nextHop: route.nextHopIp,
    encapsulated: addresses.some((address) => address.tunnel && address.interfaceName === interfaceName),
  };
}

function sourceOf(route: ResolvedRoute, interfaceName: string, addresses: readonly AddressFacts[]): SourceAddress {
  const sourceIp = withZone(route.sourceIp.split('%')[0] as string, interfaceName);
  const same = addresses.filter(({ ip }) => ip === sourceIp);
  const found = same.find((address) => address.interfaceName === interfaceName) ?? same[0];
  // An address that came just now, or that no interface has (a route's `src` on a host with ip_nonlocal_bind).
  return found ?? { ip: sourceIp, prefixLength: sourceIp.includes(':') ? 128 : 32, interfaceName };
}

/** The interface that a zone names; undefined where it has the interface's number. */
function zoneName(ip: string): string | undefined {
  const zone = ip.split('%')[1];
  return zone === undefined || /^\d+$/.test(zone) ? undefined : zone;
}

/** Of link-local scope or less, and without a zone. */
function needsZone(ip: string): boolean {
  const [first = 0, second = 0, ...rest] = addressBytes(ip) ?? [];
  if (rest.length < 14 || ip.includes('%')) return false;
  return (first === 0xfe && second >> 6 === 2) || (first === 0xff && (second & 0xf) <= SCOPE.linkLocal);
}

function canonical(ip: string): string {
  const text = canonicalAddress(ip);
  if (text === undefined) throw new UsageError(`address selection: not an address: ${ip}`);
  return text;
}
