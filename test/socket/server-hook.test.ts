import { fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parsePrefix } from '../../src/core/prefix.ts';
import { nativeConnect } from '../../src/host/native.ts';
import { connectedPair, isMobile, listening, mobileLayer } from './mobile-layer.ts';

function connections(server: net.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

describe('A server with sessions', () => {
  it('counts them, and closes when the last has gone', async () => {
    mobileLayer();
    const { client, peer, server } = await connectedPair();
    expect(await connections(server)).toBe(1);
    const closed = once(server, 'close');
    server.close();
    expect(server.listening).toBe(false);
    expect(await connections(server)).toBe(1);
    client.end();
    peer.resume();
    await closed;
  });

  it('drops what is over maxConnections, and says so', async () => {
    mobileLayer();
    const { server } = await connectedPair();
    server.maxConnections = 1;
    const { port } = server.address() as net.AddressInfo;
    const socket = net.connect(port, '127.0.0.1');
    const [dropped] = await once(server, 'drop');
    expect(dropped).toMatchObject({ localPort: port, localFamily: 'IPv4', remoteAddress: '127.0.0.1' });
    await once(socket.resume(), 'close');
  });

  it('gives its options to the sockets', async () => {
    mobileLayer();
    const { peer, client } = await connectedPair({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    expect([isMobile(peer), peer.allowHalfOpen, peer.isPaused()]).toEqual([true, true, true]);
    client.write('x');
    const [chunk] = await once(peer.resume(), 'data');
    expect(String(chunk)).toBe('x');
  });

  it('sees IPv4 peers by mapped addresses when it listens on both families', async () => {
    mobileLayer();
    const server = net.createServer();
    const port = await listening(server, '::');
    const client = net.connect(port, '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [net.Socket];
    expect(peer).toMatchObject({ remoteAddress: '::ffff:127.0.0.1', remoteFamily: 'IPv6' });
    client.destroy();
    peer.destroy();
  });

  it('resets who comes without a session where its policy requires one', async () => {
    mobileLayer({ mobility: 'require' });
    const { server, peer, client } = await connectedPair();
    server.on('connection', () => expect.fail('a plain connection reached the application'));
    const plain = new net.Socket();
    nativeConnect.call(plain, (server.address() as net.AddressInfo).port, '127.0.0.1');
    const [error] = await once(plain, 'error');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
    client.write('still there');
    expect(String((await once(peer, 'data'))[0])).toBe('still there');
    client.destroy();
  });

  it('takes no sessions from where its policy forbids them', async () => {
    const from = parsePrefix('192.0.2.0/24');
    if ('problem' in from) throw new Error(from.problem);
    const { endpoint } = mobileLayer({ settings: { listeners: [{ from: [from] }] } });
    const server = net.createServer();
    const port = await listening(server);
    const client = net.connect(port, '127.0.0.1');
    const [peer] = (await once(server, 'connection')) as [net.Socket];
    expect(endpoint.requests).toHaveLength(1);
    expect(isMobile(peer)).toBe(false);
    client.destroy();
    peer.destroy();
  });

  it('has no companion on loopback unless the policy asks for one', async () => {
    const { endpoint } = mobileLayer({ mobility: 'auto' });
    const { client, peer } = await connectedPair();
    expect([isMobile(client), isMobile(peer), endpoint.requests.length]).toEqual([false, false, 0]);
  });
});

it('the workers of a cluster take the sessions, not its primary', async () => {
  const program = new URL('./fixtures/cluster.mjs', import.meta.url).pathname;
  const directory = `/tmp/mobisock-cluster-test-${process.pid}`;
  const child = fork(program, {
    execArgv: ['--import', 'tsx', '--import', new URL('./preload.ts', import.meta.url).href],
    env: { ...process.env, MOBISOCK_TEST_DIRECTORY: directory },
  });
  onTestFinished(() => {
    child.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  const [answer] = await once(child, 'message');
  expect(answer).toEqual({ greeting: 'worker', mobile: true });
});
