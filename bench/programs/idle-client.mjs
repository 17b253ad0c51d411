// Opens connections, sends one byte on each and waits for it to come back; then idles. Prints bytes per connection.
import { dial } from './endpoint.mjs';

const [port, warmUp, count] = process.argv.slice(2).map(Number);
const held = [];

function open() {
  return new Promise((resolve, reject) => {
    const socket = dial(port, () => socket.write('x'));
    socket.on('error', reject);
    socket.once('data', () => resolve(socket));
  });
}

async function openMany(total) {
  for (let i = 0; i < total; i += 20) held.push(...(await Promise.all(Array.from({ length: 20 }, open))));
}

function rss() {
  global.gc();
  global.gc();
  return process.memoryUsage.rss();
}

await openMany(warmUp);
process.on('message', async (message) => {
  if (message !== 'go') return;
  const before = rss();
  await openMany(count);
  // Delayed acknowledgements have gone out, and with them what was kept for sending again.
  setTimeout(() => process.send({ before, after: rss() }), 1000);
});
process.send('ready');
