/**
 * The policy file: from text to checked settings. Pure; `load-policy.ts` does the reading. The reference for people is
 * docs/policy.md.
 */
import { readJsonFile } from '../../core/json-file.ts';
import type { JsonValue } from '../../core/json-text.ts';
import { type Check, integer, list, type Problems, record, type Shape } from '../../core/shape.ts';
import {
  aarpd,
  addrsel,
  anycast,
  destination,
  groups,
  host,
  LEAST_NAT_KEEPALIVE_MS,
  LONGEST_HEAD_START_MS,
  LONGEST_MS,
  mobility,
  portRange,
  prefix,
  rendezvous,
  sessionPort,
  suites,
} from './policy-shapes.ts';
import {
  type ConfiguredPeer,
  LIMIT_BOUNDS,
  type Limits,
  type ListenerRule,
  type OutgoingRule,
  type PolicySettings,
} from './settings.ts';

/** Room for the rules and peers below with long names; anything larger is another file given by mistake. */
export const POLICY_FILE_LIMIT_BYTES = 262_144;
/** Rules are tried one after another: this many cost some microseconds, a small part of the connect they decide. */
export const RULE_LIMIT = 1000;
/** As for rules; `from` lists are tried once per session that comes in. */
export const PREFIX_LIMIT = 1000;
/** Peers are looked up by key, so only memory counts. */
export const PEER_LIMIT = 1000;

const limits: Shape<Limits> = record(
  {},
  Object.fromEntries(Object.entries(LIMIT_BOUNDS).map(([name, { least, most }]) => [name, integer(least, most)])),
);

const outgoingRule: Shape<OutgoingRule> = needsOneOf(
  ['to', 'port'],
  'for every destination use the key "mobility" of the file',
  record({ mobility }, { to: destination, port: portRange }),
);

const listenerRule: Shape<ListenerRule> = needsOneOf(
  ['mobility', 'from'],
  'otherwise it decides nothing',
  record({}, { address: prefix, port: portRange, mobility, from: list(prefix, PREFIX_LIMIT) }),
);

const peer: Shape<ConfiguredPeer> = record(
  { host, port: integer(1, 65_535, 'a port'), sessionPort: integer(1, 65_535, 'a port') },
  {},
);

const policyFile: Shape<PolicySettings> = record(
  {},
  {
    mobility,
    suites,
    groups,
    sessionPort,
    sessionTimeoutMs: integer(1, LONGEST_MS),
    headStartMs: integer(0, LONGEST_HEAD_START_MS),
    natKeepAliveMs: integer(LEAST_NAT_KEEPALIVE_MS, LONGEST_MS),
    anycast,
    aarpd,
    addrsel,
    rendezvous,
    limits,
    rules: list(outgoingRule, RULE_LIMIT),
    listeners: list(listenerRule, RULE_LIMIT),
    peers: distinctPeers(list(peer, PEER_LIMIT)),
  },
);

/** `name` is for messages. What cannot be used is noted and left out. */
export function readPolicyFile(name: string, bytes: Uint8Array, problems: Problems): PolicySettings {
  const check: Check = { problems, code: 'ERR_MOBISOCK_POLICY' };
  return readJsonFile(name, bytes, POLICY_FILE_LIMIT_BYTES, policyFile, check) ?? {};
}

function needsOneOf<T>(keys: readonly [string, string], why: string, shape: Shape<T>): Shape<T> {
  return (value, place, check) => {
    const checked = shape(value, place, check);
    if (value instanceof Map && !keys.some((key) => value.has(key))) {
      check.problems.add(place, check.code, `expected "${keys[0]}", "${keys[1]}" or both; ${why}`);
    }
    return checked;
  };
}

function distinctPeers(shape: Shape<readonly ConfiguredPeer[]>): Shape<readonly ConfiguredPeer[]> {
  return (value: JsonValue, place, check) => {
    const peers = shape(value, place, check);
    const seen = new Set<string>();
    for (const { host: name, port } of peers ?? []) {
      const key = `${name} ${port}`;
      if (seen.has(key)) check.problems.add(place, check.code, `host "${name}" with port ${port} is there twice`);
      seen.add(key);
    }
    return peers;
  };
}
