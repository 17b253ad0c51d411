/**
 * What applications ask of a connect besides its destination, where that is an anycast address: real sockets on loopback,
 * where 127.9.9.9 stands for whichever member the test says.
 */
import { once } from 'node:events';
import type http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { expect, it, onTestFinished } from 'vitest';
import { certificate } from './certificate.ts';
import { HeldResolver } from './held-resolver.ts';
import type { LoopbackEndpointOptions } from './loopback-endpoint.ts';
import { isMobile, listening, type MobileLayer, mobileLayer } from './mobile-layer.ts';
import { stuckPort } from './stuck-port.ts';

const ANYCAST = '127.9.9.9';
const MEMBER = '127.0.0.1';
const OTHER_MEMBER = '127.0.0.2';
const OWN = '127.0.0.5';

function anycastLayer(
  mobility: 'off' | 'prefer' | 'require',
  options: LoopbackEndpointOptions = {},
): HeldResolver & { readonly layer: MobileLayer } {
  const resolver = new HeldResolver();
  const anycast = { mayBe: (address: string) => address === ANYCAST, resolver: () => resolver };
  return Object.assign(resolver, { layer: mobileLayer({ mobility, anycast, ...options }) });
}

/** Echoes, and says whom it has heard. */
async function echo(): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = [];
  const server = net.createServer((peer) => {
    heard.push(`${peer.remoteAddress} ${peer.remotePort}`);
    peer.on('error', () => {}).pipe(peer);
  });
  return { port: await listening(server, MEMBER), heard };
}

async function said(socket: net.Socket): Promise<string> {
  socket.end('hello');
  let text = '';
  for await (const piece of socket.setEncoding('utf8')) text += piece;
  return text;
}

