/** The demonstration, as `npm run demo` plays it where there is no terminal. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { builtPackage } from '../built-package.ts';
import { labMissing } from './index.ts';

const missing = await labMissing();
const ROOT = join(import.meta.dirname, '..', '..');

describe.skipIf(missing)('the demonstration', () => {
  test.each([
    { what: 'download', sentence: 'The session outlived its address.' },
    { what: 'udp', sentence: 'The stream outlived its address.' },
  ])('of $what shows one that outlives its address, and one that does not', { timeout: 90_000 }, async (each) => {
    builtPackage();
    const tsx = createRequire(import.meta.url).resolve('tsx/cli');
    const demo = spawn(process.execPath, [tsx, join(ROOT, 'examples/demo/main.ts'), each.what], {
      cwd: ROOT,
      // Beside other tests the first contact may take longer than a plain connect is made to wait.
      env: { ...process.env, NODE_OPTIONS: undefined, MOBISOCK_HEAD_START: '1000' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [demo.stdout, demo.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    const code = await new Promise<number | null>((resolve) => demo.once('close', resolve));
    expect({ code, output }).toMatchObject({ code: 0 });
    expect(output).toContain(each.sentence);
  });
});
