/** Broadcast to one network: which address that is depends on the networks that this host is on. */
import { addressBytes } from '../../core/address.ts';
import { readLocalAddresses } from '../../host/local-addresses.ts';

/** The broadcast address of a network that this host is on. Reads the interfaces, so ask only where it can be one. */
export function isDirectedBroadcast(ip: string): boolean {
  const bytes = addressBytes(ip);
  if (bytes?.length !== 4) return false;
  const asked = wordOf(bytes);
  return readLocalAddresses().some((local) => {
    const own = addressBytes(local.ip);
    // A /31 has no broadcast address (RFC 3021), a /32 no network.
    if (own?.length !== 4 || local.prefixLength > 30) return false;
    const hostBits = local.prefixLength === 0 ? 0xffffffff : 0xffffffff >>> local.prefixLength;
    return asked === (wordOf(own) | hostBits) >>> 0;
  });
}

function wordOf(bytes: Uint8Array): number {
  const [a, b, c, d] = bytes as unknown as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}
