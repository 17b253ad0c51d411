// aarpd that knows its answers already, in a process of its own. Tells the path of its socket, whose directory the
// client removes: this process is killed.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDaemon } from '../../src/aarp/io/daemon/daemon.ts';
import { EmbeddedResolver } from '../../src/aarp/io/embedded-resolver.ts';

const KNOWN = 4_000;
const path = join(mkdtempSync(join(tmpdir(), 'aarpd-bench-')), 'aarpd.sock');
const resolver = new EmbeddedResolver({ methods: ['aarp'] });
for (let i = 1; i <= KNOWN; i++) {
  const address = `2001:db8::${i.toString(16)}`;
  resolver.remember({ address, kind: 'anycast', unicast: '2001:db8:1::1', confirmed: true, ttlMs: 3_600_000 });
}
await openDaemon({
  listen: { path, mode: 0o600 },
  resolver,
  software: 'mobisock/bench',
  otherMetrics: () => [],
  warn: (message) => console.error(message),
});
process.send({ path, known: KNOWN });
