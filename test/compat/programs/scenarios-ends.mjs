// How sockets end, and processes with them.
import { fork } from 'node:child_process';
import net from 'node:net';
import { closed, consume, listen, next, pair, say, tick, watch } from './trace.mjs';

const MEGABYTE = 1 << 20;

export async function endsBothSides() {
  const { client, peer } = await pair();
  consume(client, 'client');
  consume(peer, 'server');
  client.end('bye', () => say('client', 'end called back', client.readyState));
  await Promise.all([closed(client), closed(peer)]);
}

export async function staysHalfOpen() {
  const { client, peer } = await pair({ server: { allowHalfOpen: true }, client: { allowHalfOpen: true } });
  consume(client, 'client');
  consume(peer, 'server');
  client.end('question');
  await next(peer, 'end');
  say('server', peer.readyState, peer.writable, peer.readable);
  say('client', client.readyState, client.writable, client.readable);
  peer.write('answer');
  await tick();
  peer.end(Buffer.alloc(MEGABYTE));
  await Promise.all([closed(client), closed(peer)]);
}

export async function writesAfterTheEnd() {
  const { client, peer } = await pair();
  watch(client, 'client');
  consume(peer, 'server');
  client.end();
  client.write('late', (error) => say('client', 'write called back', error?.code));
  await Promise.all([closed(client), closed(peer)]);
}

/** The peer has gone; who writes again hears of it. */
export async function writesToOneThatHasGone() {
  const { client, peer } = await pair({ client: { allowHalfOpen: true } });
  client.resume();
  peer.destroy();
  await next(client, 'end');
  say('client', 'end');
  const writing = setInterval(() => client.write('x'), 5);
  client.on('close', (hadError) => say('client', 'close', hadError));
  const { code } = await next(client, 'error');
  clearInterval(writing);
  say('client', 'error', ['EPIPE', 'ECONNRESET'].includes(code));
}

export async function destroysBeforeConnected() {
  const server = net.createServer((peer) => peer.on('error', () => {}).resume());
  const port = await listen(server);
  const client = net.connect(port, '127.0.0.1');
  watch(client, 'at once');
  client.destroy();
  const later = net.connect(port, '127.0.0.1');
  watch(later, 'next tick');
  process.nextTick(() => process.nextTick(() => later.destroy()));
  const failing = net.connect(port, '127.0.0.1');
  watch(failing, 'with an error');
  process.nextTick(() => failing.destroy(Object.assign(new Error('mine'), { code: 'MINE' })));
  await Promise.all([client, later, failing].map(closed));
  server.close();
}

export async function endsBeforeConnected() {
  const server = net.createServer((peer) => consume(peer, 'server'));
  const client = net.connect(await listen(server), '127.0.0.1');
  watch(client.resume(), 'client');
  client.end();
  await closed(client);
  server.close();
}

export async function isRefused() {
  const server = net.createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  const client = net.connect(port, '127.0.0.1');
  watch(client, 'client');
  client.write('x', (error) => say('client', 'write called back', error?.code));
  await closed(client);
}

export async function connectsAgain() {
  const server = net.createServer((peer) => peer.end('hello'));
  const port = await listen(server);
  const client = new net.Socket();
  watch(client, 'client');
  for (let i = 0; i < 3; i++) {
    client.connect(port, '127.0.0.1');
    client.resume();
    await next(client, 'close');
    say('client', 'round', client.bytesRead, client.destroyed);
  }
  server.close();
}

export async function destroysWithUnreadData() {
  const { client, peer } = await pair();
  watch(peer.resume(), 'server');
  client.pause();
  peer.write(Buffer.alloc(MEGABYTE));
  await next(client, 'readable');
  client.destroy();
  await closed(peer);
}

export async function destroysInMidTransfer() {
  const { client, peer } = await pair();
  watch(client, 'client');
  peer.on('error', ({ code }) => say('server', 'error', ['ECONNRESET', 'EPIPE'].includes(code)));
  peer.on('close', (hadError) => say('server', 'close', hadError));
  const fill = () => {
    while (!peer.destroyed && peer.write(Buffer.alloc(64 << 10)));
  };
  peer.on('drain', fill);
  fill();
  await next(client, 'data');
  client.destroy();
  await closed(peer);
}

export async function destroysBehindWrites() {
  const { client, peer } = await pair();
  consume(peer, 'server');
  client.write(Buffer.alloc(1000), () => client.destroy());
  await closed(peer);
}

