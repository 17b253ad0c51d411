/**
 * The endpoint of this process as the policy wants it. One, whichever of the package's entry points needs it first: its
 * peers, session ports and address watch serve all of them.
 */
import { Endpoint } from '../l4mob/io/endpoint.ts';
import { groupByName } from '../l4mob/key-agreement.ts';
import { suiteByName } from '../l4mob/suite.ts';
import { debug, sessionLifeReporter } from './diagnostics.ts';
import type { SocketEndpoint } from './layer.ts';
import { addressInformer, namedTable } from './lazy.ts';
import type { Policy } from './policy/policy.ts';

let made: Endpoint | undefined;

/** `policy` counts for the first call only; it comes from this process's environment, so all calls bring the same. */
export function processEndpoint(policy: Policy): SocketEndpoint {
  made ??= makeEndpoint(policy);
  return made;
}

function makeEndpoint(policy: Policy): Endpoint {
  const { suites, groups, sessionPort, sessionTimeoutMs, natKeepAliveMs, rendezvous, addrsel, aarpd, limits } = policy;
  return new Endpoint({
    ...(suites === undefined ? {} : { suites: suites.map(suiteByName).filter((s) => s !== undefined) }),
    ...(groups === undefined ? {} : { groups: groups.map(groupByName).filter((g) => g !== undefined) }),
    ...(sessionPort === undefined ? {} : { sessionPorts: [sessionPort.first, sessionPort.last] as const }),
    ...(rendezvous === undefined ? {} : { rendezvous }),
    ...(natKeepAliveMs === undefined ? {} : { natKeepAliveMs }),
    ...(addrsel === undefined ? {} : { sourcesFor: (ip: string) => namedTable(addrsel).sourcesFor(ip) }),
    ...(policy.knowsAnycast ? { mayBeAnycast: (ip: string) => policy.mayBeAnycast(ip) } : {}),
    ...(aarpd === undefined ? {} : { addressInformer: addressInformer(aarpd) }),
    limits: { ...limits, ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }) },
    onLife: sessionLifeReporter(policy.events),
    onWarning: (message) => debug('%s', message),
  });
}
