/**
 * Before any test: builds dist/ when sources are newer, since many tests run programs with the package as users get it.
 * A build that fails is reported and fails only the tests that need it: those that don't may be what finds the fault.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BUILT_FILE } from './built-package.ts';

const ROOT = join(import.meta.dirname, '..');

export function setup(): void {
  const built = existsSync(BUILT_FILE) ? statSync(BUILT_FILE).mtimeMs : 0;
  if (built >= newestChange()) return;
  const { status } = spawnSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' });
  if (status === 0) return;
  // What an older build left must not pass for the present sources.
  rmSync(BUILT_FILE, { force: true });
  console.error('The package could not be built; tests that run it will fail.');
}

function newestChange(): number {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  const files = [...sources.map((name) => join('src', name)), 'package.json', 'scripts/build.mjs'];
  return Math.max(...files.map((name) => statSync(join(ROOT, name)).mtimeMs));
}
