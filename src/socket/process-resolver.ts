/**
 * The resolver of anycast addresses for this process, whichever of the package's entry points needs it first.
 */
import { EmbeddedResolver } from '../aarp/io/embedded-resolver.ts';
import type { Resolver } from '../aarp/resolution.ts';
import { debug } from './diagnostics.ts';

let made: Resolver | undefined;

/** @throws Error that says why where no probe can be sent. */
export function processResolver(): Resolver {
  made ??= makeResolver();
  return made;
}

function makeResolver(): Resolver {
  const resolver = new EmbeddedResolver();
  const { echoFailure } = resolver;
  if (echoFailure !== undefined) debug('anycast: no echo requests: %s', echoFailure.message);
  return resolver;
}
