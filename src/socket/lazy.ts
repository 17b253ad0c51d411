/**
 * The endpoint of this process, loaded at the first connect, listen or bind that needs one: most of the package's code is
 * behind it, and most processes never open a socket that can be mobile (ADR 8).
 */
import { createRequire } from 'node:module';
import type { SocketEndpoint } from './layer.ts';
import type { Policy } from './policy/policy.ts';

const require = createRequire(import.meta.url);

/** As `process-endpoint.ts` says. Synchronous, as `connect()` is. */
export function processEndpoint(policy: Policy): SocketEndpoint {
  // The build puts this file into dist/chunks, from where the path is the same.
  const loaded = require('../socket/process-endpoint.js') as typeof import('./process-endpoint.ts');
  return loaded.processEndpoint(policy);
}
