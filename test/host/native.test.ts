import { once } from 'node:events';
import { createServer, Server, Socket } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { nativeConnect, nativeListen, nativeTlsConnect } from '../../src/host/native.ts';

const { connect } = Socket.prototype;
const { listen } = Server.prototype;
const tlsConnect = tls.connect;

describe("node's own functions", () => {
  afterEach(() => {
    Socket.prototype.connect = connect;
    Server.prototype.listen = listen;
    tls.connect = tlsConnect;
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

  it('keep the tls.connect of the first call', () => {
    const first = nativeTlsConnect();
    expect(first).toBe(tlsConnect);
    tls.connect = () => {
      throw new Error('patched');
    };
    expect(nativeTlsConnect()).toBe(first);
  });
});
