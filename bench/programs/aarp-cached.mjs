// How long a resolution takes that the process has in its cache already: microseconds. CALL: `resolve`, with its
// promise, or `cached`, without.

import { performance } from 'node:perf_hooks';
import { EmbeddedResolver } from '../../src/aarp/io/embedded-resolver.ts';

const COUNTED = 200_000;
const KNOWN = 1_000;
const resolver = new EmbeddedResolver({ methods: ['aarp'] });
const addresses = Array.from({ length: KNOWN }, (_, i) => `2001:db8::${(i + 1).toString(16)}`);
for (const address of addresses) {
  resolver.remember({ address, kind: 'anycast', unicast: '2001:db8:1::1', confirmed: true, ttlMs: 3_600_000 });
}
const rounds = { resolve: (address) => resolver.resolve(address), cached: (address) => resolver.cached(address) };
const call = rounds[process.env.CALL];
let startedAt = 0;
for (let i = -20_000; i < COUNTED; i++) {
  if (i === 0) startedAt = performance.now();
  const found = call(addresses[(i + 20_000) % KNOWN]);
  if ((found instanceof Promise ? await found : found) === undefined) throw new Error('not in the cache');
}
const spentMs = performance.now() - startedAt;
resolver.close();
process.send((spentMs / COUNTED) * 1000);
process.disconnect();
