import dgram from 'node:dgram';
import { once } from 'node:events';
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { nodeBinding } from '../../../src/host/node-binding.ts';
import type { UdpHandle } from '../../../src/socket/dgram/dgram-internals.ts';
import { mobileLayer } from '../mobile-layer.ts';
import {
  boundSocket,
  connectTo,
  echoPair,
  handleOf,
  heard,
  kernelNames,
  mobileOf,
  sent,
  udpSocket,
} from './udp-pair.ts';

const ECONNREFUSED = constants.errno.ECONNREFUSED;
/** As node 24 has them and its declarations do not yet. */
type SynchronousSocket = dgram.Socket & {
  bindSync(options: { address: string }): { port: number };
  connectSync(port: number, address: string): void;
};

const { UDP } = nodeBinding<{ readonly UDP: new () => UdpHandle & { readonly fd: number } }>('udp_wrap');
/** `using` is not in every node that is supported. */
const disposeAsync = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');

describe('A datagram of a flow', () => {
  it('comes as it was sent, from the name of its sender', async () => {
    const { endpoint } = mobileLayer();
    const { server, client, port, flow } = await echoPair();
    expect(endpoint.datagrams.at(port).flows).toBe(1);
    expect(flow.text).toBe('hello');
    expect(flow.from).toEqual({ address: '127.0.0.1', family: 'IPv4', port: client.address().port, size: 5 });
    const answer = heard(client);
    server.send('again', flow.from.port, flow.from.address);
    expect(await answer).toEqual({
      text: 'again',
      from: { address: '127.0.0.1', family: 'IPv4', port, size: 5 },
    });
  });

  it('is counted by the bytes of the application', async () => {
    mobileLayer();
    const { server, client, flow } = await echoPair();
    expect(await sent(client, 'four')).toBe(4);
    expect(await sent(client, Buffer.alloc(0))).toBe(0);
    expect(await sent(client, ['ab', Buffer.from('c'), new Uint8Array([100])])).toBe(4);
    expect(await sent(client, new Uint16Array([1, 2, 3]))).toBe(6);
    expect(await sent(server, 'abcdef', 1, 3, flow.from.port, flow.from.address)).toBe(3);
    expect(client.getSendQueueCount()).toBe(0);
  });

  it('has the bytes of every kind of view', async () => {
    mobileLayer();
    const { server, client } = await echoPair();
    const texts: string[] = [];
    server.on('message', (bytes) => texts.push(bytes.toString('latin1')));
    const bytes = Buffer.from('xabcdx').subarray(1, 5);
    for (const view of [
      'abcd',
      bytes,
      new DataView(bytes.buffer, bytes.byteOffset, 4),
      new Uint16Array([25_185, 25_699]),
      ['a', 'bc', 'd'],
    ]) {
      const next = once(server, 'message');
      await sent(client, view);
      await next;
    }
    expect(texts).toEqual(Array(5).fill('abcd'));
  });

  it('reaches a peer that has moved by the name that it always had', async () => {
    const { endpoint } = mobileLayer();
    const { server, client, port, flow } = await echoPair();
    // A NAT that gives the client another port from now on.
    const nat = await boundSocket();
    mobileOf(nat)?.makePlain();
    const clientAddress = { ip: '127.0.0.1', port: client.address().port };
    nat.on('message', (bytes, from) => {
      const to = from.port === port ? clientAddress.port : port;
      nat.send(bytes, to, '127.0.0.1');
    });
    const service = endpoint.datagrams.at(clientAddress.port);
    const transmitted = service.send([Buffer.from('moved')], { ip: '127.0.0.1', port });
    if (typeof transmitted !== 'object') throw new Error('not sealed');
    const atServer = heard(server);
    service.options.port.transmit(transmitted.bytes, { ip: '127.0.0.1', port: nat.address().port });
    expect(await atServer).toEqual({ text: 'moved', from: { ...flow.from, size: 5 } });
    const answer = heard(client);
    expect(await sent(server, 'found', flow.from.port, flow.from.address)).toBe(5);
    expect(await answer).toMatchObject({ text: 'found', from: { port } });
  });

  it('that the kernel does not take was sent, as far as the application knows', async () => {
    const { endpoint } = mobileLayer();
    const { server, client, port, flow } = await echoPair();
    const nowhere = await boundSocket();
    const lost = nowhere.address().port;
    nowhere.close();
    const service = endpoint.datagrams.at(client.address().port);
    const send = service.send.bind(service);
    // 255.255.255.255 needs SO_BROADCAST: EACCES.
    service.send = (pieces, to) => {
      const outgoing = send(pieces, to);
      return typeof outgoing === 'object' ? { ...outgoing, to: { ip: '255.255.255.255', port: lost } } : outgoing;
    };
    expect(await sent(client, 'lost')).toBe(4);
    service.send = send;
    const atServer = heard(server);
    expect(await sent(client, 'not lost')).toBe(8);
    expect((await atServer).from.port).toBe(flow.from.port);
    expect(port).toBeGreaterThan(0);
  });

  it('that is too large is an error, as without a flow', async () => {
    mobileLayer();
    const { client } = await echoPair();
    expect(await sent(client, Buffer.alloc(65_000))).toBe(65_000);
    await expect(sent(client, Buffer.alloc(65_505))).rejects.toMatchObject({ code: 'EMSGSIZE', syscall: 'send' });
  });

  it('that was dropped counts as sent', async () => {
    const { endpoint } = mobileLayer();
    const { client } = await echoPair();
    endpoint.datagrams.at(client.address().port).send = () => 'dropped' as never;
    expect(await sent(client, 'gone')).toBe(4);
  });

  it('that is given outside a receive reaches the application too, and its errors end where node puts them', async () => {
    const { endpoint } = mobileLayer();
    const { client, port } = await echoPair();
    const service = endpoint.datagrams.at(client.address().port);
    const answer = heard(client);
    service.options.port.deliver(Buffer.from('late'), { ip: '127.0.0.1', port });
    expect(await answer).toEqual({ text: 'late', from: { address: '127.0.0.1', family: 'IPv4', port, size: 4 } });
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = once(process, 'uncaughtException');
    client.once('message', () => {
      throw new Error('in a listener');
    });
    service.options.port.deliver(Buffer.from('late'), { ip: '127.0.0.1', port });
    expect((await thrown)[0]).toMatchObject({ message: 'in a listener' });
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
});

describe('A connected socket with a flow', () => {
  it('is open to all in the kernel, on the same port, and as it was for the application', async () => {
    mobileLayer();
    const server = await boundSocket();
    const { port } = server.address();
    const client = await connectTo(udpSocket(), port);
    const before = { local: client.address(), remote: client.remoteAddress() };
    expect(kernelNames(client)).toEqual(before);
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    const answer = heard(client);
    server.send('welcome', from.port, from.address);
    await answer;
    expect({ local: client.address(), remote: client.remoteAddress() }).toEqual(before);
    expect(kernelNames(client)).toEqual({
      local: { address: '0.0.0.0', family: 'IPv4', port: before.local.port },
      remote: -constants.errno.ENOTCONN,
    });
    expect(() => client.connect(port)).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }));
    expect(() => client.send('x', 0, 1, port, '127.0.0.1')).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_IS_CONNECTED' }),
    );
  });

  it.each<[string, dgram.SocketType, dgram.BindOptions, string, string]>([
    ['any address and port', 'udp4', { port: 0 }, '127.0.0.1', '0.0.0.0'],
    ['one address', 'udp4', { port: 0, address: '127.0.0.1' }, '127.0.0.1', '127.0.0.1'],
    ['any address and port', 'udp6', { port: 0 }, '::1', '::'],
    ['one address', 'udp6', { port: 0, address: '::1' }, '::1', '::1'],
    ['both families', 'udp6', { port: 0 }, '::ffff:127.0.0.1', '::'],
  ])('keeps its port where it was bound to %s (%s)', async (_what, type, bind, address, opened) => {
    const { endpoint } = mobileLayer();
    const server = await boundSocket(type, { port: 0, address: opened });
    const client = await connectTo(await boundSocket(type, bind), server.address().port, address);
    const local = client.address();
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    expect(from).toMatchObject({ address, port: local.port });
    const answer = heard(client);
    server.send('welcome', from.port, from.address);
    expect((await answer).from.address).toBe(address);
    expect(endpoint.datagrams.at(server.address().port).flows).toBe(1);
    expect(kernelNames(client).local).toMatchObject({ address: opened, port: local.port });
    expect(client.address()).toEqual(local);
  });

  it('over IPv6 changes the socket of the kernel, loses nothing of what was waiting, and keeps its settings', async () => {
    mobileLayer();
    const server = await boundSocket('udp6', { port: 0, address: '::1' });
    const client = await connectTo(await boundSocket('udp6', { port: 0 }), server.address().port, '::1');
    client.setMulticastInterface('::%lo');
    client.addMembership('ff01::6d6f', '::%lo');
    client.setRecvBufferSize(50_000);
    client.unref();
    const texts: string[] = [];
    client.on('message', (bytes) => texts.push(bytes.toString()));
    const before = { local: client.address(), size: client.getRecvBufferSize() };
    const former = handleOf(client) as UdpHandle;
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    // All in one turn: the first changes the socket, and the others wait at the former one.
    const waiting = Array.from({ length: 50 }, (_, i) => `${i}`);
    for (const text of waiting) server.send(text, from.port, from.address);
    await expect.poll(() => former.getsockname({})).toBe(-constants.errno.EBADF);
    expect(texts).toEqual(waiting);
    expect(handleOf(client)).not.toBe(former);
    expect(kernelNames(client)).toMatchObject({
      local: { port: before.local.port },
      remote: -constants.errno.ENOTCONN,
    });
    expect(client.address()).toEqual(before.local);
    expect(client.getRecvBufferSize()).toBe(before.size);
    expect(handleOf(client)?.hasRef()).toBe(false);
    expect(() => client.addMembership('ff01::6d6f', '::%lo')).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    const still = heard(client);
    server.send('still', from.port, from.address);
    expect((await still).text).toBe('still');
  });

  it('over IPv6 keeps a port that it asked for, and its flow', async () => {
    const { endpoint } = mobileLayer();
    const server = await boundSocket('udp6', { port: 0, address: '::1' });
    const first = await boundSocket('udp6', { port: 0, address: '::1' });
    const { port } = first.address();
    first.close();
    await once(first, 'close');
    const client = await connectTo(await boundSocket('udp6', { port, address: '::1' }), server.address().port, '::1');
    const former = handleOf(client);
    for (const text of ['hello', 'again']) {
      const atServer = heard(server);
      client.send(text);
      const { from } = await atServer;
      expect(from.port).toBe(port);
      const answer = heard(client);
      server.send(text, from.port, from.address);
      expect((await answer).text).toBe(text);
    }
    expect(handleOf(client)).not.toBe(former);
    expect(kernelNames(client)).toMatchObject({ local: { address: '::1', port }, remote: -constants.errno.ENOTCONN });
    expect(endpoint.datagrams.at(port).flows).toBe(1);
    client.disconnect();
    await connectTo(client, server.address().port, '::1');
    expect(client.address().port).toBe(port);
  });

  it('over IPv6 hears nothing more when it is closed in that moment', async () => {
    mobileLayer();
    const server = await boundSocket('udp6', { port: 0, address: '::1' });
    const client = await connectTo(await boundSocket('udp6', { port: 0 }), server.address().port, '::1');
    const texts: string[] = [];
    client.on('message', (bytes) => {
      texts.push(bytes.toString());
      client.close();
    });
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    const former = handleOf(client) as UdpHandle;
    for (const text of ['one', 'two', 'three']) server.send(text, from.port, from.address);
    await once(client, 'close');
    await expect.poll(() => former.getsockname({})).toBe(-constants.errno.EBADF);
    expect(texts).toEqual(['one']);
  });

  it('goes on from another port where somebody has taken its own in that moment', async () => {
    mobileLayer();
    const server = await boundSocket();
    const client = udpSocket();
    const handle = handleOf(client) as UdpHandle;
    const { disconnect } = handle;
    const thief = new UDP();
    handle.disconnect = () => {
      const status = disconnect.call(handle);
      expect(thief.bind('0.0.0.0', local.port, 0)).toBe(0);
      return status;
    };
    await connectTo(client, server.address().port);
    const local = client.address();
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    for (const text of ['one', 'two']) {
      const answer = heard(client);
      server.send(text, from.port, from.address);
      expect((await answer).text).toBe(text);
      const next = heard(server);
      client.send(text);
      expect((await next).from.port).toBe(from.port);
    }
    expect(client.address()).toEqual(local);
    expect(kernelNames(client).local).not.toMatchObject({ port: local.port });
    thief.close();
  });

  it('can be connected again', async () => {
    mobileLayer();
    const { server, client, flow } = await echoPair();
    client.disconnect();
    await connectTo(client, server.address().port);
    const again = heard(server);
    client.send('hello');
    expect((await again).from.port).toBe(flow.from.port);
  });

  it('hears nobody but its peer', async () => {
    mobileLayer();
    const { server, client, flow } = await echoPair();
    const stranger = await boundSocket();
    mobileOf(stranger)?.makePlain();
    const texts: string[] = [];
    client.on('message', (bytes) => texts.push(bytes.toString()));
    await sent(stranger, 'stranger', flow.from.port, '127.0.0.1');
    const answer = heard(client);
    server.send('peer', flow.from.port, flow.from.address);
    await answer;
    expect(texts).toEqual(['peer']);
  });

  it('hears that its peer is gone as from ICMP', async () => {
    const { endpoint } = mobileLayer();
    const { client } = await echoPair();
    const plain = udpSocket();
    const closed = await boundSocket();
    const { port } = closed.address();
    closed.close();
    await connectTo(plain, port);
    const [fromKernel] = await failing(plain, () => plain.send('x'));
    const [fromFlow] = await failing(client, () => endpoint.datagrams.at(client.address().port).options.port.refused());
    expect(fromFlow).toMatchObject({ code: 'ECONNREFUSED', errno: -ECONNREFUSED, syscall: 'recvmsg' });
    expect({ ...(fromFlow as Error) }).toEqual({ ...(fromKernel as Error) });
    expect((fromFlow as Error).message).toBe((fromKernel as Error).message);
  });

  it('is connected in the kernel again when the flow is over', async () => {
    mobileLayer();
    const { server, client, port } = await echoPair();
    const before = client.address();
    server.close();
    await once(server, 'close');
    // The flow's end came before this.
    await expect.poll(() => kernelNames(client).remote).toEqual({ address: '127.0.0.1', family: 'IPv4', port });
    expect(client.address()).toEqual(before);
    const [error] = await failing(client, () => client.send('x'));
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'recvmsg' });
  });

  it('is disconnected when the application says so', async () => {
    mobileLayer();
    const { client } = await echoPair();
    const { port } = client.address();
    client.disconnect();
    expect(() => client.remoteAddress()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }));
    expect(() => client.disconnect()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }));
    const stranger = udpSocket();
    const next = heard(client);
    stranger.send('stranger', port, '127.0.0.1');
    expect((await next).text).toBe('stranger');
  });

  it('is told nothing of ICMP that only mobisock has caused', async () => {
    const { endpoint } = mobileLayer();
    const closed = await boundSocket();
    const { port } = closed.address();
    closed.close();
    const client = await connectTo(await boundSocket(), port);
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    const service = endpoint.datagrams.at(client.address().port);
    service.unreachableIsOurs = true;
    const unreachable = new Promise<void>((resolve) => {
      service.handleUnreachable = () => {
        resolve();
        return true;
      };
    });
    service.options.port.transmit(Buffer.from('ours'), { ip: '127.0.0.1', port });
    await unreachable;
    service.handleUnreachable = () => false;
    const refused = once(client, 'error');
    client.send('theirs');
    await refused;
    expect(errors).toHaveLength(1);
  });
});

