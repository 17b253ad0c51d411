import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import diagnosticsChannel from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SessionLifeEvent } from '../../src/l4mob/io/mobile-stream.ts';
import { sessionLifeReporter } from '../../src/socket/diagnostics.ts';
import { install } from '../../src/socket/install.ts';
import { mobileNet } from '../../src/socket/net.ts';
import { Policy } from '../../src/socket/policy/policy.ts';
import { LoopbackEndpoint } from './loopback-endpoint.ts';
import { connectedPair, isMobile, listening, mobileLayer } from './mobile-layer.ts';

const never = (): never => {
  throw new Error('not needed');
};

describe('The installation', () => {
  it('is one per process, and leaves everything as it found it', () => {
    const { connect } = net.Socket.prototype;
    const { listen } = net.Server.prototype;
    const first = install({ policy: new Policy(), endpoint: never });
    expect(net.Socket.prototype.connect).not.toBe(connect);
    expect([net.Socket.prototype.connect.name, net.Socket.prototype.connect.length]).toEqual([
      connect.name,
      connect.length,
    ]);
    expect(install({ policy: new Policy(), endpoint: never })).toBe(first);
    first.uninstall();
    expect([net.Socket.prototype.connect, net.Server.prototype.listen]).toEqual([connect, listen]);
  });

  it('hooks nothing where the policy is switched off', () => {
    const { connect } = net.Socket.prototype;
    const installation = install({ policy: new Policy({}, false), endpoint: never });
    expect(net.Socket.prototype.connect).toBe(connect);
    installation.uninstall();
  });

  it('passes through, once taken back, below whoever has wrapped over it', async () => {
    const { connect } = net.Socket.prototype;
    const installation = install({ policy: new Policy({ mobility: 'prefer' }), endpoint: never });
    const ours = net.Socket.prototype.connect;
    const wrapped = function (this: net.Socket, ...args: unknown[]): net.Socket {
      return (ours as (...args: unknown[]) => net.Socket).apply(this, args);
    } as typeof ours;
    net.Socket.prototype.connect = wrapped;
    installation.uninstall();
    expect(net.Socket.prototype.connect).toBe(wrapped);
    const { client } = await connectedPair();
    expect(isMobile(client)).toBe(false);
    net.Socket.prototype.connect = connect;
  });

  it('says once that there is no endpoint, and lets connections be plain', async () => {
    const installation = install({ policy: new Policy({ mobility: 'prefer' }), endpoint: never });
    const warned = once(process, 'warning');
    const { client } = await connectedPair();
    expect(isMobile(client)).toBe(false);
    expect((await warned)[0]).toMatchObject({ name: 'MobisockWarning', code: 'ERR_MOBISOCK_PLAIN' });
    installation.uninstall();
  });

  it('leaves unix sockets and wrong arguments to node', () => {
    mobileLayer();
    expect(() => new net.Socket().connect({ port: 70_000 })).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT' }),
    );
    expect(() => new net.Socket().connect({} as never)).toThrow(expect.objectContaining({ code: 'ERR_MISSING_ARGS' }));
    expect(() => net.connect({ port: 1, host: '127.0.0.1', localAddress: 'x' })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }),
    );
  });

  it('makes way where the application binds a UDP port', async () => {
    const { endpoint } = mobileLayer();
    await connectedPair();
    const probe = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port } = probe.address();
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    const socket = dgram.createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    socket.close();
    expect(endpoint.yielded).toEqual([port]);
  });

  it('does not let a mobile socket be sent to a child', async () => {
    mobileLayer();
    const { client } = await connectedPair();
    const child = fork('-e', ['process.on("message", () => {})'], { execArgv: ['-e', '0'] });
    expect(() => child.send('socket', client)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_HANDLE_TYPE' }));
    child.kill();
    await once(child, 'exit');
  });
});

it('the net module of its own is mobile where the global one is not', async () => {
  const endpoint = new LoopbackEndpoint({ directory: `/tmp/mobisock-net-test-${process.pid}` });
  const own = mobileNet({ policy: new Policy({ mobility: 'prefer' }), endpoint: () => endpoint });
  const server = own.createServer((socket) => socket.end('hello'));
  const port = await listening(server);
  const mobile = own.connect(port, '127.0.0.1').setEncoding('utf8');
  const plain = net.connect(port, '127.0.0.1').setEncoding('utf8');
  const texts = await Promise.all([once(mobile, 'data'), once(plain, 'data')]);
  expect(texts).toEqual([['hello'], ['hello']]);
  expect([isMobile(mobile), isMobile(plain)]).toEqual([true, false]);
  await Promise.all([once(mobile, 'close'), once(plain, 'close')]);
  endpoint.close();
});

it("session events reach the diagnostics channel and the policy's file", () => {
  const directory = mkdtempSync(join(tmpdir(), 'mobisock-events-'));
  const path = join(directory, 'events');
  const report = sessionLifeReporter({ kind: 'file', path });
  const published: unknown[] = [];
  const take = (message: unknown): void => void published.push(message);
  diagnosticsChannel.subscribe('mobisock:session:resume', take);
  const event: SessionLifeEvent = {
    name: 'resume',
    session: 's1',
    role: 'initiator',
    local: { ip: '192.0.2.1', port: 1 },
    remote: { ip: '192.0.2.2', port: 2 },
    gapMs: 12,
  };
  report(event);
  diagnosticsChannel.unsubscribe('mobisock:session:resume', take);
  const [line] = readFileSync(path, 'utf8').trimEnd().split('\n');
  rmSync(directory, { recursive: true });
  expect(published).toEqual([event]);
  expect(JSON.parse(line ?? '')).toEqual({
    event: 'session:resume',
    at: expect.any(Number),
    session: 's1',
    role: 'initiator',
    local: event.local,
    remote: event.remote,
    gapMs: 12,
  });
});
