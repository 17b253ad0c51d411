// Echoes on so many ports: each is a first contact once.
import { listen, serve, settle } from './endpoint.mjs';

const ports = [];
for (let i = 0; i < Number(process.argv[2]); i++) {
  const server = serve({}, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  ports.push(await listen(server));
}
await settle();
process.send(ports);