describe('An ICMP error that a datagram of mobisock has met in place of the application', () => {
  it('reaches the application', async () => {
    const { endpoint } = mobileLayer();
    const closed = await boundSocket();
    const { port } = closed.address();
    closed.close();
    const client = await connectTo(await boundSocket(), port);
    const service = endpoint.datagrams.at(client.address().port);
    const asked: boolean[] = [];
    const settled = new Promise<void>((resolve) => {
      service.handleUnreachable = () => {
        asked.push(asked.length > 0);
        if (asked.length === 2) resolve();
        return asked.length > 1;
      };
    });
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    client.send('theirs');
    service.options.port.transmit(Buffer.from('ours'), { ip: '127.0.0.1', port });
    expect(errors).toEqual([]);
    await settled;
    expect(errors).toMatchObject([{ code: 'ECONNREFUSED', syscall: 'recvmsg' }]);
    expect(asked).toEqual([false, true]);
  });
});

describe('A socket of both families', () => {
  it('knows IPv4 peers by mapped addresses, whatever happens underneath', async () => {
    const { endpoint } = mobileLayer();
    const server = await boundSocket('udp6', { port: 0 });
    const { port } = server.address();
    const client = await connectTo(udpSocket(), port);
    const atServer = heard(server);
    client.send('hello');
    const { from } = await atServer;
    expect(from).toEqual({ address: '::ffff:127.0.0.1', family: 'IPv6', port: client.address().port, size: 5 });
    const answer = heard(client);
    expect(await sent(server, 'welcome', from.port, from.address)).toBe(7);
    expect((await answer).from).toMatchObject({ address: '127.0.0.1', port });
    expect(endpoint.datagrams.at(port).flows).toBe(1);
  });

  it('reaches a name in any spelling', async () => {
    const { endpoint } = mobileLayer();
    const server = await boundSocket('udp6', { port: 0, address: '::1' });
    const { port } = server.address();
    const client = udpSocket('udp6');
    for (const address of ['::1', '0:0:0:0:0:0:0:1', '::']) {
      const atServer = heard(server);
      client.send('hello', port, address);
      expect((await atServer).from.address).toBe('::1');
    }
    expect(endpoint.datagrams.at(port).flows).toBe(1);
  });

  it('without IPv4 stays without it', async () => {
    mobileLayer();
    const socket = await boundSocket({ type: 'udp6', ipv6Only: true }, { port: 0 });
    const { port } = socket.address();
    const beside = await boundSocket('udp4', { port, address: '0.0.0.0' });
    expect(beside.address().port).toBe(port);
    await expect(sent(socket, 'x', port, '::ffff:127.0.0.1')).rejects.toMatchObject({ syscall: 'send' });
  });
});

