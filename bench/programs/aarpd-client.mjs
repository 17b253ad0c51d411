// How long a resolution through aarpd takes that aarpd has in its cache and this process does not: microseconds.
// AT_ONCE: how many are asked for at a time.

import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DaemonResolver } from '../../src/aarp/io/daemon-resolver.ts';

const WARM_UP = 1_000;
const atOnce = Number(process.env.AT_ONCE);
const { path, known } = JSON.parse(process.argv[2]);
const resolver = new DaemonResolver({
  path,
  fallback: () => {
    throw new Error('aarpd did not answer');
  },
});
let startedAt = 0;
for (let i = 1; i <= known; i += atOnce) {
  if (startedAt === 0 && i > WARM_UP) startedAt = performance.now();
  await Promise.all(Array.from({ length: atOnce }, (_, k) => resolver.resolve(`2001:db8::${(i + k).toString(16)}`)));
}
const spentMs = performance.now() - startedAt;
resolver.close();
rmSync(dirname(path), { recursive: true });
process.send((spentMs / (known - WARM_UP)) * 1000);
process.disconnect();
