// Compiles src/ to dist/. The old dist/ goes first, so that a deleted module does not live on in it.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = dirname(import.meta.dirname);
process.chdir(root);
rmSync('dist', { recursive: true, force: true });
const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
const { status } = spawnSync(process.execPath, [join(typescript, 'bin/tsc'), '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
for (const binary of ['dist/cli/mobisock.js']) if (existsSync(binary)) chmodSync(binary, 0o755);
