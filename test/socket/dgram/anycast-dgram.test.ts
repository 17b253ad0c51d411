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

interface Deserted {
  readonly resolver: HeldResolver;
  readonly port: number;
  readonly socket: dgram.Socket;
  readonly silent: dgram.Socket;
  readonly heard: string[];
}

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

/** A socket that is connected where no member listens, and the port at which one does. */
async function connectedToNobody(
  mobility: 'off' | 'prefer',
): Promise<{ resolver: HeldResolver; port: number; socket: dgram.Socket }> {
  const resolver = anycastLayer(mobility);
  resolver.known.set(ANYCAST, OTHER_MEMBER);
  const port = await member(MEMBER);
  const socket = await bound('127.0.0.1');
  socket.connect(port, ANYCAST);
  await once(socket, 'connect');
  return { resolver, port, socket };
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

  it(`where a connected member refuses, the socket goes on with another one, if there is one (${mobility})`, async () => {
    const { resolver, port, socket } = await connectedToNobody(mobility);
    const { port: own } = socket.address();
    const answer = next(socket);
    const again = setInterval(() => socket.send('x'), 50);
    await resolver.answer(MEMBER);
    expect(await answer).toEqual({ text: `${MEMBER} x`, from: ANYCAST, port });
    clearInterval(again);
    expect(resolver.left).toEqual([OTHER_MEMBER]);
    expect([socket.address().port, socket.remoteAddress().address]).toEqual([own, ANYCAST]);
  });

  it(`where there is none, the application is told, and is not kept waiting each time (${mobility})`, async () => {
    const { resolver, socket } = await connectedToNobody(mobility);
    for (const answer of [() => resolver.answer(undefined), () => {}]) {
      const refused = once(socket, 'error');
      socket.send('x');
      await answer();
      expect((await refused)[0]).toMatchObject({ code: 'ECONNREFUSED' });
    }
    expect(resolver.left).toEqual([OTHER_MEMBER]);
  });

  it(`a connected member that never answered is not left: programs that only send have no others (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const silent = await bound(OTHER_MEMBER);
    const socket = await bound('127.0.0.1');
    socket.connect(silent.address().port, ANYCAST);
    await once(socket, 'connect');
    let heard = 0;
    silent.on('message', () => {
      heard += 1;
    });
    const again = setInterval(() => socket.send('x'), 50);
    onTestFinished(() => clearInterval(again));
    await expect.poll(() => heard, { timeout: 5_000 }).toBeGreaterThan(20);
    expect(resolver.left).toEqual([]);
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

  it(`does not wait a second time where nobody answers probes (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const port = await member(ANYCAST);
    const socket = await bound('127.0.0.1');
    const first = next(socket);
    socket.send('1', port, ANYCAST);
    await resolver.answer(undefined);
    expect((await first).text).toBe(`${ANYCAST} 1`);
    // By then silence is forgotten, and asked about again.
    for (const text of ['2', '3']) {
      const answer = next(socket);
      socket.send(text, port, ANYCAST);
      expect((await answer).text).toBe(`${ANYCAST} ${text}`);
    }
    expect(resolver.asked).toEqual([ANYCAST, ANYCAST]);
  });

  it(`goes on to a member whose time is over while it is asked who is to be the next (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.ttlMs = 1;
    const port = await member(MEMBER);
    await member(OTHER_MEMBER, port);
    const socket = await bound('127.0.0.1');
    const ask = async (text: string): Promise<string> => {
      const answer = next(socket);
      socket.send(text, port, ANYCAST);
      return (await answer).text;
    };
    resolver.known.set(ANYCAST, MEMBER);
    expect(await ask('1')).toBe(`${MEMBER} 1`);
    await expect.poll(() => performance.now()).toBeGreaterThan(performance.now() + resolver.ttlMs);
    resolver.known.delete(ANYCAST);
    expect(await ask('2')).toBe(`${MEMBER} 2`);
    expect(await ask('3')).toBe(`${MEMBER} 3`);
    expect(resolver.asked).toEqual([ANYCAST]);
    await resolver.answer(OTHER_MEMBER);
    expect(await ask('4')).toBe(`${OTHER_MEMBER} 4`);
  });

  it(`does not go on to a member that somebody found dead (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.ttlMs = 60_000;
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const port = await member(MEMBER);
    await member(OTHER_MEMBER, port);
    const socket = await bound('127.0.0.1');
    const first = next(socket);
    socket.send('1', port, ANYCAST);
    expect((await first).text).toBe(`${OTHER_MEMBER} 1`);
    resolver.failed(ANYCAST, OTHER_MEMBER);
    const second = next(socket);
    socket.send('2', port, ANYCAST);
    await resolver.answer(MEMBER);
    expect((await second).text).toBe(`${MEMBER} 2`);
  });

  it(`a socket may be bound to an address that can be anycast (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const socket = await bound(ANYCAST);
    expect(socket.address().address).toBe(ANYCAST);
    expect(resolver.asked).toEqual([]);
  });
}

/** A socket connected to OTHER_MEMBER, which has answered it and answers nothing more; and what that hears. */
async function deserted(mobility: 'off' | 'prefer'): Promise<Deserted> {
  const resolver = anycastLayer(mobility);
  resolver.known.set(ANYCAST, OTHER_MEMBER);
  const silent = await bound(OTHER_MEMBER);
  const { port } = silent.address();
  const socket = await bound('127.0.0.1');
  socket.connect(port, ANYCAST);
  await once(socket, 'connect');
  socket.send('0');
  const [, { port: to, address }] = (await once(silent, 'message')) as [Buffer, AddressInfo];
  silent.send('answer', to, address);
  await once(socket, 'message');
  const heard: string[] = [];
  silent.on('message', (text) => heard.push(String(text)));
  return { resolver, port, socket, silent, heard };
}

it('a connected member that has answered and owes answers is left, and nothing is lost after that', async () => {
  const { resolver, port, socket, heard } = await deserted('off');
  const { port: own } = socket.address();
  const other = await bound(MEMBER, port);
  const arrived: string[] = [];
  let sent = 0;
  const send = (): void => socket.send(String(++sent));
  const again = setInterval(send, 50);
  onTestFinished(() => clearInterval(again));
  await expect.poll(() => resolver.left).toEqual([OTHER_MEMBER]);
  const heardByThen = heard.length;
  other.on('message', (text, { port: to, address }) => {
    arrived.push(String(text));
    other.send(`${MEMBER} ${text}`, to, address);
  });
  send();
  send();
  const answer = next(socket);
  await resolver.answer(MEMBER);
  expect(await answer).toMatchObject({ from: ANYCAST, port });
  await expect.poll(() => arrived.length).toBeGreaterThan(4);
  clearInterval(again);
  await expect.poll(() => arrived.length + heard.length).toBe(sent);
  expect(heard).toHaveLength(heardByThen);
  const texts = [...heard, ...arrived].filter((text) => /^\d+$/.test(text));
  expect(texts).toEqual(Array.from({ length: sent }, (_, i) => String(i + 1)));
  expect([socket.address().port, socket.remoteAddress().address]).toEqual([own, ANYCAST]);
});

it('what waits when the application disconnects goes where it was connected to', async () => {
  const { resolver, socket, heard } = await deserted('off');
  const again = setInterval(() => socket.send('x'), 50);
  await expect.poll(() => resolver.left).toEqual([OTHER_MEMBER]);
  clearInterval(again);
  socket.send('last');
  socket.disconnect();
  await expect.poll(() => heard.at(-1)).toBe('last');
  await resolver.answer(MEMBER);
  expect(() => socket.remoteAddress()).toThrow(expect.objectContaining({ code: 'ERR_SOCKET_DGRAM_NOT_CONNECTED' }));
});

it('a flow stays with its member, which knows of it, though that leaves all without an answer', async () => {
  const { resolver, socket, heard } = await deserted('prefer');
  const again = setInterval(() => socket.send('x'), 50);
  onTestFinished(() => clearInterval(again));
  await expect.poll(() => heard.length, { timeout: 5_000 }).toBeGreaterThan(20);
  expect(resolver.left).toEqual([]);
});
