// Opens connected UDP sockets, exchanges a few datagrams on each, then idles.
import dgram from 'node:dgram';
import { once } from 'node:events';

const [port, warmUp, count] = process.argv.slice(2).map(Number);
const held = [];

async function open() {
  const socket = dgram.createSocket('udp4');
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  let answers = 0;
  const answered = new Promise((resolve) => {
    socket.on('message', () => {
      answers += 1;
      if (answers === 2) resolve();
    });
  });
  // The first answer comes at once, the second after sixteen: by then the flow stands, where there is to be one.
  const timer = setInterval(() => socket.send('x'), 2);
  await answered;
  clearInterval(timer);
  socket.removeAllListeners('message');
  return socket;
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
  setTimeout(() => process.send({ before, after: rss() }), 1000);
});
process.send('ready');
