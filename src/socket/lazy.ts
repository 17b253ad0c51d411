/**
 * What a process has one of, loaded when a socket first needs it: most of the package's code is behind it, and most
 * processes never open a socket that can be mobile, or send to an anycast address (ADR 10). Synchronous, as `connect()` is.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AddressSelection } from '../addrsel/io/address-selection.ts';
import type { AddressInformer } from '../host/address-watch.ts';
import { SharedVerdicts } from './connect/shared-verdicts.ts';
import type { LayerOptions } from './layer.ts';
import type { Policy } from './policy/policy.ts';

const require = createRequire(import.meta.url);

/** This process's choice among addresses by a table. Throws a UsageError that says what is wrong in which file. */
export function namedTable(name: string): AddressSelection {
  return (
    require('../socket/process-address-selection.js') as typeof import('./process-address-selection.ts')
  ).processAddressSelection(name);
}

// The build puts this file into dist/chunks, from where the paths are the same.
const endpointModule = (): typeof import('./process-endpoint.ts') => require('../socket/process-endpoint.js');
const aarpdModule = (): typeof import('./process-aarpd.ts') => require('../socket/process-aarpd.js');

/** The service of this host, which hears the kernel, tells who does not. */
export function addressInformer(path: string): AddressInformer {
  return (onNews) =>
    aarpdModule()
      .processAarpd(path)
      .watch(([what]) => {
        if (what === 'added' || what === 'removed' || what === 'links' || what === 'routes') onNews(what === 'routes');
      }, true);
}

/** What this process's sockets are to be made of, by this policy. */
export function layerOptions(policy: Policy): LayerOptions {
  const { addrsel, aarpd, knowsAnycast } = policy;
  return {
    policy,
    endpoint: () => endpointModule().processEndpoint(policy),
    addressOrder: addrsel === undefined ? undefined : namedTable(addrsel),
    anycast: knowsAnycast
      ? { mayBe: (address) => policy.mayBeAnycast(address), resolver: () => aarpdModule().processResolver(policy) }
      : undefined,
    sharedVerdicts:
      aarpd === undefined
        ? undefined
        : new SharedVerdicts(() => (existsSync(aarpd) ? aarpdModule().processVerdicts(aarpd) : undefined)),
  };
}
