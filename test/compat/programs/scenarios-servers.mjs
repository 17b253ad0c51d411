// What servers do, and processes of several threads.
import net from 'node:net';
import { isMainThread, Worker } from 'node:worker_threads';
import { closed, consume, listen, next, say } from './trace.mjs';

const connections = (server) => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));

async function connected(port, options = {}) {
  const client = net.connect({ port, host: '127.0.0.1', ...options });
  await next(client, 'connect');
  return client;
}

export async function closesBehindItsConnections() {
  const server = net.createServer((peer) => consume(peer, 'server'));
  const port = await listen(server);
  const accepted = [next(server, 'connection')];
  const clients = [await connected(port)];
  await accepted[0];
  accepted.push(next(server, 'connection'));
  clients.push(await connected(port));
  await accepted[1];
  say('server', 'connections', await connections(server));
  server.close((error) => say('server', 'closed', error));
  say('server', 'listening', server.listening);
  clients[0].end();
  await closed(clients[0].resume());
  say('server', 'connections', await connections(server));
  clients[1].write('still here');
  clients[1].end();
  await next(server, 'close');
  server.close((error) => say('server', 'closed again', error?.code));
}

export async function dropsBeyondItsLimit() {
  const server = net.createServer((peer) => peer.resume());
  server.maxConnections = 2;
  const port = await listen(server);
  const first = await connected(port);
  const second = await connected(port);
  while ((await connections(server)) < 2) await next(server, 'connection');
  const dropped = next(server, 'drop');
  const third = net.connect(port, '127.0.0.1');
  third.on('error', ({ code }) => say('third', 'error', code));
  third.on('close', () => say('third', 'close'));
  const { localPort, remotePort, ...facts } = await dropped;
  say('server', 'drop', JSON.stringify(facts), localPort === port, remotePort > 0);
  await closed(third.resume());
  say('server', 'connections', await connections(server));
  for (const client of [first, second]) client.destroy();
  server.close();
}

export async function pausesOnConnect() {
  const server = net.createServer({ pauseOnConnect: true });
  const port = await listen(server);
  const accepted = next(server, 'connection');
  const client = await connected(port);
  client.end('waiting');
  const peer = await accepted;
  await echo();
  say('server', 'paused', peer.isPaused(), peer.bytesRead);
  consume(peer, 'server');
  peer.resume();
  await closed(client.resume());
  server.close();
}

/** A whole exchange on another connection: what was sent before it has arrived behind it. */
async function echo() {
  const server = net.createServer((peer) => peer.pipe(peer));
  const client = await connected(await listen(server));
  client.end('echo');
  await closed(client.resume());
  server.close();
}

export async function appliesItsOptions() {
  const server = net.createServer({ allowHalfOpen: true, highWaterMark: 2048, noDelay: true, keepAlive: true });
  const port = await listen(server);
  const accepted = next(server, 'connection');
  const client = await connected(port, { highWaterMark: 1024, noDelay: true, keepAlive: true });
  const peer = await accepted;
  say('server', peer.allowHalfOpen, peer.readableHighWaterMark, peer.writableHighWaterMark, peer.server === server);
  say('client', client.allowHalfOpen, client.readableHighWaterMark, client.constructor === net.Socket);
  say('client', client.setNoDelay() === client, client.setKeepAlive(true, 1000) === client, client.ref() === client);
  client.destroy();
  peer.destroy();
  server.close();
}

export async function acceptsMany() {
  const server = net.createServer((peer) => peer.pipe(peer));
  const port = await listen(server);
  const answers = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const client = net.connect(port, '127.0.0.1').setEncoding('utf8');
      client.end(`number ${i}`);
      let text = '';
      for await (const piece of client) text += piece;
      return text;
    }),
  );
  say('client', answers.join());
  server.close();
}

export async function servesInAWorker() {
  const worker = new Worker(new URL(import.meta.url), { workerData: 'serve' });
  const exit = next(worker, 'exit');
  const port = await next(worker, 'message');
  const client = net.connect(port, '127.0.0.1');
  consume(client, 'client');
  client.end('to the worker');
  await closed(client);
  await exit;
}

export async function connectsFromAWorker() {
  const server = net.createServer((peer) => {
    consume(peer, 'server');
    peer.end('to the worker');
  });
  const port = await listen(server);
  const worker = new Worker(new URL(import.meta.url), { workerData: port });
  await next(worker, 'exit');
  server.close();
}

export async function workerIsTerminated() {
  const server = net.createServer((peer) => {
    peer.on('error', () => {});
    peer.on('close', () => say('server', 'close'));
    peer.write('x');
    peer.resume();
  });
  const port = await listen(server);
  const accepted = next(server, 'connection');
  const worker = new Worker(new URL(import.meta.url), { workerData: port });
  await accepted;
  await worker.terminate();
  await closed(await accepted);
  server.close();
}

if (!isMainThread) {
  const { parentPort, workerData } = await import('node:worker_threads');
  if (workerData === 'serve') {
    const server = net.createServer((peer) => {
      peer.pipe(peer);
      peer.on('close', () => server.close());
    });
    parentPort.postMessage(await listen(server));
  } else {
    const client = net.connect(workerData, '127.0.0.1');
    client.resume();
    client.end('from the worker');
  }
}

/** The listener has gone, its process lives on. With sessions the word comes behind 'connect'. */
export async function isKnownByTheLocalPortThatItChose() {
  const probe = net.createServer();
  const localPort = await listen(probe);
  probe.close();
  const server = net.createServer((peer) => {
    say('server', 'the chosen port', peer.remotePort === localPort);
    peer.end('bye');
  });
  const client = net.connect({ port: await listen(server), host: '127.0.0.1', localPort });
  consume(client, 'client');
  await next(client, 'connect');
  say('client', 'the chosen port', client.localPort === localPort);
  await closed(client);
  server.close();
}

export async function connectsToAClosedListener() {
  const server = net.createServer((peer) => peer.end());
  const port = await listen(server);
  const first = net.connect(port, '127.0.0.1');
  await closed(first.resume());
  await new Promise((resolve) => server.close(resolve));
  const late = net.connect(port, '127.0.0.1');
  late.on('error', ({ code }) => say('late', 'error', code));
  await closed(late);
}
