/**
 * What this process has one of for anycast addresses and for the word of other processes, whichever of the package's
 * entry points needs it first: the resolver, and the connection to the service of this host.
 */
import { DaemonConnection } from '../aarp/io/daemon/daemon-connection.ts';
import { DaemonResolver } from '../aarp/io/daemon/daemon-resolver.ts';
import { DaemonVerdicts } from '../aarp/io/daemon/daemon-verdicts.ts';
import { EmbeddedResolver } from '../aarp/io/embedded-resolver.ts';
import type { Resolver } from '../aarp/resolution.ts';
import { debug, resolveReporter } from './diagnostics.ts';
import type { Policy } from './policy/policy.ts';
import { ReportedResolver } from './reported-resolver.ts';

let connection: DaemonConnection | undefined;
let resolver: Resolver | undefined;
let verdicts: DaemonVerdicts | undefined;

/** `path`: of aarpd's socket. It comes from this process's environment, so all calls bring the same. */
export function processAarpd(path: string): DaemonConnection {
  connection ??= new DaemonConnection(path);
  return connection;
}

/** Through the service of this host, where the policy knows one. @throws Error that says why no probe can be sent. */
export function processResolver({ aarpd: path, events }: Pick<Policy, 'aarpd' | 'events'>): Resolver {
  resolver ??= new ReportedResolver(
    path === undefined
      ? makeResolver()
      : new DaemonResolver({ connection: processAarpd(path), fallback: makeResolver }),
    resolveReporter(events),
  );
  return resolver;
}

export function processVerdicts(path: string): DaemonVerdicts {
  verdicts ??= new DaemonVerdicts(processAarpd(path));
  return verdicts;
}

function makeResolver(): Resolver {
  const made = new EmbeddedResolver();
  const { echoFailure } = made;
  if (echoFailure !== undefined) debug('anycast: no echo requests: %s', echoFailure.message);
  return made;
}
