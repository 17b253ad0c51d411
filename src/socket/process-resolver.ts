/**
 * The resolver of anycast addresses for this process, whichever of the package's entry points needs it first.
 */
import { DaemonResolver } from '../aarp/io/daemon-resolver.ts';
import { EmbeddedResolver } from '../aarp/io/embedded-resolver.ts';
import type { Resolver } from '../aarp/resolution.ts';
import { debug } from './diagnostics.ts';
import type { Policy } from './policy/policy.ts';

let made: Resolver | undefined;

/** Through the service of this host, where the policy knows one. @throws Error that says why no probe can be sent. */
export function processResolver({ aarpd: path }: Pick<Policy, 'aarpd'>): Resolver {
  made ??= path === undefined ? makeResolver() : new DaemonResolver({ path, fallback: makeResolver });
  return made;
}

function makeResolver(): Resolver {
  const resolver = new EmbeddedResolver();
  const { echoFailure } = resolver;
  if (echoFailure !== undefined) debug('anycast: no echo requests: %s', echoFailure.message);
  return resolver;
}
