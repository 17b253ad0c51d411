// Holds connections; tells its memory on request.
import { listen, serve, settle } from './endpoint.mjs';

const held = [];
const server = serve({}, (socket) => {
  socket.on('error', () => {});
  held.push(socket);
  socket.on('data', (data) => socket.write(data));
});
const port = await listen(server);
process.on('message', (message) => {
  if (message !== 'memory') return;
  global.gc();
  global.gc();
  process.send({ rss: process.memoryUsage.rss(), held: held.length });
});
await settle();
process.send(port);
