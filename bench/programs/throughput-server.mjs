// Counts bytes, and answers with the count at the end of each connection.
import { listen, serve, settle } from './endpoint.mjs';

const server = serve({ allowHalfOpen: true }, (socket) => {
  let count = 0;
  socket.on('data', (chunk) => {
    count += chunk.length;
  });
  socket.on('end', () => socket.end(String(count)));
});
const port = await listen(server);
await settle();
process.send(port);
