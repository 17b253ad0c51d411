/** Programs' protocols on mobile sockets, both ends in one process over the loopback endpoint. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import tls from 'node:tls';
import { Agent, request as undiciRequest } from 'undici';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { nodeBinding } from '../../src/host/node-binding.ts';
import { certificate } from './certificate.ts';
import type { LoopbackEndpoint } from './loopback-endpoint.ts';
import { bytesOf, isMobile, listening, mobileLayer } from './mobile-layer.ts';

const BODY = Buffer.alloc(700_000, 'a body of some length, ');

const HEAD_START_MS = 10;

let endpoint: LoopbackEndpoint;

beforeEach(() => {
  ({ endpoint } = mobileLayer({ verdict: 'aware', headStartMs: HEAD_START_MS }));
});

afterEach(() => {
  vi.restoreAllMocks();
});

interface TcpBinding {
  readonly TCP: { readonly prototype: { connect(...args: unknown[]): number } };
}

/** Answers with what it was sent. */
function echo(request: http.IncomingMessage, response: http.ServerResponse): void {
  request.pipe(response);
}

describe('HTTP', () => {
  it('posts and gets over one kept-alive socket', async () => {
    const port = await listening(http.createServer(echo));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const expected of [false, true, true]) {
      const request = http.request({ port, host: '127.0.0.1', method: 'POST', agent });
      request.end(BODY);
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      expect([request.reusedSocket, isMobile(response.socket)]).toEqual([expected, true]);
      expect((await bytesOf(response)).equals(BODY)).toBe(true);
    }
    expect(endpoint.requests).toHaveLength(1);
    agent.destroy();
  });

  it('fetch and undici work on it', async () => {
    const port = await listening(http.createServer(echo));
    const url = `http://127.0.0.1:${port}/`;
    const fetched = await fetch(url, { method: 'POST', body: BODY });
    expect(Buffer.from(await fetched.arrayBuffer()).equals(BODY)).toBe(true);
    const dispatcher = new Agent();
    const { body } = await undiciRequest(url, { method: 'POST', body: BODY, dispatcher });
    expect((await body.arrayBuffer()).byteLength).toBe(BODY.length);
    await dispatcher.close();
    expect(endpoint.requests.length).toBeGreaterThanOrEqual(2);
  });

  it('a server closes all its connections', async () => {
    const server = http.createServer((_request, response) => response.write('never ends'));
    const port = await listening(server);
    const request = http.get({ port, host: '127.0.0.1' });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    const failed = once(response, 'error');
    server.close();
    server.closeAllConnections();
    await Promise.all([failed, once(server, 'close')]);
  });

  it('a WebSocket echoes', async () => {
    const server = http.createServer();
    const sockets = new WebSocketServer({ server });
    sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const port = await listening(server);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(socket, 'open');
    socket.send(BODY);
    const [received] = (await once(socket, 'message')) as [Buffer];
    expect(received.equals(BODY)).toBe(true);
    socket.close();
    await once(socket, 'close');
    expect(endpoint.requests).toHaveLength(1);
  });
});

describe('TLS', () => {
  const { key, cert } = certificate();
  const options = { ca: cert, host: 'localhost', servername: 'localhost' };

  it('runs natively on the session, checks the name, and resumes', async () => {
    const port = await listening(tls.createServer({ key, cert }, (socket) => socket.pipe(socket)));
    let session: Buffer | undefined;
    for (const reused of [false, true]) {
      const socket = tls.connect({ ...options, port, ...(session === undefined ? {} : { session }) });
      socket.on('session', (ticket) => {
        session = ticket;
      });
      await once(socket, 'secureConnect');
      expect(socket).toMatchObject({ authorized: true, remoteAddress: '127.0.0.1' });
      expect(socket.isSessionReused()).toBe(reused);
      socket.end(BODY);
      expect((await bytesOf(socket)).equals(BODY)).toBe(true);
    }
    expect(endpoint.requests.map(({ host }) => host)).toEqual(['localhost', 'localhost']);
  });

  it('survives a withdrawn plain attempt and a session that fails after its offer', async () => {
    const port = await listening(tls.createServer({ key, cert }, (socket) => socket.end('hello')));
    let exchanged = false;
    endpoint.verdict = () => 'unknown';
    endpoint.open = (_request, handlers) => {
      const fail = (): void => {
        handlers.onOffer();
        exchanged = isMobile(socket);
        handlers.onPlain('session-port-unreachable');
      };
      // Behind the call that begins the plain attempt, and before the kernel's answer to it is seen.
      const { prototype } = nodeBinding<TcpBinding>('tcp_wrap').TCP;
      const native = prototype.connect;
      vi.spyOn(prototype, 'connect').mockImplementationOnce(function (this: unknown, ...args) {
        process.nextTick(fail);
        return native.apply(this, args);
      });
      return { cancel: () => {} };
    };
    const socket = tls.connect({ ...options, port });
    let session: Buffer | undefined;
    socket.on('session', (ticket) => {
      session = ticket;
    });
    expect((await bytesOf(socket)).toString()).toBe('hello');
    expect([exchanged, socket.authorized, session === undefined]).toEqual([true, true, false]);
  });

  it('refuses a certificate for another name', async () => {
    const port = await listening(tls.createServer({ key, cert }));
    const socket = tls.connect({ ...options, port, servername: 'other.test' });
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });

  it('stays plain on a given socket that is still connecting', async () => {
    const port = await listening(tls.createServer({ key, cert }, (socket) => socket.end('hello')));
    const { connect } = await import('node:net');
    const raw: net.Socket = connect(port, 'localhost');
    const socket = tls.connect({ ...options, socket: raw });
    expect((await bytesOf(socket)).toString()).toBe('hello');
    expect(endpoint.requests).toEqual([]);
  });

  it('HTTPS and HTTP/2 work on it', async () => {
    const secure = await listening(https.createServer({ key, cert }, echo));
    const request = https.request({ ...options, port: secure, method: 'POST', agent: false });
    request.end(BODY);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    expect((await bytesOf(response)).equals(BODY)).toBe(true);

    const server = http2.createSecureServer({ key, cert });
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const port = await listening(server);
    const client = http2.connect(`https://localhost:${port}`, { ca: cert });
    const stream = client.request({ ':method': 'POST' });
    stream.end(BODY);
    expect((await bytesOf(stream)).equals(BODY)).toBe(true);
    client.close();
    await once(client, 'close');
    expect(endpoint.requests).toHaveLength(2);
  });

  it('reports a refused connection once', async () => {
    const server = tls.createServer({ key, cert });
    const port = await listening(server);
    server.close();
    await once(server, 'close');
    const socket = tls.connect({ ...options, port });
    const errors: unknown[] = [];
    socket.on('error', (error) => errors.push(error));
    await new Promise((resolve) => socket.on('close', resolve));
    expect(errors).toMatchObject([{ code: 'ECONNREFUSED', syscall: 'connect', port }]);
  });
});
