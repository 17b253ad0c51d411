/**
 * The package as users get it, for tests that run programs with it. test/global-setup.ts builds it before any test.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const BUILT_FILE: string = join(import.meta.dirname, '..', 'dist', 'index.js');

/** What goes behind `--import`. */
export function builtPackage(): string {
  if (!existsSync(BUILT_FILE)) throw new Error(`${BUILT_FILE} is not there: npm run build`);
  return pathToFileURL(BUILT_FILE).href;
}