export async function destroysOnceConnected() {
  const server = net.createServer((peer) => consume(peer, 'server'));
  const accepted = next(server, 'connection');
  const client = net.connect(await listen(server), '127.0.0.1', () => client.destroy());
  watch(client, 'client');
  await Promise.all([closed(client), accepted.then(closed)]);
  server.close();
}

export async function destroysSoon() {
  const { client, peer } = await pair();
  consume(peer, 'server');
  watch(client, 'client');
  client.write(Buffer.alloc(1000));
  client.destroySoon();
  await Promise.all([closed(peer), closed(client)]);
}

export async function resets() {
  const { client, peer } = await pair();
  watch(client, 'client');
  consume(peer, 'server');
  client.resetAndDestroy();
  await Promise.all([closed(client), closed(peer)]);
}

export async function isResetByServer() {
  const { client, peer } = await pair();
  consume(client, 'client');
  watch(peer, 'server');
  peer.resetAndDestroy();
  await Promise.all([closed(client), closed(peer)]);
}

export async function resetsWhileConnecting() {
  const server = net.createServer((peer) => {
    peer.on('error', () => {});
    peer.resume();
  });
  const client = net.connect(await listen(server), '127.0.0.1');
  watch(client, 'client');
  client.resetAndDestroy();
  await closed(client);
  const fresh = new net.Socket();
  watch(fresh, 'fresh');
  fresh.resetAndDestroy();
  await closed(fresh);
  server.close();
}

export async function aborts() {
  const server = net.createServer((peer) => peer.on('error', () => {}).resume());
  const port = await listen(server);
  for (const when of ['while connecting', 'when connected']) {
    const controller = new AbortController();
    const client = net.connect({ port, host: '127.0.0.1', signal: controller.signal });
    watch(client, when);
    if (when === 'while connecting') process.nextTick(() => controller.abort());
    if (when === 'when connected') client.on('connect', () => controller.abort());
    await closed(client);
  }
  server.close();
}

export async function throwsInListener() {
  const { client, peer } = await pair();
  watch(client, 'client');
  process.on('uncaughtException', (error) => say('process', 'uncaught', error.message));
  client.on('data', () => {
    throw new Error('mine');
  });
  peer.write('x');
  await next(process, 'uncaughtException');
  peer.end();
  await closed(client);
}

/** What is on its way when the program has nothing more to do must still arrive. */
export async function leavesWithDataInFlight() {
  const { client, peer } = await pair();
  let bytes = 0;
  peer.on('data', (chunk) => {
    bytes += chunk.length;
  });
  peer.on('end', () => say('server', 'got', bytes));
  client.end(Buffer.alloc(8 * MEGABYTE));
  client.unref();
}

export async function exitsWhenUnreferenced() {
  const { client, peer } = await pair();
  client.unref();
  peer.unref();
  say('client', 'unreferenced');
}

export async function staysWhileReferenced() {
  const { client, peer } = await pair();
  consume(client, 'client');
  client.unref();
  client.ref();
  peer.unref();
  setTimeout(() => peer.end('late'), 300).unref();
}

export async function exitsWhenUnreferencedBeforeConnected() {
  const server = net.createServer();
  const client = net.connect(await listen(server), '127.0.0.1');
  client.unref();
  server.unref();
  server.on('connection', (peer) => peer.unref());
}

/** A client in a process of its own, which inherits how this one was started. */
async function serveChild(client) {
  const server = net.createServer((peer) => consume(peer, 'server'));
  const port = await listen(server);
  const accepted = next(server, 'connection');
  const child = fork(import.meta.filename, [client, port]);
  say('client', 'exit', await next(child, 'exit'));
  await closed(await accepted);
  server.close();
}

const clients = {
  exitsWhenFinished: (socket) => socket.end(Buffer.alloc(3 * MEGABYTE), () => process.exit(7)),
  exitsBehindAWrite: (socket) => socket.write('x', () => process.exit(7)),
  exitsAtOnce: (socket) => {
    socket.write(Buffer.alloc(1000));
    process.exit(7);
  },
};
export const exitsWhenFinished = () => serveChild('exitsWhenFinished');
export const exitsBehindAWrite = () => serveChild('exitsBehindAWrite');
export const exitsAtOnce = () => serveChild('exitsAtOnce');

if (process.argv[1] === import.meta.filename) {
  const [, , client, port] = process.argv;
  const socket = net.connect(Number(port), '127.0.0.1', () => clients[client](socket));
}
