/** UDP ports of our own, where node does something to them that nobody asked for. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { connectUdp } from '../../src/host/udp-port.ts';

test.each(['at once', 'later'])(
  'a port that a disconnecting worker of a cluster has closed can be used and closed %s all the same',
  (when) => {
    const argv = ['--import', 'tsx', join(import.meta.dirname, 'udp-port-worker.ts'), when];
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  },
);

test.each([
  ['that is not there (any more)', '127.0.0.1', '203.0.113.77', 'EADDRNOTAVAIL'],
  ['of the other family', '::1', '127.0.0.1', 'EINVAL'],
])('to be connected from an address %s fails, but not inside the call', async (_, ip, localAddress, code) => {
  let inside = true;
  const failure = new Promise<string | undefined>((resolve, reject) => {
    connectUdp({
      remote: { ip, port: 9 },
      localAddress,
      onDatagram: () => reject(new Error('a datagram')),
      onUnreachable: (error) => (inside ? reject(error) : resolve(error.code)),
    });
  });
  inside = false;
  expect(await failure).toBe(code);
});
