// Builds dist/: declarations by tsc, code by esbuild. Each public entry point is one file plus chunks that they share,
// because node takes longer to find and load a hundred small modules than mobisock may cost at start-up in all
// (docs/adr/0001-bundled-build.md). The old dist/ goes first, so that a deleted module does not live on in it.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

process.chdir(dirname(import.meta.dirname));
rmSync('dist', { recursive: true, force: true });

const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
const { status } = spawnSync(process.execPath, [join(typescript, 'bin/tsc'), '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);

const { exports, bin = {} } = JSON.parse(readFileSync('package.json', 'utf8'));
const libraries = Object.values(exports).map((entry) => entry.default);
const services = [
  exports['./rendezvous'].default,
  exports['./aarp'].default,
  ...Object.values(bin),
  // Loaded where the policy names a table, by its path.
  'dist/socket/process-address-selection.js',
];
// The last two are loaded when they are first needed, by their paths.
const sockets = [
  ...libraries.filter((file) => !services.includes(file)),
  'dist/socket/process-endpoint.js',
  'dist/socket/process-aarpd.js',
];

// Apart, so that what only services share with the preload is no file of its own, which would cost every start.
for (const files of [sockets, services]) {
  await build({
    entryPoints: files.filter(Boolean).map((file) => file.replace(/^(\.\/)?dist\//, 'src/').replace(/\.js$/, '.ts')),
    outdir: 'dist',
    outbase: 'src',
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // Loaded when needed, or a user's own copy: not ours to inline.
    external: ['koffi', 'undici', 'diffie-hellman'],
    legalComments: 'linked',
    logLevel: 'warning',
  });
}
for (const file of Object.values(bin)) if (existsSync(file)) chmodSync(file, 0o755);
