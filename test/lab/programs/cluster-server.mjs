// Two workers that share a listener on every address and hold on to what connects: node cluster-server.mjs PORT
import cluster from 'node:cluster';
import { createServer } from 'node:net';

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on('listening', () => {
    listening += 1;
    if (listening === 2) console.log('listening');
  });
  cluster.fork();
  cluster.fork();
} else createServer((socket) => socket.resume()).listen(Number(process.argv[2]), '::');
