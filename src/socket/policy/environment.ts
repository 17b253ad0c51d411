/**
 * The environment variables: from text to checked settings. Pure. The reference for people is docs/policy.md.
 *
 * A variable set to nothing counts as not set. `MOBISOCK_TEST_*` belongs to the project's tests and is left alone.
 */
import type { JsonValue } from '../../core/json-text.ts';
import { nearestName } from '../../core/nearest-name.ts';
import { type Check, oneOf, Place, type Problems, parsed, type Shape, suggestion } from '../../core/shape.ts';
import {
  aarpd,
  addrsel,
  anycast,
  duration,
  groups,
  LEAST_NAT_KEEPALIVE_MS,
  LONGEST_HEAD_START_MS,
  LONGEST_MS,
  mobility,
  rendezvous,
  sessionPort,
  suites,
} from './policy-shapes.ts';
import type { EventsTarget, PolicySettings } from './settings.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What each variable sets, how its text becomes a value, and the shape of that. */
const VARIABLES = {
  MOBISOCK_MOBILITY: ['mobility', asText, mobility],
  MOBISOCK_SUITES: ['suites', asList, suites],
  MOBISOCK_GROUPS: ['groups', asList, groups],
  MOBISOCK_SESSION_PORT: ['sessionPort', asText, sessionPort],
  MOBISOCK_SESSION_TIMEOUT: ['sessionTimeoutMs', asText, duration(1, LONGEST_MS)],
  MOBISOCK_HEAD_START: ['headStartMs', asText, duration(0, LONGEST_HEAD_START_MS)],
  MOBISOCK_NAT_KEEPALIVE: ['natKeepAliveMs', asText, duration(LEAST_NAT_KEEPALIVE_MS, LONGEST_MS)],
  MOBISOCK_ANYCAST: ['anycast', asList, anycast],
  MOBISOCK_AARPD: ['aarpd', asText, aarpd],
  MOBISOCK_ADDRSEL: ['addrsel', asText, addrsel],
  MOBISOCK_RENDEZVOUS: ['rendezvous', asList, rendezvous],
  MOBISOCK_EVENTS: ['events', asText, parsed(parseEvents)],
} as const satisfies Record<string, readonly [keyof PolicySettings, (text: string) => JsonValue, Shape<unknown>]>;

/** Every variable that mobisock knows. */
export const ENVIRONMENT_NAMES: readonly string[] = ['MOBISOCK', 'MOBISOCK_POLICY', ...Object.keys(VARIABLES)];

export interface EnvironmentReading {
  readonly policyFile: string | undefined;
  readonly settings: PolicySettings;
}

/** `MOBISOCK=off`: nothing else is looked at, so that it also helps against a broken policy. */
export function isSwitchedOff(env: Environment): boolean {
  return env.MOBISOCK === 'off';
}

/** What cannot be used is noted and left out. */
export function readEnvironment(env: Environment, problems: Problems): EnvironmentReading {
  const check: Check = { problems, code: 'ERR_MOBISOCK_ENVIRONMENT' };
  noteUnknownNames(env, check);
  if (env.MOBISOCK) oneOf(['on', 'off'])(env.MOBISOCK, new Place('MOBISOCK'), check);
  const settings: Record<string, unknown> = {};
  for (const [name, [key, read, shape]] of Object.entries(VARIABLES)) {
    const text = env[name];
    if (!text) continue;
    const value = shape(read(text.trim()), new Place('', name), check);
    if (value !== undefined) settings[key] = value;
  }
  return { policyFile: env.MOBISOCK_POLICY || undefined, settings };
}

function noteUnknownNames(env: Environment, { problems, code }: Check): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith('MOBISOCK_') || name.startsWith('MOBISOCK_TEST_') || ENVIRONMENT_NAMES.includes(name))
      continue;
    const prefixLength = 'MOBISOCK_'.length;
    // Compared without what all have in common, which would make every name look near.
    const endings = ENVIRONMENT_NAMES.map((known) => known.slice(prefixLength)).filter((ending) => ending !== '');
    const nearest = nearestName(name.slice(prefixLength), endings);
    const hint = suggestion(nearest === undefined ? undefined : `MOBISOCK_${nearest}`);
    problems.add(
      new Place(name.slice(0, 80)),
      code,
      `unknown variable, expected one of ${ENVIRONMENT_NAMES.join(', ')}${hint}`,
    );
  }
}

function asText(text: string): string {
  return text;
}

function asList(text: string): readonly string[] {
  return text.split(',').map((item) => item.trim());
}

/** A slash is asked for so that `MOBISOCK_EVENTS=1` does not become a file of that name. */
function parseEvents(text: string): EventsTarget | { readonly problem: string } {
  if (text === 'stderr') return { kind: 'stderr' };
  if (text.includes('/')) return { kind: 'file', path: text };
  return { problem: 'stderr, or the path of a file with a slash in it, such as ./events.jsonl' };
}
