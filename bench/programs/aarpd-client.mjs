// How long a resolution through aarpd takes that aarpd has in its cache and this process does not: microseconds.
// AT_ONCE: how many are asked for at a time.

import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DaemonConnection } from '../../src/aarp/io/daemon/daemon-connection.ts';
import { DaemonResolver } from '../../src/aarp/io/daemon/daemon-resolver.ts';

const WARM_UP = 1_000;
const atOnce = Number(process.env.AT_ONCE);
const { path, known } = JSON.parse(process.argv[2]);
// On a machine that is busy with starting these programs aarpd may be given up at first; later that is a fault.
let missed = 0;
const resolve = async (address) => {
  missed += 1;
  return { address, kind: 'unicast', unicast: address, confirmed: false, ttlMs: 0 };
};
const fallback = () => ({ resolve, cached: () => undefined, failed: () => {}, flush: () => {}, close: () => {} });
const resolver = new DaemonResolver({ connection: new DaemonConnection(path), fallback });
let startedAt = 0;
for (let i = 1; i <= known; i += atOnce) {
  if (startedAt === 0 && i > WARM_UP) {
    missed = 0;
    startedAt = performance.now();
  }
  await Promise.all(Array.from({ length: atOnce }, (_, k) => resolver.resolve(`2001:db8::${(i + k).toString(16)}`)));
}
const spentMs = performance.now() - startedAt;
resolver.close();
if (missed > 0) throw new Error(`aarpd did not answer ${missed} times`);
rmSync(dirname(path), { recursive: true });
process.send((spentMs / (known - WARM_UP)) * 1000);
process.disconnect();
