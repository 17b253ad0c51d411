/** A cluster's worker whose UDP port the cluster closes, before and behind its owner's back. */
import cluster from 'node:cluster';
import { openUdpPort } from '../../src/host/udp-port.ts';

const BOUND_MS = 10;

if (cluster.isPrimary) {
  cluster.fork().on('exit', (code) => process.exit(code ?? 1));
} else {
  const port = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => {} });
  const bound = setInterval(() => {
    if (port.port === 0) return;
    clearInterval(bound);
    process.on('disconnect', () => {
      port.send(new Uint8Array(1), { ip: '127.0.0.1', port: 9 });
    });
    cluster.worker?.disconnect();
    if (process.argv[2] === 'at once') port.close();
    else process.on('disconnect', () => port.close());
  }, BOUND_MS);
}
