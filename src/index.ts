/**
 * mobisock: importing it makes this process's TCP sessions outlive their addresses.
 *
 *     node --import mobisock app.js
 *
 * The policy comes from the environment (docs/policy.md). A wrong policy stops the program here, before it has done
 * anything. Loaded twice, it is installed once; with MOBISOCK=off it does nothing.
 */
import type { SessionInfo } from './l4mob/io/mobile-stream.ts';
import { type Installation, install } from './socket/install.ts';
import { loadPolicy } from './socket/policy/load-policy.ts';
import { makeProcessEndpoint } from './socket/process-endpoint.ts';

export type { Installation, SessionInfo };

const policy = loadPolicy(process.env);
const installation: Installation = install({ policy, endpoint: () => makeProcessEndpoint(policy) });

/** The sessions of this process, for those who look. */
export function sessions(): SessionInfo[] {
  return installation.sessions();
}

/** Ends every session with a reset and puts node's own functions back. */
export function uninstall(): void {
  installation.uninstall();
}
