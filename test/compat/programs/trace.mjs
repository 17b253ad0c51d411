// What the behaviour programs share: a trace of what an application sees, line by line, each line with the side that saw
// it. Two sides' lines interleave as they like, so tests compare them side by side.
import net from 'node:net';

export const say = (side, ...what) => process.stdout.write(`${side}: ${what.join(' ')}\n`);

/** Notes the socket's events. Chunks are the network's business, so data is only counted. */
export function watch(socket, side) {
  let received = 0;
  if (socket.connecting) for (const event of ['lookup', 'connect', 'ready']) socket.on(event, () => say(side, event));
  socket.on('end', () => say(side, 'end after', received));
  for (const event of ['finish', 'timeout']) socket.on(event, () => say(side, event));
  socket.on('error', (error) => say(side, 'error', error.name, error.code, error.syscall, withoutPorts(error.message)));
  socket.on('close', (hadError) => say(side, 'close', hadError));
  return { received: (bytes) => (received += bytes) };
}

/** As `watch`, and reads. */
export function consume(socket, side) {
  const note = watch(socket, side);
  socket.on('data', (chunk) => note.received(chunk.length));
  return note;
}

export const withoutPorts = (text) => text.replace(/:\d+/g, ':PORT');

export async function listen(server, options = {}) {
  await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', ...options }, resolve));
  return server.address().port;
}

/** A connection within this process. The server closes behind it. */
export async function pair({ server: serverOptions = {}, client: clientOptions = {} } = {}) {
  const server = net.createServer(serverOptions);
  const port = await listen(server);
  const client = net.connect({ port, host: '127.0.0.1', ...clientOptions });
  const [peer] = await Promise.all([next(server, 'connection'), next(client, 'connect')]);
  server.close();
  return { client, peer, server, port };
}

export function next(emitter, event) {
  return new Promise((resolve) => emitter.once(event, resolve));
}

export const closed = (socket) => (socket.closed ? Promise.resolve() : next(socket, 'close'));

export const tick = () => new Promise(setImmediate);

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