describe('A mobile socket is node’s own', () => {
  it('when it is closed from its own listener', async () => {
    mobileLayer();
    const { server, client, flow } = await echoPair();
    client.once('message', () => client.close());
    const closed = once(client, 'close');
    server.send('one', flow.from.port, flow.from.address);
    server.send('two', flow.from.port, flow.from.address);
    await closed;
    expect(() => client.address()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_RUNNING' }));
  });

  it('when it is aborted', async () => {
    const { endpoint } = mobileLayer();
    const controller = new AbortController();
    const socket = await boundSocket({ type: 'udp4', signal: controller.signal });
    const { port } = socket.address();
    const closed = once(socket, 'close');
    controller.abort();
    await closed;
    expect(endpoint.datagrams.has(port)).toBe(false);
  });

  it('when it is closed before it is bound', async () => {
    const { endpoint } = mobileLayer();
    const socket = udpSocket();
    socket.bind(0, 'localhost');
    socket.close();
    await once(socket, 'close');
    expect(endpoint.datagrams.services.size).toBe(0);
  });

  it('when it is disposed of', async () => {
    const { endpoint } = mobileLayer();
    const socket = await boundSocket();
    await (socket as unknown as Record<symbol, () => Promise<void>>)[disposeAsync]?.();
    expect(endpoint.datagrams.services.size).toBe(0);
  });

  it('when it could not be bound at first', async () => {
    mobileLayer();
    const taken = await boundSocket();
    const socket = udpSocket();
    socket.bind(taken.address().port, '127.0.0.1');
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'EADDRINUSE', syscall: 'bind' });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    expect(mobileOf(socket)).toBeDefined();
  });

  it('when it takes over a descriptor', async () => {
    mobileLayer();
    const owner = new UDP();
    expect(owner.bind('127.0.0.1', 0, 0)).toBe(0);
    const socket = udpSocket();
    socket.bind({ fd: owner.fd });
    expect(mobileOf(socket)).toBeDefined();
    const local = {};
    owner.getsockname(local);
    expect(socket.address()).toEqual(local);
  });

  it.skipIf(!('bindSync' in dgram.Socket.prototype))('when it is bound and connected at once', async () => {
    mobileLayer();
    const server = udpSocket() as SynchronousSocket;
    const { port } = server.bindSync({ address: '127.0.0.1' });
    const client = udpSocket() as SynchronousSocket;
    client.connectSync(port, '127.0.0.1');
    expect([server, client].map((socket) => mobileOf(socket) !== undefined)).toEqual([true, true]);
    const atServer = heard(server);
    expect(await sent(client, 'hello')).toBe(5);
    expect((await atServer).from.port).toBe(client.address().port);
    expect(mobileOf(server)?.flows).toBe(1);
  });

  it('in its sizes, its options and its references', async () => {
    mobileLayer();
    const { client } = await echoPair();
    client.setRecvBufferSize(100_000);
    expect(client.getRecvBufferSize()).toBeGreaterThan(0);
    client.setSendBufferSize(100_000);
    expect(client.getSendBufferSize()).toBeGreaterThan(0);
    expect([client.getSendQueueSize(), client.getSendQueueCount()]).toEqual([0, 0]);
    client.setBroadcast(true);
    expect(client.setTTL(16)).toBe(16);
    expect(client.setMulticastTTL(3)).toBe(3);
    expect([client.unref(), client.ref()]).toEqual([client, client]);
  });
});

async function failing(socket: dgram.Socket, cause: () => void): Promise<unknown[]> {
  const failed = once(socket, 'error');
  cause();
  return failed;
}
