/**
 * Name lookup as the operating system does it (hosts file included), for mobisock's own questions.
 */
import { lookup } from 'node:dns';
import { canonicalAddress } from '../core/address.ts';

/**
 * All addresses of a name, in the system's order; a literal address is its own. Calls back once, never inside the call,
 * with no addresses and the reason where there are none.
 */
export function lookupAddresses(
  name: string,
  onDone: (addresses: string[], error: NodeJS.ErrnoException | undefined) => void,
): void {
  lookup(name, { all: true, verbatim: true }, (error, found) => {
    if (error !== null) return onDone([], error);
    const addresses = found.map(({ address }) => canonicalAddress(address)).filter((ip) => ip !== undefined);
    onDone([...new Set(addresses)], undefined);
  });
}
