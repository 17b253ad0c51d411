// Median time from connect() to 'connect', and to the first byte back; first contacts, and later ones. Milliseconds.
import { dial, median } from './endpoint.mjs';

const [ports, rounds] = JSON.parse(process.argv[2]);

function contact(port) {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    let connectedMs = 0;
    const socket = dial(port, () => {
      connectedMs = performance.now() - startedAt;
      socket.write('x');
    });
    socket.once('data', () => {
      const answeredMs = performance.now() - startedAt;
      socket.on('close', () => resolve({ connectedMs, answeredMs }));
      socket.end();
    });
    socket.on('error', reject);
  });
}

async function contacts(list) {
  const all = [];
  for (const port of list) all.push(await contact(port));
  return all;
}

const warmUp = ports.slice(0, 1000);
await contacts(warmUp);
const first = await contacts(ports.slice(1000));
const [port] = ports;
await contacts(Array(rounds).fill(port));
const later = await contacts(Array(rounds).fill(port));
const figures = (of) => ({
  connectedMs: median(of.map((c) => c.connectedMs)),
  answeredMs: median(of.map((c) => c.answeredMs)),
});
process.send({ first: figures(first), later: figures(later) });
process.disconnect();
