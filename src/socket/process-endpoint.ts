/**
 * The endpoint of this process as the policy wants it.
 */
import { Endpoint } from '../l4mob/io/endpoint.ts';
import type { MobilityEndpoint } from '../l4mob/io/mobile-stream.ts';
import { groupByName } from '../l4mob/key-agreement.ts';
import { suiteByName } from '../l4mob/suite.ts';
import { debug, sessionLifeReporter } from './diagnostics.ts';
import type { Policy } from './policy/policy.ts';

export function makeProcessEndpoint(policy: Policy): MobilityEndpoint {
  const { suites, groups, sessionPort, sessionTimeoutMs, limits } = policy;
  const { replayLimitBytes, maxWindowBytes } = limits;
  return new Endpoint({
    ...(suites === undefined ? {} : { suites: suites.map(suiteByName).filter((s) => s !== undefined) }),
    ...(groups === undefined ? {} : { groups: groups.map(groupByName).filter((g) => g !== undefined) }),
    ...(sessionPort === undefined ? {} : { sessionPorts: [sessionPort.first, sessionPort.last] as const }),
    limits: {
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
      ...(replayLimitBytes === undefined ? {} : { replayLimitBytes }),
      ...(maxWindowBytes === undefined ? {} : { maxWindowBytes }),
    },
    onLife: sessionLifeReporter(policy.events),
    onWarning: (message) => debug('%s', message),
  });
}
