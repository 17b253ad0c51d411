import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { parsePrefix } from '../../../src/core/prefix.ts';
import { mobileDgram } from '../../../src/socket/dgram/dgram-module.ts';
import { type Installation, install } from '../../../src/socket/install.ts';
import { Policy, type PolicySettings, type Prefix } from '../../../src/socket/policy/policy.ts';
import { LoopbackEndpoint } from '../loopback-endpoint.ts';
import { mobileLayer } from '../mobile-layer.ts';
import { boundSocket, connectTo, echoPair, handleOf, heard, kept, mobileOf, sent, udpSocket } from './udp-pair.ts';

const uninstalling: Installation[] = [];
afterEach(() => {
  for (const installation of uninstalling.splice(0)) installation.uninstall();
});

const never = (): never => {
  throw new Error('not needed');
};

describe('The policy leaves a UDP socket as node made it', () => {
  it.each<[string, PolicySettings, dgram.BindOptions]>([
    ['when mobility is off', { mobility: 'off' }, { port: 0 }],
    ['on loopback', { mobility: 'auto' }, { port: 0, address: '127.0.0.1' }],
    ['on loopback found by name', { mobility: 'auto' }, { port: 0, address: 'localhost' }],
    [
      'on a port that a rule excepts',
      { mobility: 'off', listeners: [{ port: { first: 1, last: 1 }, mobility: 'prefer' }] },
      { port: 0 },
    ],
  ])('%s', async (_when, settings, bind) => {
    const before = ownMethods(await boundSocket('udp4', bind));
    const { endpoint } = mobileLayer({ settings });
    const socket = await boundSocket('udp4', bind);
    expect(ownMethods(socket)).toEqual(before);
    expect(Object.keys(handleOf(socket) ?? {})).toEqual(before.map(([name]) => name));
    expect(endpoint.datagrams.services.size).toBe(0);
  });

  it('when another process has the handle too', async () => {
    const { endpoint } = mobileLayer();
    const shared = handleOf(await boundSocket());
    const { constructor: Handle } = Object.getPrototypeOf(shared) as { constructor: new () => object };
    const handle = new Handle() as { bind(ip: string, port: number, flags: number): number };
    expect(handle.bind('127.0.0.1', 0, 0)).toBe(0);
    const socket = udpSocket();
    (socket.bind as unknown as (handle: object) => void)(handle);
    expect(socket.address().address).toBe('127.0.0.1');
    expect(endpoint.datagrams.services.size).toBe(1);
  });
});

describe('The policy decides about peers', () => {
  it('by the name that the application asked for', async () => {
    const off = { to: { kind: 'name', name: 'localhost' }, mobility: 'off' } as const;
    const { endpoint } = mobileLayer({ settings: { rules: [off] } });
    const server = await boundSocket();
    const { port } = server.address();
    const client = udpSocket();
    const atServer = heard(server);
    client.send('plain', port, 'localhost');
    expect((await atServer).text).toBe('plain');
    expect(endpoint.datagrams.at(client.address().port).asked).toEqual(new Map([[`127.0.0.1 ${port}`, 'never']]));
    const connected = await connectTo(udpSocket(), port, 'localhost');
    expect(endpoint.datagrams.at(connected.address().port).hosts).toEqual(['localhost']);
  });

  it('and groups are no peers', async () => {
    const { endpoint } = mobileLayer();
    const socket = await boundSocket('udp6', { port: 0 });
    const { options } = endpoint.datagrams.at(socket.address().port);
    const asked = (ip: string): string => options.initiates({ ip, port: 5000 }, false);
    expect(asked('192.0.2.1')).toBe('answered');
    const groups = ['239.1.2.3', 'ff02::1', 'ff02::1%lo', '255.255.255.255'];
    expect(groups.map(asked)).toEqual(groups.map(() => 'never'));
    const broadcast = directedBroadcast();
    if (broadcast === undefined) return;
    socket.setBroadcast(true);
    expect(asked(broadcast)).toBe('never');
  });

  it('as to who may open flows', async () => {
    const from = parsePrefix('192.0.2.0/24') as Prefix;
    const { endpoint } = mobileLayer({ settings: { listeners: [{ from: [from] }] } });
    const socket = await boundSocket();
    const { options } = endpoint.datagrams.at(socket.address().port);
    expect(['192.0.2.7', '198.51.100.7'].map((ip) => options.accepts(ip))).toEqual([true, false]);
  });

  it.each([
    ['with an endpoint', true],
    ['without one', false],
  ])('requiring flows, lets nothing plain out or in (%s)', async (_what, withEndpoint) => {
    if (withEndpoint) mobileLayer({ mobility: 'require' });
    else uninstalling.push(install({ policy: new Policy({ mobility: 'require' }), endpoint: never }));
    const mobile = await boundSocket();
    const plain = await boundSocket();
    mobileOf(plain)?.makePlain();
    const texts: string[] = [];
    for (const socket of [mobile, plain]) socket.on('message', (bytes) => texts.push(bytes.toString()));
    const ports = [mobile, plain].map((socket) => socket.address().port) as [number, number];
    expect(await sent(mobile, 'out', ports[1], '127.0.0.1')).toBe(3);
    await sent(plain, 'in', ports[0], '127.0.0.1');
    // Twice round the event loop: it has been read by then.
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    mobileOf(mobile)?.makePlain();
    const last = heard(plain);
    await sent(mobile, 'plain', ports[1], '127.0.0.1');
    await last;
    expect(texts).toEqual(['plain']);
  });
});

