/** UDP to anycast addresses: real sockets on loopback, where 127.9.9.9 stands for whichever member the test says. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { HeldResolver } from '../held-resolver.ts';
import { mobileLayer } from '../mobile-layer.ts';

const ANYCAST = '127.9.9.9';
const MEMBER = '127.0.0.1';
const OTHER_MEMBER = '127.0.0.2';

function anycastLayer(mobility: 'off' | 'prefer'): HeldResolver {
  const resolver = new HeldResolver();
  mobileLayer({ mobility, anycast: { mayBe: (address) => address === ANYCAST, resolver: () => resolver } });
  return resolver;
}

async function bound(host: string, port = 0): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket;
}

/** Answers with its own address. */
async function member(host: string, port = 0): Promise<number> {
  const socket = await bound(host, port);
  socket.on('message', (message, { port: to, address }) => socket.send(`${host} ${message}`, to, address));
  return socket.address().port;
}

async function next(socket: dgram.Socket): Promise<{ text: string; from: string; port: number }> {
  const [message, { address, port }] = (await once(socket, 'message')) as [Buffer, AddressInfo];
  return { text: String(message), from: address, port };
}

for (const mobility of ['off', 'prefer'] as const) {
  it(`send() goes to the member, and its answers come from the anycast address (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const port = await member(MEMBER);
    const socket = await bound('127.0.0.1');
    const answer = next(socket);
    socket.send('1', port, ANYCAST);
    socket.send('2', port, ANYCAST);
    await resolver.answer(MEMBER);
    expect(await answer).toEqual({ text: `${MEMBER} 1`, from: ANYCAST, port });
    expect(await next(socket)).toEqual({ text: `${MEMBER} 2`, from: ANYCAST, port });
    const known = next(socket);
    socket.send('3', port, ANYCAST);
    expect(await known).toEqual({ text: `${MEMBER} 3`, from: ANYCAST, port });
  });

  it(`a connected socket is connected to the member, and shows the anycast address (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const port = await member(MEMBER);
    const socket = await bound('127.0.0.1');
    socket.connect(port, ANYCAST);
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(socket.remoteAddress()).toEqual({ address: ANYCAST, family: 'IPv4', port });
    const answer = next(socket);
    socket.send('1');
    expect(await answer).toEqual({ text: `${MEMBER} 1`, from: ANYCAST, port });
  });

  it(`a member that the application names itself is seen as itself (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, MEMBER);
    const port = await member(MEMBER);
    const socket = await bound('127.0.0.1');
    for (const host of [ANYCAST, MEMBER, ANYCAST]) {
      const answer = next(socket);
      socket.send('x', port, host);
      expect((await answer).from).toBe(host);
    }
  });

  it(`a member that owes answers is doubted, and the next one asked (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const port = await member(MEMBER);
    const socket = await bound('127.0.0.1');
    const answer = next(socket);
    const again = setInterval(() => socket.send('x', port, ANYCAST), 50);
    onTestFinished(() => clearInterval(again));
    await resolver.answer(MEMBER);
    expect(await answer).toEqual({ text: `${MEMBER} x`, from: ANYCAST, port });
    expect(resolver.left).toEqual([OTHER_MEMBER]);
  });

  it(`a member that owes answers to sockets that come and go is doubted as well (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const port = await member(MEMBER);
    const silent = await bound(OTHER_MEMBER, port);
    const answered = new Promise((resolve) => {
      const again = setInterval(async () => {
        const socket = await bound('127.0.0.1');
        socket.on('message', (text) => resolve(String(text)));
        socket.connect(port, ANYCAST, () => socket.send('x'));
      }, 50);
      onTestFinished(() => clearInterval(again));
    });
    await once(silent, 'message');
    await resolver.answer(MEMBER);
    expect(await answered).toBe(`${MEMBER} x`);
    expect(resolver.left).toEqual([OTHER_MEMBER]);
  });

  it(`where a connected member refuses, the next connect asks anew (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const port = await member(MEMBER);
    const socket = await bound('127.0.0.1');
    socket.connect(port, ANYCAST);
    await once(socket, 'connect');
    const refused = once(socket, 'error');
    socket.send('x');
    expect((await refused)[0]).toMatchObject({ code: 'ECONNREFUSED' });
    expect(resolver.left).toEqual([OTHER_MEMBER]);
  });

  it(`sends as asked where nobody answers probes (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const port = await member(ANYCAST);
    const socket = await bound('127.0.0.1');
    const answer = next(socket);
    socket.send('x', port, ANYCAST);
    await resolver.answer(undefined);
    expect(await answer).toEqual({ text: `${ANYCAST} x`, from: ANYCAST, port });
  });

  it(`a socket may be bound to an address that can be anycast (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const socket = await bound(ANYCAST);
    expect(socket.address().address).toBe(ANYCAST);
    expect(resolver.asked).toEqual([]);
  });
}
