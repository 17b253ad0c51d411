// What the bench's programs share: plain node, with TLS where TRANSPORT=tls.
import net from 'node:net';
import tls from 'node:tls';

const useTls = process.env.TRANSPORT === 'tls';

/** `onSocket` gets sockets that are ready for bytes. Options as for net.createServer. */
export function serve(options, onSocket) {
  if (!useTls) return net.createServer({ noDelay: true, ...options }, onSocket);
  const { TLS_KEY: key, TLS_CERT: cert } = process.env;
  return tls.createServer({ key, cert, noDelay: true, ...options }, onSocket);
}

/** Calls back when bytes may flow. */
export function dial(port, onReady, host = '127.0.0.1') {
  const options = { port, host, noDelay: true, rejectUnauthorized: false };
  return useTls ? tls.connect(options, onReady) : net.connect(options, onReady);
}

export function listen(server) {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}

/** A light steady stream, as of a call: 512 bytes every 5 ms, for as long as the socket has room. */
export function stream(socket) {
  const timer = setInterval(() => {
    if (!socket.writableNeedDrain) socket.write(Buffer.alloc(512, 'mobisock'));
  }, 5);
  socket.on('close', () => clearInterval(timer));
}

export function settle() {
  return new Promise((resolve) => {
    setTimeout(resolve, 200);
  });
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
