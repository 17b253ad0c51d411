// The services of one member, which knows nothing of anycast: each says who it is, over TCP, HTTP, HTTPS, TLS, HTTP/2
// and UDP, on ports in a row from the first on.
//
//   node anycast-services.mjs NAME FIRST_PORT
//
// TCP goes on answering, a line each, until the peer ends. On any input it tells how many datagrams it has answered.
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

const [name, firstPort] = process.argv.slice(2);
const { TEST_KEY: key, TEST_CERTIFICATE: cert } = process.env;
const say = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));

function answerStream(socket) {
  socket.on('error', () => {}); // the peer may go as it likes
  socket.on('data', () => socket.write(`${name}\n`));
}
const answerRequest = (_request, response) => response.end(name);

const servers = [
  net.createServer(answerStream),
  http.createServer(answerRequest),
  https.createServer({ key, cert }, answerRequest),
  tls.createServer({ key, cert }, answerStream),
  http2.createServer(answerRequest),
];
for (const [i, server] of servers.entries()) {
  server.listen(Number(firstPort) + i, '::');
  await once(server, 'listening');
}
let answered = 0;
const datagrams = dgram.createSocket('udp6');
datagrams.on('message', (_question, { address, port }) => {
  answered += 1;
  datagrams.send(name, port, address);
});
datagrams.bind(Number(firstPort) + servers.length, '::');
await once(datagrams, 'listening');
process.stdin.on('data', () => say('answered', { datagrams: answered }));
say('services');
