// Bytes under way: counting, pausing, waiting.
import net from 'node:net';
import { closed, consume, listen, next, pair, pause, say, tick, watch } from './trace.mjs';

const MEGABYTE = 1 << 20;

export async function countsBytes() {
  const { client, peer } = await pair();
  consume(peer, 'server');
  watch(client, 'client');
  client.write('grüße');
  client.write('00ff', 'hex');
  client.write(Buffer.alloc(1000));
  client.cork();
  client.write('latin\u00e9', 'latin1');
  client.write('two', 'utf16le');
  client.write(new Uint8Array(3));
  client.uncork();
  say('client', 'written', client.bytesWritten, client.writableLength);
  client.end('!');
  client.resume();
  await Promise.all([closed(client), closed(peer)]);
  say('client', 'in all', client.bytesWritten, client.bytesRead);
  say('server', 'in all', peer.bytesWritten, peer.bytesRead);
}

export async function countsBytesBeforeConnected() {
  const server = net.createServer((peer) => consume(peer, 'server'));
  const client = net.connect(await listen(server), '127.0.0.1');
  watch(client, 'client');
  client.write('before');
  say('client', 'pending', client.bytesWritten, client.pending, client.connecting, client.readyState);
  client.end(' connected', () => say('client', 'end called back'));
  client.resume();
  await closed(client);
  say('client', 'in all', client.bytesWritten, client.readyState);
  server.close();
}

export async function tellsAddresses() {
  const { client, peer } = await pair();
  const facts = ({ localAddress, localFamily, remoteAddress, remoteFamily }) =>
    [localAddress, localFamily, remoteAddress, remoteFamily].join(' ');
  say('client', facts(client), client.address().family, client.remotePort === peer.localPort);
  say('server', facts(peer), peer.address().family, client.localPort === peer.remotePort);
  client.destroy();
  await Promise.all([closed(client), closed(peer.resume())]);
  say('client', 'afterwards', client.remoteAddress, client.localAddress, JSON.stringify(client.address()));
}

export async function pausesAndResumes() {
  const { client, peer } = await pair();
  peer.end(Buffer.alloc(4 * MEGABYTE));
  const note = watch(client, 'client');
  let paused = false;
  let pauses = 0;
  client.on('data', (chunk) => {
    if (paused) say('client', 'data while paused');
    note.received(chunk.length);
    if (pauses++ % 8 !== 0) return;
    paused = true;
    client.pause();
    setTimeout(() => {
      paused = false;
      client.resume();
    }, 5);
  });
  await closed(client);
}

export async function readsByReadable() {
  const { client, peer } = await pair();
  peer.write('abc');
  await next(client, 'readable');
  say('client', client.read(2), client.read(2), client.read(1));
  peer.end('defghi');
  const rest = [];
  client.on('readable', () => {
    for (let piece = client.read(); piece !== null; piece = client.read()) rest.push(piece);
  });
  await next(client, 'end');
  say('client', Buffer.concat(rest));
}

export async function iterates() {
  const { client, peer } = await pair();
  client.on('close', (hadError) => say('client', 'close', hadError));
  peer.end(Buffer.alloc(MEGABYTE, 'x'));
  let bytes = 0;
  for await (const chunk of client) bytes += chunk.length;
  say('client', 'iterated', bytes);
}

/** The caller's own buffer; stops in between. */
export async function readsIntoOneBuffer() {
  const buffer = Buffer.alloc(1024);
  let bytes = 0;
  let calls = 0;
  let stopped = false;
  const onread = {
    buffer,
    callback: (length, given) => {
      if (stopped) say('client', 'called while stopped');
      if (given !== buffer) say('client', 'another buffer');
      if (length > buffer.length) say('client', 'too long');
      bytes += length;
      calls += 1;
      if (calls % 50 !== 0) return true;
      stopped = true;
      setTimeout(() => {
        stopped = false;
        client.resume();
      }, 2);
      return false;
    },
  };
  const server = net.createServer((peer) => peer.end(Buffer.alloc(300_000)));
  const client = net.connect({ port: await listen(server), host: '127.0.0.1', onread });
  watch(client, 'client');
  await closed(client);
  say('client', 'read', bytes, client.bytesRead);
  server.close();
}

/** A fresh buffer for each call. */
export async function readsIntoNewBuffers() {
  const buffers = new Set();
  let bytes = 0;
  const onread = {
    buffer: () => {
      const buffer = Buffer.alloc(4096);
      buffers.add(buffer.buffer);
      return buffer;
    },
    callback: (length) => {
      bytes += length;
      return true;
    },
  };
  const server = net.createServer((peer) => peer.end(Buffer.alloc(50_000)));
  const client = net.connect({ port: await listen(server), host: '127.0.0.1', onread });
  watch(client, 'client');
  await closed(client);
  say('client', 'read', bytes, buffers.size > 1);
  server.close();
}

export async function drains() {
  const { client, peer } = await pair();
  peer.pause();
  let more = true;
  let writes = 0;
  while (more && writes < 1000) {
    more = client.write(Buffer.alloc(64 << 10));
    writes += 1;
  }
  say('client', 'needs drain', client.writableNeedDrain, more);
  client.on('drain', () => say('client', 'drain'));
  peer.resume();
  await next(client, 'drain');
  client.end();
  await closed(client.resume());
}

/** Neither direction may count as idle while it is in use. */
export async function timesOutOnlyWhenIdle() {
  const { client, peer } = await pair();
  watch(client, 'client');
  client.resume();
  client.setTimeout(500);
  for (const writer of [peer, client]) {
    for (let i = 0; i < 40; i++) {
      writer.write('x');
      await pause(20);
    }
    say('client', 'still in use');
    writer.resume();
  }
  peer.resume();
  await next(client, 'timeout');
  client.setTimeout(0);
  client.destroy();
  peer.destroy();
}

export async function timesOutByOption() {
  const server = net.createServer((peer) => peer.resume());
  const client = net.connect({ port: await listen(server), host: '127.0.0.1', timeout: 500 });
  watch(client, 'client');
  await next(client, 'timeout');
  say('client', 'timeout is', client.timeout);
  client.end();
  await closed(client.resume());
  server.close();
}

/** A socket that waits for the peer to read is not idle at once, but it is at last. */
export async function timesOutWhileBlocked() {
  const { client, peer } = await pair();
  peer.pause();
  client.setTimeout(200);
  watch(client, 'client');
  client.write(Buffer.alloc(64 * MEGABYTE));
  await next(client, 'timeout');
  client.destroy();
  peer.destroy();
  await tick();
}

export async function connectsByName() {
  const server = net.createServer((peer) => peer.end('by name'));
  const port = await listen(server, { host: '::', ipv6Only: false });
  for (const options of [{}, { family: 4 }, { family: 6 }, { autoSelectFamily: false }, { autoSelectFamily: true }]) {
    const client = net.connect({ port, host: 'localhost', ...options });
    const note = watch(client, 'client');
    client.on('lookup', (error, address, family, host) => say('client', 'lookup', error, address, family, host));
    client.on('data', (chunk) => note.received(chunk.length));
    await closed(client);
  }
  const client = net.connect({ port, host: 'no.such.name.invalid' });
  watch(client, 'client');
  await closed(client);
  server.close();
}
