/**
 * Runs inside a namespace: opens a watch with the options in argv[2] and prints what it sees, a JSON object a line.
 * With 'idle' in argv[3] it does nothing else; otherwise it lives until its input ends, and answers each line of input
 * (an address to find the route to, or nothing) with the state it has.
 */
import { createInterface } from 'node:readline';
import { openAddressWatch } from '../../src/host/address-watch.ts';
import { resolveRoute } from '../../src/host/route-lookup.ts';

const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const watch = openAddressWatch(JSON.parse(process.argv[2] ?? '{}'));
watch.subscribe((change) => print({ change, seenAtMs: performance.timeOrigin + performance.now() }));
const state = (): object => ({ backend: watch.backend, wakeup: watch.wakeup, addresses: watch.addresses() });
print({ state: state() });

if (process.argv[3] !== 'idle') {
  createInterface({ input: process.stdin })
    .on('line', (to) => print({ state: state(), route: to === '' ? null : (resolveRoute(to) ?? null) }))
    .on('close', () => watch.close());
}
