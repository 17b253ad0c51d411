// Takes datagrams and says every so often how many have come from each peer; tells its memory on request.
import dgram from 'node:dgram';

const ACK_EVERY = 16;
const counts = new Map();
const ack = Buffer.alloc(8);
const socket = dgram.createSocket('udp4');
socket.on('message', (_, from) => {
  const name = from.port;
  const count = (counts.get(name) ?? 0) + 1;
  counts.set(name, count);
  if (count % ACK_EVERY !== 0 && count !== 1) return;
  ack.writeDoubleBE(count);
  socket.send(ack, from.port, from.address);
});
process.on('message', (message) => {
  if (message !== 'memory') return;
  global.gc();
  global.gc();
  process.send({ rss: process.memoryUsage.rss() });
});
socket.bind(0, '127.0.0.1', () => process.send(socket.address().port));
