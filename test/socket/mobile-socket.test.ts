import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { bytesOf, connectedPair, isMobile, listening, mobileLayer, streamOf } from './mobile-layer.ts';

describe('A mobile socket looks like a connected one', () => {
  it('names its addresses, states and counters', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    expect([isMobile(client), isMobile(peer)]).toEqual([true, true]);
    expect(client).toMatchObject({ connecting: false, pending: false, readyState: 'open', remoteFamily: 'IPv4' });
    expect(client.remoteAddress).toBe('127.0.0.1');
    expect(client.address()).toMatchObject({ address: '127.0.0.1', family: 'IPv4' });
    expect(peer.localPort).toBe(client.remotePort);
    client.write('äöü');
    const [chunk] = await once(peer, 'data');
    expect(String(chunk)).toBe('äöü');
    expect([client.bytesWritten, peer.bytesRead]).toEqual([6, 6]);
    expect(Object.getPrototypeOf(client)).toBe(net.Socket.prototype);
  });

  it('keeps the class of an application that has derived its own', async () => {
    mobileLayer();
    class Own extends net.Socket {
      greet(): this {
        this.write('hello');
        return this;
      }
    }
    const server = net.createServer();
    const port = await listening(server);
    const socket = new Own();
    socket.connect(port, '127.0.0.1', () => socket.greet());
    const [peer] = (await once(server, 'connection')) as [net.Socket];
    expect(String((await once(peer, 'data'))[0])).toBe('hello');
    expect([isMobile(socket), socket instanceof Own]).toEqual([true, true]);
    socket.destroy();
  });

  it('carries much in both directions at once, in order', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    const bytes = Buffer.alloc(3_000_000, 'abcdefghijklmnopqrstuvwxyz');
    const both = [bytesOf(client), bytesOf(peer)];
    for (let at = 0; at < bytes.length; at += 100_000) {
      client.write(bytes.subarray(at, at + 100_000));
      peer.write(bytes.subarray(at, at + 100_000));
    }
    client.end();
    peer.end();
    for (const received of await Promise.all(both)) expect(received.equals(bytes)).toBe(true);
  });

  it('takes strings in any encoding and corked writes as one', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    client.cork();
    client.write('c3a4', 'hex');
    client.write('ö', 'latin1');
    client.write('ü', 'utf16le');
    client.write(Buffer.from('!'));
    client.uncork();
    client.end();
    expect((await bytesOf(peer)).toString('hex')).toBe('c3a4f6fc0021');
  });

  it('stops reading when paused, and goes on where it stopped', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    peer.pause();
    const bytes = Buffer.alloc(2_000_000, 7);
    client.end(bytes);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(peer.bytesRead).toBeLessThan(bytes.length);
    expect((await bytesOf(peer)).length).toBe(bytes.length);
  });

  it("fills the application's own buffer (onread), and stops when its callback says so", async () => {
    mobileLayer();
    const server = net.createServer((socket) => socket.end('abcdefgh'));
    const port = await listening(server);
    const pieces: string[] = [];
    let stopAt = 2;
    const client = net.connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer: Buffer.alloc(3),
        callback: (bytes, buffer) => {
          pieces.push(Buffer.from(buffer.subarray(0, bytes)).toString());
          if (pieces.length !== stopAt) return true;
          stopAt = 0;
          setImmediate(() => {
            expect(pieces).toEqual(['abc', 'def']);
            client.resume();
          });
          return false;
        },
      },
    });
    await once(client, 'close');
    expect(pieces).toEqual(['abc', 'def', 'gh']);
  });
});

describe('The end of a mobile socket', () => {
  it('comes half by half where half-open is allowed', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair({ allowHalfOpen: true });
    client.end('question');
    expect((await bytesOf(peer)).toString()).toBe('question');
    peer.end('answer');
    const [hadError] = await Promise.all([once(client, 'close'), bytesOf(client)]);
    expect(hadError).toEqual([false]);
  });

  it('a destroyed socket still delivers what was written', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    const bytes = Buffer.alloc(500_000, 1);
    client.write(bytes, () => client.destroy());
    expect((await bytesOf(peer)).length).toBe(bytes.length);
  });

  it('a reset shows as ECONNRESET at the peer', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    peer.resume();
    client.resetAndDestroy();
    const [error] = await once(peer, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'read', message: 'read ECONNRESET', errno: -104 });
    expect(client.destroyed).toBe(true);
  });

  it('an error of the session ends the socket with it, once', async () => {
    mobileLayer();
    const { client } = await connectedPair();
    client.resume();
    const cause = Object.assign(new Error('no path for 60 s'), { code: 'ETIMEDOUT', syscall: 'read' });
    const ends = Promise.all([once(client, 'error'), new Promise((resolve) => client.on('close', resolve))]);
    streamOf(client).owner?.onClose(cause);
    const [[error], hadError] = await ends;
    expect(error).toMatchObject({ code: 'ETIMEDOUT', syscall: 'read', errno: -110, cause });
    expect(hadError).toBe(true);
    expect(client.write('x')).toBe(false);
  });

  it('a write that the session can no longer take fails with its error', async () => {
    mobileLayer();
    const { client } = await connectedPair();
    const stream = streamOf(client);
    stream.write = (_chunks, callback) => setImmediate(callback, Object.assign(new Error(), { code: 'EPIPE' }));
    const closed = once(client, 'error');
    const failed = new Promise((resolve) => client.write('x', resolve));
    expect(await failed).toMatchObject({ code: 'EPIPE', syscall: 'write' });
    expect((await closed)[0]).toMatchObject({ code: 'EPIPE' });
  });

  it('writes that wait are answered when the socket is destroyed', async () => {
    mobileLayer();
    const { client } = await connectedPair();
    const stream = streamOf(client);
    stream.write = () => {};
    const answered = new Promise((resolve) => client.write('x', resolve));
    client.destroy();
    await Promise.all([answered, once(client, 'close')]);
  });

  it("an exception in a listener is the application's, not the endpoint's", async () => {
    mobileLayer();
    const { client } = await connectedPair();
    const thrown = new Error('in a listener');
    const caught = new Promise((resolve) => process.once('uncaughtException', resolve));
    const others = process.listeners('uncaughtException').slice(0, -1);
    for (const other of others) process.off('uncaughtException', other);
    client.on('data', () => {
      throw thrown;
    });
    await new Promise(setImmediate);
    expect(() => streamOf(client).owner?.onData(Buffer.from('x'))).not.toThrow();
    expect(await caught).toBe(thrown);
    for (const other of others) process.on('uncaughtException', other);
  });
});

describe('Timers and references', () => {
  it('an idle socket times out, one that reads does not', async () => {
    mobileLayer();
    const { client, peer } = await connectedPair();
    client.resume();
    client.setTimeout(200);
    let timeouts = 0;
    client.on('timeout', () => timeouts++);
    for (let i = 0; i < 6; i++) {
      peer.write('x');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(timeouts).toBe(0);
    await once(client, 'timeout');
  });

  it('passes on whether the session keeps the process alive', async () => {
    mobileLayer();
    const { client } = await connectedPair();
    const stream = streamOf(client);
    const calls: string[] = [];
    stream.ref = () => calls.push('ref');
    stream.unref = () => calls.push('unref');
    client.unref();
    client.ref();
    expect(calls).toEqual(['unref', 'ref']);
  });
});
