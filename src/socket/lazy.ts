/**
 * What a process has one of, loaded when a socket first needs it: most of the package's code is behind it, and most
 * processes never open a socket that can be mobile, or send to an anycast address (ADR 10). Synchronous, as `connect()` is.
 */
import { createRequire } from 'node:module';
import type { AddressSelection } from '../addrsel/io/address-selection.ts';
import type { LayerOptions } from './layer.ts';
import type { Policy } from './policy/policy.ts';

const require = createRequire(import.meta.url);

/** This process's choice among addresses by a table. Throws a UsageError that says what is wrong in which file. */
export function namedTable(name: string): AddressSelection {
  return (
    require('../socket/process-address-selection.js') as typeof import('./process-address-selection.ts')
  ).processAddressSelection(name);
}

/** What this process's sockets are to be made of, by this policy. */
export function layerOptions(policy: Policy): LayerOptions {
  const { addrsel } = policy;
  return {
    policy,
    // The build puts this file into dist/chunks, from where the paths are the same.
    endpoint: () =>
      (require('../socket/process-endpoint.js') as typeof import('./process-endpoint.ts')).processEndpoint(policy),
    ...(addrsel === undefined ? {} : { addressOrder: namedTable(addrsel) }),
    ...(policy.knowsAnycast
      ? {
          anycast: {
            mayBe: (address: string) => policy.mayBeAnycast(address),
            resolver: () =>
              (require('../socket/process-resolver.js') as typeof import('./process-resolver.ts')).processResolver(
                policy,
              ),
          },
        }
      : {}),
  };
}
