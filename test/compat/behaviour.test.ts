/**
 * Mobile sockets behave as node's: each scenario of programs/behaviour.mjs runs once as it is and once with mobisock
 * preloaded and both ends mobile, over loopback, and must print the same trace. Sides interleave as they like, so each
 * side's lines are compared on their own.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { builtPackage } from '../built-package.ts';

const PROGRAM = join(import.meta.dirname, 'programs', 'behaviour.mjs');
const directory = mkdtempSync(join(tmpdir(), 'mobisock-behaviour-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** The scenario, and how many sessions (an end of one each) there must have been at least. */
const SCENARIOS: readonly (readonly [scenario: string, ends: number])[] = [
  ['countsBytes', 2],
  ['countsBytesBeforeConnected', 2],
  ['tellsAddresses', 2],
  ['pausesAndResumes', 2],
  ['readsByReadable', 2],
  ['iterates', 2],
  ['readsIntoOneBuffer', 2],
  ['readsIntoNewBuffers', 2],
  ['drains', 2],
  ['timesOutOnlyWhenIdle', 2],
  ['timesOutByOption', 2],
  ['timesOutWhileBlocked', 2],
  ['connectsByName', 8],
  ['endsBothSides', 2],
  ['staysHalfOpen', 2],
  ['writesAfterTheEnd', 2],
  ['writesToOneThatHasGone', 2],
  ['destroysBeforeConnected', 0],
  ['endsBeforeConnected', 2],
  ['isRefused', 0],
  ['connectsAgain', 6],
  ['destroysWithUnreadData', 2],
  ['destroysInMidTransfer', 2],
  ['destroysBehindWrites', 2],
  ['destroysOnceConnected', 2],
  ['destroysSoon', 2],
  ['resets', 2],
  ['isResetByServer', 2],
  ['resetsWhileConnecting', 1],
  ['aborts', 1],
  ['throwsInListener', 2],
  ['leavesWithDataInFlight', 2],
  ['exitsWhenFinished', 2],
  ['exitsBehindAWrite', 2],
  ['exitsAtOnce', 2],
  ['exitsWhenUnreferenced', 2],
  ['staysWhileReferenced', 2],
  ['exitsWhenUnreferencedBeforeConnected', 0],
  ['closesBehindItsConnections', 4],
  ['dropsBeyondItsLimit', 6],
  ['pausesOnConnect', 4],
  ['appliesItsOptions', 2],
  ['acceptsMany', 50],
  ['isKnownByTheLocalPortThatItChose', 2],
  ['connectsToAClosedListener', 2],
  ['servesInAWorker', 2],
  ['connectsFromAWorker', 2],
  ['workerIsTerminated', 2],
];

describe.concurrent('A program runs on mobile sockets as on plain ones when it', () => {
  test.each(SCENARIOS)('%s', async (scenario, ends) => {
    const [plain, mobile] = await Promise.all([trace(scenario, []), mobileTrace(scenario)]);
    expect(mobile.trace).toEqual(plain);
    expect(mobile.ends).toBeGreaterThanOrEqual(ends);
    expect(plain.process?.at(-1)).toBe('exit 0');
  });
});

type Trace = Readonly<Record<string, readonly string[]>>;

async function mobileTrace(scenario: string): Promise<{ trace: Trace; ends: number }> {
  const events = join(directory, scenario);
  const traced = await trace(scenario, ['--import', builtPackage()], {
    MOBISOCK_MOBILITY: 'prefer',
    MOBISOCK_EVENTS: events,
    // A busy machine must not make anything plain.
    MOBISOCK_HEAD_START: '10s',
  });
  return { trace: traced, ends: countOpened(events) };
}

function countOpened(events: string): number {
  try {
    return readFileSync(events, 'utf8').split('"session:open"').length - 1;
  } catch {
    return 0; // no event, no file
  }
}

function trace(scenario: string, nodeFlags: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Trace> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, NODE_OPTIONS: undefined, ...env }, timeout: 20_000 };
    execFile(
      process.env.MOBISOCK_TEST_NODE ?? process.execPath,
      [...nodeFlags, PROGRAM, scenario],
      options,
      (error, stdout, stderr) => {
        const sides: Record<string, string[]> = {};
        for (const line of stdout.trimEnd().split('\n')) {
          const [side = '', ...what] = line.split(': ');
          sides[side] ??= [];
          sides[side].push(what.join(': '));
        }
        if (stderr !== '') sides.stderr = stderr.split('\n');
        if (error?.killed === true) sides.killed = [String(error.signal)];
        resolve(sides);
      },
    );
  });
}
