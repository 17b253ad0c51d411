/** Workers of a cluster with UDP ports. `own`: each has its own; else the cluster closes one before or behind its owner. */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { openUdpPort } from '../../src/host/udp-port.ts';

const BOUND_MS = 10;
const [, , how, shared] = process.argv;

if (cluster.isPrimary && how === 'own') {
  const workers = [cluster.fork(), cluster.fork()];
  const ports = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0] as number));
  for (const worker of workers) worker.disconnect();
  process.exit(new Set(ports).size === workers.length && !ports.includes(0) ? 0 : 1);
} else if (cluster.isPrimary) {
  cluster.fork().on('exit', (code) => process.exit(code ?? 1));
} else if (how === 'own') {
  const { port } = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => {} });
  process.send?.(port);
} else {
  const port = openUdpPort({ address: '127.0.0.1', port: Number(shared), onDatagram: () => {} });
  const bound = setInterval(() => {
    if (port.port === 0) return;
    clearInterval(bound);
    process.on('disconnect', () => {
      port.send(new Uint8Array(1), { ip: '127.0.0.1', port: 9 });
    });
    cluster.worker?.disconnect();
    if (how === 'at once') port.close();
    else process.on('disconnect', () => port.close());
  }, BOUND_MS);
}
