/** mobisock in processes: preloaded, inherited, loaded twice or by the program itself, taken back, switched off. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { BUILT_FILE, builtPackage } from '../built-package.ts';

const PROGRAM = join(import.meta.dirname, 'programs', 'loading.mjs');
const ECHO = { text: 'echo', mobile: true, mobileServer: true };
const PLAIN_ECHO = { text: 'echo', mobile: false, mobileServer: false };

const preload = (): string[] => ['--import', builtPackage()];

test('children inherit the preload through NODE_OPTIONS, each of them once', async () => {
  const facts = await run([], 'generations', { NODE_OPTIONS: preload().join(' ') });
  const generations = [0, 1, 2].map((depth) => ({ depth, installed: true, ...ECHO }));
  const exits = [1, 0].map((depth) => ({ depth, childExit: 0 }));
  expect(facts).toEqual([...generations, ...exits]);
});

test('a forked child serves sessions, and both processes end by themselves', async () => {
  expect(await run(preload(), 'childServes')).toEqual([{ mobile: true }, { childExit: 0 }]);
});

test('every client of a cluster is served, by sessions', async () => {
  expect(await run(preload(), 'workersServe')).toEqual([{ answers: 12, mobile: 12 }, { exits: [0, 0] }]);
});

test('loaded twice it is installed once', async () => {
  expect(await run([...preload(), ...preload()], 'look')).toEqual([{ installed: true, ...ECHO }]);
});

test('of two copies of the package one is installed', async () => {
  const copy = mkdtempSync(join(tmpdir(), 'mobisock-copy-'));
  try {
    cpSync(dirname(BUILT_FILE), copy, { recursive: true });
    const second = pathToFileURL(join(copy, 'index.js')).href;
    expect(await run([...preload(), '--import', second], 'look')).toEqual([{ installed: true, ...ECHO }]);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

test('what sessions need is loaded when a socket can be mobile, not before', async () => {
  expect(await run(preload(), 'late', { MOBISOCK_MOBILITY: 'auto' })).toEqual([
    { loaded: false },
    { loaded: false, ...PLAIN_ECHO },
  ]);
  expect(await run(preload(), 'late')).toEqual([{ loaded: false }, { loaded: true, ...ECHO }]);
});

test('loaders that take over require(), as tsx does, change nothing', async () => {
  expect(await run([...preload(), '--import', 'tsx'], 'look')).toEqual([{ installed: true, ...ECHO }]);
  expect(await run(['--import', 'tsx', ...preload()], 'look')).toEqual([{ installed: true, ...ECHO }]);
});

test('a program may load it itself, look, and take it back', async () => {
  expect(await run([], 'inside')).toEqual([
    { before: false, mobile: true, sessions: 2, inits: true },
    { error: 'ECONNRESET' },
    { restored: true, installed: false },
    { afterwards: false },
  ]);
});

test('switched off it does nothing, whatever else the environment says', async () => {
  const env = { MOBISOCK: 'off', MOBISOCK_POLICY: '/no/such/file', MOBISOCK_NO_SUCH_NAME: '1' };
  expect(await run(preload(), 'look', env)).toEqual([{ installed: true, ...PLAIN_ECHO }]);
});

test("mobisock/net is mobile where node's net stays what it was", async () => {
  expect(await run([], 'ownNet')).toEqual([
    { own: ECHO, global: PLAIN_ECHO, untouched: true },
    { between: PLAIN_ECHO, same: true, also: true },
  ]);
});

test('mobisock/net beside the preload is the same', async () => {
  expect(await run(preload(), 'ownNet')).toEqual([
    { own: ECHO, global: ECHO, untouched: true },
    { between: ECHO, same: true, also: true },
  ]);
});

function run(nodeFlags: readonly string[], mode: string, more: NodeJS.ProcessEnv = {}): Promise<unknown[]> {
  const env = {
    ...process.env,
    NODE_OPTIONS: undefined,
    TEST_MOBISOCK: builtPackage(),
    MOBISOCK_MOBILITY: 'prefer',
    MOBISOCK_HEAD_START: '10s',
    ...more,
  };
  return new Promise((resolve, reject) => {
    execFile(
      process.env.MOBISOCK_TEST_NODE ?? process.execPath,
      [...nodeFlags, PROGRAM, mode],
      { env, timeout: 20_000 },
      (error, stdout, stderr) => {
        if (error !== null) reject(new Error(`${error.message}\n${stdout}\n${stderr}`));
        else
          resolve(
            stdout
              .trimEnd()
              .split('\n')
              .map((line) => JSON.parse(line) as unknown),
          );
      },
    );
  });
}
