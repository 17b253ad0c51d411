// Median time from connect() to 'connect', and to the first byte back, in milliseconds.
import { dial, median } from './endpoint.mjs';

const { ports, warmUp, counted } = JSON.parse(process.argv[2]);

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

const all = [];
for (let i = 0; i < warmUp + counted; i++) all.push(await contact(ports[i % ports.length]));
const figures = all.slice(warmUp);
process.send({
  connectedMs: median(figures.map((figure) => figure.connectedMs)),
  answeredMs: median(figures.map((figure) => figure.answeredMs)),
});
process.disconnect();
