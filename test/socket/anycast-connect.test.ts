/** Connects to anycast addresses: real sockets on loopback, where 127.9.9.9 stands for whichever member the test says. */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { certificate } from './certificate.ts';
import { HeldResolver } from './held-resolver.ts';
import { isMobile, listening, type MobileLayer, mobileLayer } from './mobile-layer.ts';
import { stuckPort } from './stuck-port.ts';

const ANYCAST = '127.9.9.9';
const MEMBER = '127.0.0.1';
const OTHER_MEMBER = '127.0.0.2';

function anycastLayer(mobility: 'off' | 'prefer'): MobileLayer & { resolver: HeldResolver } {
  const resolver = new HeldResolver();
  const anycast = { mayBe: (address: string) => address === ANYCAST, resolver: () => resolver };
  return { ...mobileLayer({ mobility, anycast }), resolver };
}

async function echo(host = MEMBER, port?: number): Promise<number> {
  const server = net.createServer((peer) => peer.on('error', () => {}).pipe(peer));
  if (port === undefined) return listening(server, host);
  server.listen(port, host);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return port;
}

async function said(socket: net.Socket): Promise<string> {
  socket.end('hello');
  let text = '';
  for await (const piece of socket.setEncoding('utf8')) text += piece;
  return text;
}

it('waits for the probe where only a session will do', async () => {
  const resolver = new HeldResolver();
  const anycast = { mayBe: (address: string) => address === ANYCAST, resolver: () => resolver };
  mobileLayer({ mobility: 'require', anycast });
  const socket = net.connect(await echo(), ANYCAST);
  const connected = once(socket, 'connect');
  await resolver.answer(MEMBER);
  await connected;
  expect(isMobile(socket)).toBe(true);
  expect(await said(socket)).toBe('hello');
});

for (const mobility of ['off', 'prefer'] as const) {
  it(`connects to the member and goes on showing the anycast address (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const port = await echo();
    const socket = net.connect(port, ANYCAST);
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(isMobile(socket)).toBe(mobility === 'prefer');
    expect([socket.remoteAddress, socket.remotePort, socket.remoteFamily]).toEqual([ANYCAST, port, 'IPv4']);
    expect(await said(socket)).toBe('hello');
  });

  it(`takes what is known without asking (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    resolver.known.set(ANYCAST, MEMBER);
    const socket = net.connect(await echo(), ANYCAST);
    await once(socket, 'connect');
    expect(resolver.asked).toEqual([]);
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`goes ahead while the probe is under way (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const socket = net.connect(await echo(ANYCAST), ANYCAST);
    await once(socket, 'connect');
    expect(resolver.asked).toEqual([ANYCAST]);
    expect(socket.remoteAddress).toBe(ANYCAST);
    const text = said(socket);
    await resolver.answer(MEMBER);
    expect(await text).toBe('hello');
  });

  it(`a connect that went ahead and failed is told when the probe is over (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const port = await echo();
    const socket = net.connect(port, ANYCAST);
    const failed = once(socket, 'error');
    await resolver.answer(undefined);
    expect((await failed)[0]).toMatchObject({ code: 'ECONNREFUSED', address: ANYCAST, port });
  });

  it(`waits for the probe below TLS, where it could not be replaced (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const { key, cert } = certificate();
    const port = await listening(tls.createServer({ key, cert }, (peer) => peer.pipe(peer)));
    const socket = tls.connect({ socket: net.connect(port, ANYCAST), servername: 'localhost', ca: cert });
    const connected = once(socket, 'secureConnect');
    await resolver.answer(MEMBER);
    await connected;
    expect(await said(socket)).toBe('hello');
  });

  it(`leaves a member that refuses for the one that answers then (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const socket = net.connect(await echo(), ANYCAST);
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(resolver.left).toEqual([OTHER_MEMBER]);
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(isMobile(socket)).toBe(mobility === 'prefer');
    expect(await said(socket)).toBe('hello');
  });

  it(`leaves a member that keeps a connect waiting while another one answers probes (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const { port } = await stuckPort(OTHER_MEMBER);
    await echo(MEMBER, port);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const socket = net.connect(port, ANYCAST);
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(resolver.left).toEqual([OTHER_MEMBER]);
    expect(await said(socket)).toBe('hello');
  });

  it(`waits on for a slow member that goes on answering probes (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const { port, close } = await stuckPort(OTHER_MEMBER);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const socket = net.connect(port, ANYCAST);
    socket.on('error', () => {});
    await resolver.answer(OTHER_MEMBER);
    await resolver.answer(OTHER_MEMBER);
    expect(socket.connecting).toBe(true);
    socket.destroy();
    close();
  });

  it(`a refusal that the probes know no way around is told of the address that was asked for (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const port = await echo();
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const socket = net.connect(port, ANYCAST);
    const failed = once(socket, 'error');
    await resolver.answer(OTHER_MEMBER);
    const [error] = await failed;
    expect(error).toMatchObject({ code: 'ECONNREFUSED', address: ANYCAST, port, syscall: 'connect' });
  });

  it(`connects as asked where nobody answers probes (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const socket = net.connect(await echo(ANYCAST), ANYCAST);
    const connected = once(socket, 'connect');
    await resolver.answer(undefined);
    await connected;
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`a socket that is destroyed while it waits hears nothing more (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const socket = net.connect(await echo(), ANYCAST);
    socket.on('connect', () => expect.unreachable());
    // Node calls the handle in the next tick.
    setImmediate(() => socket.destroy());
    await once(socket, 'close');
    await resolver.answer(MEMBER);
    expect(socket.destroyed).toBe(true);
  });

  it(`tries the addresses of a name one after the other, each by its member (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    resolver.known.set(ANYCAST, MEMBER);
    const port = await echo();
    const socket = net.connect({
      port,
      host: 'several.test',
      autoSelectFamily: true,
      lookup: (_host, _options, done) =>
        done(null, [
          { address: '127.0.0.77', family: 4 },
          { address: ANYCAST, family: 4 },
        ]),
    });
    await once(socket, 'connect');
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual([`127.0.0.77:${port}`, `${ANYCAST}:${port}`]);
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`TLS and its certificate check know the address that was asked for (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const { key, cert } = certificate();
    const port = await listening(tls.createServer({ key, cert }, (peer) => peer.pipe(peer)));
    const names: string[] = [];
    const socket = tls.connect({
      port,
      host: ANYCAST,
      rejectUnauthorized: true,
      ca: cert,
      checkServerIdentity: (name) => void names.push(name),
    });
    const connected = once(socket, 'secureConnect');
    await resolver.answer(MEMBER);
    await connected;
    expect(names).toEqual([ANYCAST]);
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`http requests go there too (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    resolver.known.set(ANYCAST, MEMBER);
    const port = await listening(http.createServer((request, response) => response.end(request.headers.host)));
    const response = await fetch(`http://${ANYCAST}:${port}/`);
    expect(await response.text()).toBe(`${ANYCAST}:${port}`);
  });

  it(`addresses that can't be anycast wait for nothing (${mobility})`, async () => {
    const { resolver } = anycastLayer(mobility);
    const socket = net.connect(await echo(), MEMBER);
    await once(socket, 'connect');
    expect(resolver.asked).toEqual([]);
    expect(await said(socket)).toBe('hello');
  });
}
