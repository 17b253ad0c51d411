// Streams to whoever connects.
import { serve, stream } from './endpoint.mjs';

serve({}, (socket) => {
  socket.on('error', () => {});
  socket.resume();
  stream(socket);
}).listen(Number(process.argv[2]), '::', () => console.log('listening'));
