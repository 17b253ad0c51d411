/** UDP ports of our own, where node does something to them that nobody asked for. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openUdpPort } from '../../src/host/udp-port.ts';

function cluster(...args: string[]): { status: number | null; stderr: string } {
  const argv = ['--import', 'tsx', join(import.meta.dirname, 'udp-port-worker.ts'), ...args];
  return spawnSync(process.execPath, argv, { encoding: 'utf8' });
}

test.each(['at once', 'later'])(
  'a port that a disconnecting worker of a cluster has closed can be used and closed %s all the same',
  (when) => {
    const free = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => {} });
    const { port } = free;
    free.close();
    expect(cluster(when, String(port))).toMatchObject({ status: 0, stderr: '' });
  },
);

test('any port is another one for each worker of a cluster', () => {
  expect(cluster('own')).toMatchObject({ status: 0, stderr: '' });
});
