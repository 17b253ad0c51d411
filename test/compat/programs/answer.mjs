// A server that answers one request a connection:  node answer.mjs HOST:PORT...
// Says for each request what came, and from whom.
import net from 'node:net';

for (const place of process.argv.slice(2)) {
  const cut = place.lastIndexOf(':');
  const [host, port] = [place.slice(0, cut), Number(place.slice(cut + 1))];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let request = '';
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      request += text;
    });
    socket.on('end', () => {
      console.log('request', JSON.stringify(request), 'from', socket.remoteAddress);
      socket.end(`answer to ${request}`);
    });
    socket.on('error', ({ code }) => console.log('error', code));
  });
  // A session port begins to listen in the same turn of the event loop; who reads this line will look for it.
  server.listen({ host, port }, () => setImmediate(() => console.log('listening', place)));
}

process.stdin.on('end', async () => {
  const { stats } = await import(process.env.TEST_MOBISOCK ?? 'data:text/javascript,export const stats = () => null');
  console.log('stats', JSON.stringify(stats()));
});
process.stdin.resume();
