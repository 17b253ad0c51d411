import http from 'node:http';
import { listen, settle } from './endpoint.mjs';

const server = http.createServer((_, response) => {
  response.setHeader('content-type', 'text/plain');
  response.end('hello, world\n');
});
server.keepAliveTimeout = 60_000;
const port = await listen(server);
await settle();
process.send(port);
