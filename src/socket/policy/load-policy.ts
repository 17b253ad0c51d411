/**
 * Loads the policy when the process starts: the environment, then the policy file if one is named. The only part of
 * the policy that reads a file.
 */
import { Place, Problems } from '../../core/shape.ts';
import { readFileStart } from '../../host/file-start.ts';
import { namedTable } from '../lazy.ts';
import { type Environment, isSwitchedOff, readEnvironment } from './environment.ts';
import { Policy } from './policy.ts';
import { POLICY_FILE_LIMIT_BYTES, readPolicyFile } from './policy-file.ts';
import type { PolicySettings } from './settings.ts';

/** Returns the file's bytes, at most `limitBytes` of them. Throws as node's `fs` does. */
export type ReadFile = (path: string, limitBytes: number) => Uint8Array;

/** Takes a table of address selection into use. Throws a UsageError that says what is wrong in which file. */
export type UseTable = (name: string) => unknown;

/**
 * The policy that holds for this process. What the environment says wins over the file, key by key.
 *
 * @throws UsageError with every problem of both, and of the table that they name: ERR_MOBISOCK_ENVIRONMENT or
 * ERR_MOBISOCK_POLICY.
 */
export function loadPolicy(
  env: Environment,
  readFile: ReadFile = readFileStart,
  useTable: UseTable = namedTable,
): Policy {
  if (isSwitchedOff(env)) return new Policy({}, false);
  const problems = new Problems();
  const { policyFile, settings } = readEnvironment(env, problems);
  const fromFile = policyFile === undefined ? {} : settingsOf(policyFile, readFile, problems);
  const policy = new Policy({ ...fromFile, ...settings });
  if (policy.addrsel !== undefined) noteTableProblems(policy.addrsel, useTable, problems);
  problems.throwIfAny();
  return policy;
}

/** Here, because most processes name no table, and should not load what reads one. */
function noteTableProblems(name: string, useTable: UseTable, problems: Problems): void {
  try {
    useTable(name);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.add(new Place('address selection'), 'ERR_MOBISOCK_POLICY', reason);
  }
}

function settingsOf(path: string, readFile: ReadFile, problems: Problems): PolicySettings {
  let bytes: Uint8Array;
  try {
    // One byte more than allowed shows that the file is too large.
    bytes = readFile(path, POLICY_FILE_LIMIT_BYTES + 1);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    problems.add(new Place(`MOBISOCK_POLICY: ${path}`), 'ERR_MOBISOCK_POLICY', `cannot be read: ${reason}`);
    return {};
  }
  return readPolicyFile(path, bytes, problems);
}
