/** UDP ports of our own, where node does something to them that nobody asked for. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test.each(['at once', 'later'])(
  'a port that a disconnecting worker of a cluster has closed can be used and closed %s all the same',
  (when) => {
    const argv = ['--import', 'tsx', join(import.meta.dirname, 'udp-port-worker.ts'), when];
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  },
);
