/** Two ends on one host that has no network at all: they have no address to name but loopback's. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { builtPackage } from '../built-package.ts';
import { Namespace, namespacesAvailable } from '../host/namespace.ts';

const PROGRAM = join(import.meta.dirname, 'programs', 'behaviour.mjs');

let host: Namespace;

beforeEach(async () => {
  if (!namespacesAvailable) return;
  host = await Namespace.create();
  host.ip('link set lo up');
});

afterEach(async () => {
  await host?.close();
});

async function linesOf(child: ChildProcess): Promise<string[]> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  await once(child, 'close');
  return text.trimEnd().split('\n');
}

describe.skipIf(!namespacesAvailable)('without a network', () => {
  it('the end of a peer that could not say goodbye is noticed all the same', { timeout: 30_000 }, async () => {
    const env = ['MOBISOCK_MOBILITY=prefer', 'MOBISOCK_HEAD_START=10s'];
    const run = host.spawn('env', [
      ...env,
      process.execPath,
      '--import',
      builtPackage(),
      PROGRAM,
      'workerIsTerminated',
    ]);
    expect(await linesOf(run)).toEqual(['server: close', 'process: exit 0']);
  });
});
