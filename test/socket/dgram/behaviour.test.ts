/**
 * Mobile UDP sockets behave as node's: each scenario runs once as it is and once with both ends mobile, and must give
 * the same trace. What two sockets see may interleave as it likes, so each side's lines are compared on their own.
 */
import type dgram from 'node:dgram';
import { on, once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import { install } from '../../../src/socket/install.ts';
import { Policy } from '../../../src/socket/policy/policy.ts';
import { mobileLayer } from '../mobile-layer.ts';
import { boundSocket, connectTo, heard, sent, udpSocket } from './udp-pair.ts';

type Trace = Record<string, string[]>;
type Say = (side: string, ...what: unknown[]) => void;
type Scenario = (say: Say) => Promise<void>;

const GROUP = '239.255.71.19';

const scenarios: Record<string, Scenario> = {
  async 'sends and is answered'(say) {
    const { server, client, port } = await pair(say);
    server.on('message', (bytes, { port, address }) => server.send(`re ${bytes}`, port, address));
    for (const text of ['a', 'bb', '']) {
      const answer = heard(client);
      say('client', 'sent', await sent(client, text, port, '127.0.0.1'));
      await answer;
    }
  },

  async 'sends before it is bound'(say) {
    const { server, port } = await pair(say);
    const client = watched(say, 'early', udpSocket());
    const all = texts(server, 3);
    for (const text of ['one', 'two', 'three']) client.send(text, port, '127.0.0.1', told(say, 'early'));
    await all;
  },

  async 'connects, sends, disconnects, and sends to another'(say) {
    const { server, client, port } = await pair(say);
    const other = watched(say, 'other', await boundSocket());
    await connectTo(client, port);
    say('client', 'remote', withoutPorts(client.remoteAddress()));
    for (const args of [['x', port, '127.0.0.1'], ['x', 0, 1, port], []]) attempt(say, () => send(client, ...args));
    attempt(say, () => client.connect(port));
    const atServer = heard(server);
    client.send('connected', told(say, 'client'));
    await atServer;
    client.disconnect();
    attempt(say, () => client.disconnect());
    attempt(say, () => client.remoteAddress());
    attempt(say, () => send(client, 'x'));
    const atOther = heard(other);
    client.send('free', other.address().port, '127.0.0.1', told(say, 'client'));
    await atOther;
  },

  async 'connects before it is bound, and sends at once'(say) {
    const { server, port } = await pair(say);
    const client = watched(say, 'early', udpSocket());
    client.connect(port, '127.0.0.1', () => {
      say('early', 'callback');
      client.send('hello', told(say, 'early'));
    });
    attempt(say, () => client.connect(port));
    await heard(server);
  },

  async 'sends pieces of every kind'(say) {
    const { server, client, port } = await pair(say);
    await connectTo(client, port);
    const all = texts(server, 5);
    say('client', await sent(client, ['ab', Buffer.from('cd'), new Uint8Array([101])]));
    say('client', await sent(client, []));
    say('client', await sent(client, new DataView(new ArrayBuffer(3))));
    say('client', await sent(client, Buffer.from('abcdef'), 1, 3));
    say('client', await sent(client, 'é'));
    for (const wrong of [[1], [null], [['a', 1]], [Buffer.alloc(2), 3, 1], [Buffer.alloc(2), 1, 2]]) {
      attempt(say, () => send(client, ...wrong));
    }
    await all;
  },

  async 'is told of wrong destinations'(say) {
    const { client, port } = await pair(say);
    for (const args of [['x', 0, '127.0.0.1'], ['x', 65_536, '127.0.0.1'], ['x', port, 1], ['x']]) {
      attempt(say, () => send(client, ...args));
    }
    await failedSend(say, client, 'x', port, '::1');
    await failedSend(say, client, 'x', port, 'name.invalid');
    await failedSend(say, client, 'x', port, '255.255.255.255');
    await failedSend(say, client, Buffer.alloc(65_508), port, '127.0.0.1');
  },

  async 'is refused by ICMP, and goes on'(say) {
    const { server, client, port } = await pair(say);
    server.close();
    await once(server, 'close');
    await connectTo(client, port);
    for (const text of ['one', 'two']) {
      const failed = once(client, 'error');
      client.send(text);
      await failed;
    }
    const again = watched(say, 'again', await boundSocket('udp4', { port, address: '127.0.0.1' }));
    const arrived = heard(again);
    client.send('three');
    await arrived;
  },

  async 'cannot be bound'(say) {
    const { port } = await pair(say);
    const socket = watched(say, 'second', udpSocket());
    const failed = once(socket, 'error');
    socket.bind(port, '127.0.0.1', () => say('second', 'callback'));
    await failed;
    const listening = once(socket, 'listening');
    socket.bind(0, '127.0.0.1');
    attempt(say, () => socket.bind(0));
    await listening;
    attempt(say, () => socket.bind(0));
  },

  async 'closes during everything'(say) {
    const { server, client, port } = await pair(say);
    const bound = watched(say, 'binding', udpSocket().bind(0, '127.0.0.1'));
    bound.close();
    const queued = watched(say, 'queued', udpSocket());
    queued.send('queued', port, '127.0.0.1', told(say, 'queued'));
    queued.close(() => say('queued', 'callback'));
    client.send('last', port, '127.0.0.1', told(say, 'client'));
    client.close();
    for (const call of [
      () => client.close(),
      () => send(client, 'x', port),
      () => client.address(),
      () => client.bind(),
      () => client.remoteAddress(),
    ]) {
      attempt(say, call);
    }
    await Promise.all([once(bound, 'close'), once(queued, 'close')]);
    server.on('message', () => server.close());
    const closed = once(server, 'close');
    const other = await boundSocket();
    other.send('close', port, '127.0.0.1');
    other.send('too late', port, '127.0.0.1');
    await closed;
  },

  async 'is iterated over'(say) {
    const { server, client, port } = await pair(say);
    const controller = new AbortController();
    const all = (async () => {
      for await (const [bytes, { size }] of on(server, 'message', { signal: controller.signal })) {
        say('iterator', bytes, size);
        if (String(bytes) === 'c') return;
      }
    })();
    for (const text of ['a', 'b', 'c']) await sent(client, text, port, '127.0.0.1');
    await all;
    controller.abort();
  },

  async 'is aborted'(say) {
    const controller = new AbortController();
    const socket = watched(say, 'socket', await boundSocket({ type: 'udp4', signal: controller.signal }));
    const closed = once(socket, 'close');
    controller.abort();
    await closed;
    attempt(say, () => socket.address());
  },

  async 'keeps to a group'(say) {
    const receiver = watched(say, 'receiver', await boundSocket({ type: 'udp4', reuseAddr: true }, { port: 0 }));
    const sender = watched(say, 'sender', await boundSocket('udp4', { port: 0 }));
    receiver.addMembership(GROUP, '127.0.0.1');
    attempt(say, () => receiver.addMembership(GROUP, '127.0.0.1'));
    sender.setMulticastInterface('127.0.0.1');
    say('sender', sender.setMulticastTTL(1), sender.setMulticastLoopback(true));
    const arrived = heard(receiver);
    say('sender', await sent(sender, 'to all', receiver.address().port, GROUP));
    await arrived;
    receiver.dropMembership(GROUP, '127.0.0.1');
    attempt(say, () => receiver.dropMembership(GROUP, '127.0.0.1'));
  },

  async 'shares its port'(say) {
    const first = watched(say, 'first', await boundSocket({ type: 'udp4', reuseAddr: true }));
    const { port } = first.address();
    const options = { type: 'udp4', reuseAddr: true } as const;
    const second = watched(say, 'second', await boundSocket(options, { port, address: '127.0.0.1' }));
    say('second', second.address().port === port);
    const closed = once(second, 'close');
    attempt(say, () => second.close());
    await closed;
  },

  async 'has buffers and queues'(say) {
    const { client, port } = await pair(say);
    client.setRecvBufferSize(20_000);
    client.setSendBufferSize(20_000);
    say('client', client.getRecvBufferSize(), client.getSendBufferSize());
    client.send('x', port, '127.0.0.1');
    say('client', client.getSendQueueSize(), client.getSendQueueCount());
    attempt(say, () => client.setRecvBufferSize(-1));
    attempt(say, () => client.setTTL(1_000));
    attempt(say, () => udpSocket().setBroadcast(true));
  },

  async 'throws in a listener'(say) {
    const { server, client, port } = await pair(say);
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = once(process, 'uncaughtException');
    server.once('message', () => {
      throw new Error('in a listener');
    });
    client.send('x', port, '127.0.0.1');
    const [error] = await thrown;
    say('process', (error as Error).message);
    for (const listener of others) process.on('uncaughtException', listener);
    const next = heard(server);
    client.send('y', port, '127.0.0.1');
    await next;
  },

  async 'uses both families'(say) {
    const server = watched(say, 'server', await boundSocket('udp6', { port: 0 }));
    const { port } = server.address();
    server.on('message', (bytes, { port, address }) => server.send(`re ${bytes}`, port, address));
    for (const [type, address] of [
      ['udp4', '127.0.0.1'],
      ['udp6', '::1'],
      ['udp6', '::ffff:127.0.0.1'],
    ] as const) {
      const client = watched(say, `${type} ${address}`, await boundSocket(type, { port: 0 }));
      const answer = heard(client);
      client.send('x', port, address);
      await answer;
      await connectTo(client, port, address);
      const second = heard(client);
      client.send('y');
      await second;
      say('client', withoutPorts(client.remoteAddress()), withoutPorts(client.address()));
    }
  },
};

describe('A program runs on mobile UDP sockets as on plain ones when it', () => {
  it.each(Object.keys(scenarios))('%s', async (name) => {
    const scenario = scenarios[name] as Scenario;
    const plain = await traceOf(scenario);
    expect(Object.values(plain).flat().length).toBeGreaterThan(1);
    mobileLayer();
    expect(await traceOf(scenario)).toEqual(plain);
  });

  it.each(Object.keys(scenarios))('%s, on the endpoint itself', async (name) => {
    const scenario = scenarios[name] as Scenario;
    const plain = await traceOf(scenario);
    const installation = install({ policy: new Policy({ mobility: 'prefer' }), endpoint: () => new Endpoint() });
    try {
      expect(await traceOf(scenario)).toEqual(plain);
    } finally {
      installation.uninstall();
    }
  });
});

async function traceOf(scenario: Scenario): Promise<Trace> {
  const trace: Trace = {};
  await scenario((side, ...what) => {
    trace[side] ??= [];
    trace[side].push(what.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join(' '));
  });
  return trace;
}

/** A server and a client that is bound; both are watched. */
async function pair(say: Say): Promise<{ server: dgram.Socket; client: dgram.Socket; port: number }> {
  const server = watched(say, 'server', await boundSocket());
  const client = watched(say, 'client', await boundSocket());
  return { server, client, port: server.address().port };
}

function watched(say: Say, side: string, socket: dgram.Socket): dgram.Socket {
  socket.on('message', (bytes, { address, family, size }) =>
    say(side, 'message', String(bytes), address, family, size),
  );
  for (const event of ['listening', 'connect', 'close'] as const) socket.on(event, () => say(side, event));
  socket.on('error', (error) => say(side, 'error', described(error)));
  return socket;
}

function told(say: Say, side: string): (error: Error | null, bytes: number) => void {
  return (error, bytes) => say(side, 'sent', error === null ? bytes : described(error));
}

function attempt(say: Say, call: () => unknown): void {
  try {
    call();
    say('attempt', 'done');
  } catch (error) {
    say('attempt', described(error as Error));
  }
}

async function failedSend(say: Say, socket: dgram.Socket, ...args: unknown[]): Promise<void> {
  say('client', await sent(socket, ...args).then(String, described));
}

function described(error: NodeJS.ErrnoException): string {
  return `${error.name} ${error.code} ${error.syscall} ${error.message.replace(/(?<=:)\d{4,}/g, 'PORT')}`;
}

function withoutPorts({ address, family }: { address: string; family: string }): string {
  return `${address} ${family}`;
}

function send(socket: dgram.Socket, ...args: unknown[]): void {
  (socket.send as (...args: unknown[]) => void)(...args);
}

function texts(socket: dgram.Socket, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    socket.on('message', () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
}
