/**
 * mobisock: importing it makes this process's TCP sessions outlive their addresses.
 *
 *     node --import mobisock app.js
 *
 * The policy comes from the environment (docs/policy.md). A wrong policy stops the program here, before it has done
 * anything. Loaded twice, it is installed once; with MOBISOCK=off it does nothing.
 *
 * A program may import it too, to look: `sessions()` lists what runs, `stats()` counts what came and what was turned
 * away, `uninstall()` takes everything back. Turns in a session's life are published on the diagnostics channels
 * `mobisock:session:open|move|suspend|resume|close`, members of anycast addresses on `mobisock:aarp:resolve`.
 */
import type { EndpointCounters, SessionInfo } from './l4mob/io/mobile-stream.ts';
import { type Installation, install } from './socket/install.ts';
import { layerOptions } from './socket/lazy.ts';
import { loadPolicy } from './socket/policy/load-policy.ts';

export type { EndpointCounters, Installation, SessionInfo };

const installation: Installation = install(layerOptions(loadPolicy(process.env)));

/** The sessions of this process, for those who look. */
export function sessions(): SessionInfo[] {
  return installation.sessions();
}

/** What came to this process and what of it was turned away, in counts that only rise: attacks, accidents, strangers. */
export function stats(): EndpointCounters {
  return installation.stats();
}

/** Ends every session with a reset and puts node's own functions back. */
export function uninstall(): void {
  installation.uninstall();
}
