import { once } from 'node:events';
import { createServer, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { nativeConnect, nativeListen } from '../../src/host/native.ts';

const { connect } = Socket.prototype;
const { listen } = Server.prototype;

describe("node's own functions", () => {
  afterEach(() => {
    Socket.prototype.connect = connect;
    Server.prototype.listen = listen;
  });

  it('stay what they were when somebody patches the prototypes', async () => {
    const refuse = (): never => {
      throw new Error('patched');
    };
    Socket.prototype.connect = refuse;
    Server.prototype.listen = refuse;
    const server = createServer((peer) => peer.end('hello'));
    nativeListen.call(server, 0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const socket = nativeConnect.call(new Socket(), port, '127.0.0.1');
    const [data] = await once(socket, 'data');
    expect(String(data)).toBe('hello');
    socket.destroy();
    server.close();
  });

  it('are taken once a process, not again by a second copy of the module', async () => {
    Socket.prototype.connect = () => {
      throw new Error('patched');
    };
    vi.resetModules();
    const second = await import('../../src/host/native.ts');
    expect(second.nativeConnect).toBe(connect);
  });
});