/** A port that nobody has now. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, OWN);
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

for (const mobility of ['off', 'prefer'] as const) {
  it(`its own address holds, also with the next member (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const { port } = await echo();
    const socket = net.connect({ port, host: ANYCAST, localAddress: OWN });
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(resolver.left).toEqual([OTHER_MEMBER]);
    expect([socket.localAddress, socket.remoteAddress]).toEqual([OWN, ANYCAST]);
    expect(await said(socket)).toBe('hello');
  });

  it(`its own port holds, also with the next member (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const { port } = await echo();
    const localPort = await freePort();
    const socket = net.connect({ port, host: ANYCAST, localAddress: OWN, localPort });
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    if (mobility === 'off') expect([socket.localAddress, socket.localPort]).toEqual([OWN, localPort]);
    // That the application is told it then is the endpoint's business.
    expect(resolver.layer.endpoint.requests.map((one) => one.localPort)).toEqual(
      mobility === 'off' ? [] : [localPort, localPort],
    );
    expect(await said(socket)).toBe('hello');
  });

  it(`its own port holds where the connect that went ahead is still waiting (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { port } = await stuckPort(ANYCAST);
    const server = net.createServer((peer) => peer.pipe(peer)).listen(port, MEMBER);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const localPort = await freePort();
    const socket = net.connect({ port, host: ANYCAST, localAddress: OWN, localPort });
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect([socket.localAddress, socket.remoteAddress]).toEqual([OWN, ANYCAST]);
    if (mobility === 'off') expect(socket.localPort).toBe(localPort);
    expect(await said(socket)).toBe('hello');
  });

  it(`an abort while the address is resolved ends it (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { port, heard } = await echo();
    const abort = new AbortController();
    const socket = net.connect({ port, host: ANYCAST, signal: abort.signal } as net.NetConnectOpts);
    const failed = once(socket, 'error');
    setImmediate(() => abort.abort());
    expect((await failed)[0]).toMatchObject({ name: 'AbortError' });
    await resolver.answer(MEMBER);
    const after = net.connect(port, MEMBER);
    expect(await said(after)).toBe('hello');
    expect(heard).toHaveLength(1);
  });

  it(`a timeout runs while the address is resolved, and leaves the connect alone (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { port } = await echo();
    const socket = net.connect({ port, host: ANYCAST, timeout: 20 });
    await once(socket, 'timeout');
    expect(socket.connecting).toBe(true);
    const connected = once(socket, 'connect');
    await resolver.answer(MEMBER);
    await connected;
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`a socket that is destroyed and connected again is resolved again (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { port } = await echo();
    const socket = net.connect(port, ANYCAST);
    setImmediate(() => socket.destroy());
    await once(socket, 'close');
    socket.connect(port, ANYCAST);
    const connected = once(socket, 'connect');
    // The first one asked as well.
    await resolver.answer(MEMBER);
    await connected;
    expect(socket.remoteAddress).toBe(ANYCAST);
    expect(await said(socket)).toBe('hello');
  });

  it(`where the address takes long to resolve, node goes on to the next address of the name (${mobility})`, async () => {
    anycastLayer(mobility);
    const { port } = await echo();
    const socket = net.connect({
      port,
      host: 'several.test',
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: 20,
      lookup: (_host, _options, done) =>
        done(null, [
          { address: ANYCAST, family: 4 },
          { address: MEMBER, family: 4 },
        ]),
    });
    await once(socket, 'connect');
    expect(socket.remoteAddress).toBe(MEMBER);
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual([`${ANYCAST}:${port}`, `${MEMBER}:${port}`]);
    expect(await said(socket)).toBe('hello');
  });

  it(`of several addresses the anycast one is left when its members refuse (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    const { port } = await echo();
    const socket = net.connect({
      port,
      host: 'several.test',
      autoSelectFamily: true,
      lookup: (_host, _options, done) =>
        done(null, [
          { address: ANYCAST, family: 4 },
          { address: MEMBER, family: 4 },
        ]),
    });
    const connected = once(socket, 'connect');
    await resolver.answer(OTHER_MEMBER);
    await connected;
    expect(socket.remoteAddress).toBe(MEMBER);
    expect(await said(socket)).toBe('hello');
  });

  it(`TLS goes on to the next member, with its name and its session (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { key, cert } = certificate('service.example');
    const port = await listening(
      tls.createServer({ key, cert }, (peer) => peer.pipe(peer)),
      MEMBER,
    );
    const sessions: Buffer[] = [];
    for (const reused of [false, true]) {
      resolver.known.set(ANYCAST, OTHER_MEMBER);
      const [session] = sessions;
      const options = { port, host: ANYCAST, servername: 'service.example', ca: cert };
      const socket = tls.connect({ ...options, ...(session !== undefined && { session }) });
      socket.on('session', (each) => sessions.push(each));
      const connected = once(socket, 'secureConnect');
      await resolver.answer(MEMBER);
      await connected;
      expect([socket.authorized, socket.isSessionReused(), socket.remoteAddress]).toEqual([true, reused, ANYCAST]);
      expect(await said(socket)).toBe('hello');
    }
    expect(resolver.left).toEqual([OTHER_MEMBER, OTHER_MEMBER]);
  });

  it(`an https agent keeps its connections, and makes new ones to the member of then (${mobility})`, async () => {
    const resolver = anycastLayer(mobility);
    const { key, cert } = certificate('service.example', ANYCAST);
    const server = https.createServer({ key, cert }, (request, response) => response.end(request.headers.host));
    const port = await listening(server, MEMBER);
    resolver.known.set(ANYCAST, MEMBER);
    const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: cert });
    onTestFinished(() => agent.destroy());
    const ask = async (): Promise<net.Socket> => {
      const request = https.get({ host: ANYCAST, port, agent });
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      const { socket } = response;
      expect(Buffer.concat(await response.toArray()).toString()).toBe(`${ANYCAST}:${port}`);
      await new Promise(setImmediate);
      return socket;
    };
    const first = await ask();
    expect(await ask()).toBe(first);
    expect(isMobile(first)).toBe(mobility === 'prefer');
    resolver.known.set(ANYCAST, OTHER_MEMBER);
    expect(await ask()).toBe(first);
    first.destroy();
    await once(first, 'close');
    const again = ask();
    await resolver.answer(MEMBER);
    expect(await again).not.toBe(first);
    expect(resolver.left).toEqual([OTHER_MEMBER]);
  });
}

/** Sessions for `aware` alone. */
function only(aware: string): LoopbackEndpointOptions {
  return {
    intercept: ({ addresses }, handlers) => {
      if (addresses.includes(aware)) return undefined;
      setImmediate(() => handlers.onPlain('unaware'));
      return { cancel: () => {} };
    },
  };
}

it('where a session is required and no member has one, the error names the address that was asked for', async () => {
  const resolver = anycastLayer('require', only('nobody'));
  resolver.known.set(ANYCAST, MEMBER);
  const { port, heard } = await echo();
  const socket = net.connect(port, ANYCAST);
  const failed = once(socket, 'error');
  await resolver.answer(MEMBER);
  const [error] = await failed;
  expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: ANYCAST, port });
  expect(error.message).toContain('policy requires mobility');
  expect(heard).toEqual([]);
});

it('where a session is required, a member without one is left for the next', async () => {
  const resolver = anycastLayer('require', only(MEMBER));
  resolver.known.set(ANYCAST, OTHER_MEMBER);
  const socket = net.connect((await echo()).port, ANYCAST);
  const connected = once(socket, 'connect');
  await resolver.answer(MEMBER);
  await connected;
  expect([isMobile(socket), socket.remoteAddress, resolver.left]).toEqual([true, ANYCAST, [OTHER_MEMBER]]);
  expect(await said(socket)).toBe('hello');
});