describe('A mobile UDP socket', () => {
  it('given to a child process is plain from then on, and the child’s too', async () => {
    const { endpoint } = mobileLayer();
    const { server, client, port } = await echoPair();
    const child = fork(new URL('../fixtures/udp-child.mjs', import.meta.url), [], { execArgv: [] });
    await once(child, 'message');
    child.send('socket', server as never);
    expect(endpoint.datagrams.has(port)).toBe(false);
    expect((await once(child, 'message'))[0]).toMatchObject({ port });
    server.close();
    await expect.poll(() => mobileOf(client)?.flows).toBe(0);
    const answer = heard(client);
    client.send('to the child');
    expect((await answer).text).toBe('from the child: to the child');
    child.disconnect();
    await once(child, 'exit');
  });

  it('can be had by import alone', async () => {
    const endpoint = new LoopbackEndpoint({ directory: `/tmp/mobisock-dgram-test-${process.pid}` });
    const mobile = mobileDgram({ policy: new Policy({ mobility: 'prefer' }), endpoint: () => endpoint });
    const socket = kept(mobile.createSocket({ type: 'udp4' }, () => {}));
    expect(socket).toBeInstanceOf(dgram.Socket);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    expect(mobileOf(socket)).toBeDefined();
    expect(mobileOf(await boundSocket())).toBeUndefined();
    endpoint.close();
  });

  it('is plain where there is no endpoint', async () => {
    uninstalling.push(install({ policy: new Policy({ mobility: 'prefer' }), endpoint: never }));
    const warned = once(process, 'warning');
    expect(mobileOf(await boundSocket())).toBeUndefined();
    expect((await warned)[0]).toMatchObject({ code: 'ERR_MOBISOCK_PLAIN' });
  });
});

describe('Taken back', () => {
  it('everything is as it was', async () => {
    const { bind } = dgram.Socket.prototype;
    const plain = ownMethods(await boundSocket());
    const { installation, endpoint } = mobileLayer();
    expect(dgram.Socket.prototype.bind).not.toBe(bind);
    expect([dgram.Socket.prototype.bind.name, dgram.Socket.prototype.bind.length]).toEqual([bind.name, bind.length]);
    const { server, client, port } = await echoPair();
    const local = client.address();
    installation.uninstall();
    expect(dgram.Socket.prototype.bind).toBe(bind);
    expect(endpoint.datagrams.services.size).toBe(0);
    expect([ownMethods(server), ownMethods(client)]).toEqual([plain, plain]);
    expect({ local: client.address(), remote: client.remoteAddress() }).toEqual({
      local,
      remote: { address: '127.0.0.1', family: 'IPv4', port },
    });
    // Both were told that the flow is over, and nobody understands that any more.
    const farewell = heard(server);
    await farewell;
    const atServer = heard(server);
    client.send('plain');
    expect(await atServer).toMatchObject({ text: 'plain', from: { port: local.port } });
  });
});

/** What node or anybody else has put on the handle of a socket. */
function ownMethods(socket: dgram.Socket): [string, string][] {
  return Object.entries(handleOf(socket) ?? {}).map(([name, value]) => [name, (value as { name?: string }).name ?? '']);
}

/** Of a network that this host is on, if it is on one. */
function directedBroadcast(): string | undefined {
  for (const { family, internal, address, netmask } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
    if (family !== 'IPv4' || internal || netmask === '255.255.255.255') continue;
    const masks = netmask.split('.').map(Number);
    return address
      .split('.')
      .map((part, i) => Number(part) | (255 - (masks[i] as number)))
      .join('.');
  }
  return undefined;
}
