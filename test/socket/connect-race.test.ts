import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { nativeConnect } from '../../src/host/native.ts';
import { heldOpens, isMobile, listening, mobileLayer } from './mobile-layer.ts';
import { stuckPort } from './stuck-port.ts';

const NEVER_MS = 1_000_000;

/** A server that counts what its application sees, and a port. */
async function witness(): Promise<{ port: number; seen: () => number }> {
  let seen = 0;
  const server = net.createServer((socket) => {
    seen++;
    socket.on('error', () => {}).resume();
  });
  const port = await listening(server);
  return { port, seen: () => seen };
}

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Node gives the first up after 10 ms. */
function connectToBoth(port: number, ...addresses: readonly string[]): net.Socket {
  return net.connect({
    port,
    host: 'two.test',
    autoSelectFamilyAttemptTimeout: 10,
    lookup: (_host, _options, callback) => {
      const found = addresses.map((address) => ({ address, family: 4 }));
      setImmediate(callback, null, found);
    },
  });
}

/** Node's attempt at that address. */
function begun(socket: net.Socket, address: string): Promise<void> {
  return new Promise((resolve) => {
    socket.on('connectionAttempt', (attempted) => attempted === address && resolve());
  });
}

describe('Where nothing is known of the destination', () => {
  it('connects plainly after the head start, cancels the session and remembers', async () => {
    const { opens, intercept } = heldOpens();
    const { endpoint } = mobileLayer({ intercept, headStartMs: 5 });
    const { port } = await witness();
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    expect(isMobile(socket)).toBe(false);
    expect((await opens.last()).cancelled).toBe(true);
    expect(endpoint.verdict('127.0.0.1', port)).toBe('plain');
    socket.destroy();
  });

  it('connects plainly at once when no session can come of it', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const { port } = await witness();
    const socket = net.connect(port, '127.0.0.1');
    (await opens.next()).handlers.onPlain('unaware');
    await once(socket, 'connect');
    expect(isMobile(socket)).toBe(false);
    socket.destroy();
  });

  it('passes the session the name and every address that the lookup gave', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const lookups: unknown[] = [];
    const socket = net.connect({
      port: 9,
      host: 'two.test',
      lookup: (_host, _options, callback) =>
        setImmediate(callback, null, [
          { address: '127.0.0.2', family: 4 },
          { address: '::1', family: 6 },
        ]),
    });
    socket.on('lookup', (...values) => lookups.push(values));
    const held = await opens.next();
    expect(held.request).toEqual({ addresses: ['127.0.0.2', '::1'], port: 9, host: 'two.test' });
    expect(lookups).toEqual([
      [null, '127.0.0.2', 4, 'two.test'],
      [null, '::1', 6, 'two.test'],
    ]);
    socket.destroy();
  });

  it.each([
    [null, { addresses: ['127.0.0.1'], port: 9 }],
    ['127.0.0.2', { addresses: ['127.0.0.1'], port: 9, localAddress: '127.0.0.2' }],
  ])('asks for a session from the local address that was asked for: %s', async (localAddress, expected) => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const socket = net.connect({ port: 9, host: '127.0.0.1', localAddress } as net.NetConnectOpts);
    expect((await opens.next()).request).toEqual(expected);
    socket.destroy();
  });

  it('makes no plain attempt once an offer has come, unless the session fails after all', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: 20 });
    const { port, seen } = await witness();
    const socket = net.connect({ port, host: '127.0.0.1' });
    socket.end('all of it');
    (await opens.next()).handlers.onOffer();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([seen(), socket.connecting]).toEqual([0, true]);
    (await opens.last()).handlers.onPlain('session-port-unreachable');
    await once(socket, 'connect');
    expect(isMobile(socket)).toBe(false);
    await once(socket.resume(), 'close');
    expect([socket.bytesWritten, seen()]).toEqual([9, 1]);
  });

  it.each(['session', 'plain'] as const)(
    'withdraws a plain attempt under way on an offer; then comes the %s',
    async (end) => {
      const { opens, intercept } = heldOpens();
      const { endpoint } = mobileLayer({ headStartMs: 0 });
      const open = endpoint.open.bind(endpoint);
      endpoint.open = intercept;
      const { port, seen } = await witness();
      const stuck = await stuckPort();
      const socket = net.connect(stuck.port, '127.0.0.1');
      const { handlers } = await opens.next();
      await new Promise((resolve) => setTimeout(resolve, 30));
      socket.write('early');
      handlers.onOffer();
      if (end === 'session') {
        open(
          { addresses: ['127.0.0.1'], port },
          { onOffer: () => {}, onOpen: (s) => handlers.onOpen(s), onPlain: () => {} },
        );
        await once(socket, 'connect');
        expect([isMobile(socket), socket.remotePort]).toEqual([true, port]);
        await expect.poll(seen).toBe(1);
      } else {
        handlers.onPlain('refused');
        expect([isMobile(socket), socket.connecting]).toEqual([false, true]);
        // The kernel asks again after a second, and is refused then: the fresh attempt is followed to its end.
        await new Promise((resolve) => setTimeout(resolve, 30));
        stuck.close();
        expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNREFUSED', port: stuck.port });
        return;
      }
      socket.destroy();
      await once(socket, 'close');
    },
  );

  it("gives node's own error when both ways fail", async () => {
    mobileLayer({ headStartMs: 0 });
    const port = await closedPort();
    const attempts: unknown[] = [];
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connectionAttemptFailed', (address, failedPort, family) => attempts.push([address, failedPort, family]));
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({
      message: `connect ECONNREFUSED 127.0.0.1:${port}`,
      code: 'ECONNREFUSED',
      syscall: 'connect',
      address: '127.0.0.1',
      port,
    });
    expect(attempts).toEqual([['127.0.0.1', port, 4]]);
  });

  it('does not wait for an answer that never comes when the plain connect is refused', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: 1 });
    const socket = net.connect(await closedPort(), '127.0.0.1');
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
    expect((await opens.last()).cancelled).toBe(true);
  });

  it("gives node's AggregateError when all of several addresses fail", async () => {
    mobileLayer({ headStartMs: 0 });
    const port = await closedPort();
    const socket = net.connect({
      port,
      host: 'two.test',
      autoSelectFamily: true,
      lookup: (_host, _options, callback) =>
        callback(null, [
          { address: '127.0.0.1', family: 4 },
          { address: '::1', family: 6 },
        ]),
    });
    const [error] = await once(socket, 'error');
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.errors.map(({ address }: { address: string }) => address)).toEqual(['127.0.0.1', '::1']);
  });
});

describe('Where the destination is known', () => {
  it('asks for no session where it is plain', async () => {
    const { endpoint } = mobileLayer();
    const { port } = await witness();
    endpoint.rememberPlain('127.0.0.1', port);
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    expect(endpoint.requests).toEqual([]);
    socket.destroy();
  });

  it('makes no plain attempt where it is aware, until the session fails', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, verdict: 'aware', headStartMs: 0 });
    const { port, seen } = await witness();
    const socket = net.connect(port, '127.0.0.1');
    const held = await opens.next();
    await new Promise(setImmediate);
    expect(seen()).toBe(0);
    held.handlers.onPlain('refused');
    await once(socket, 'connect');
    expect(isMobile(socket)).toBe(false);
    socket.destroy();
  });

  it('never connects plainly where the policy requires a session', async () => {
    mobileLayer({ mobility: 'require', headStartMs: 0, intercept: refuse });
    const { port, seen } = await witness();
    const socket = net.connect(port, '127.0.0.1');
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect', address: '127.0.0.1', port });
    expect(error.message).toContain('policy requires mobility: the peer does not speak the protocol');
    expect(seen()).toBe(0);
  });

  it.each([
    ['the policy requires a session', { settings: { rules: [{ mobility: 'require' }] } }],
    ['the peer is aware', { verdict: 'aware' }],
    ['the head start lasts', { headStartMs: NEVER_MS }],
  ] as const)('makes no plain attempt at another address either while %s', async (_why, options) => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: 0, ...options });
    const { port, seen } = await witness();
    const socket = connectToBoth(port, '127.0.0.2', '127.0.0.1');
    await begun(socket, '127.0.0.1');
    // Whoever comes behind it is seen behind it.
    const probe = nativeConnect.call(new net.Socket(), { port, host: '127.0.0.1' });
    await expect.poll(seen).toBe(1);
    expect([socket.connecting, (await opens.last()).cancelled]).toEqual([true, false]);
    probe.destroy();
    socket.destroy();
  });

  it('makes plain attempts at all addresses when a session fails that they have waited for', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, verdict: 'aware' });
    const { port, seen } = await witness();
    const socket = connectToBoth(port, '127.0.0.1', '127.0.0.2');
    await begun(socket, '127.0.0.2');
    (await opens.last()).handlers.onPlain('refused');
    await once(socket, 'connect');
    expect([socket.remoteAddress, isMobile(socket)]).toEqual(['127.0.0.1', false]);
    await expect.poll(seen).toBe(1);
    socket.destroy();
  });
});

function refuse(_request: unknown, handlers: { onPlain(reason: 'unaware'): void }): { cancel(): void } {
  setImmediate(() => handlers.onPlain('unaware'));
  return { cancel: () => {} };
}

describe('While nothing is decided', () => {
  it('a destroyed socket cancels the session and closes without an error', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const socket = net.connect(9, '127.0.0.1');
    await opens.next();
    socket.destroy();
    const [hadError] = await once(socket, 'close');
    expect(hadError).toBe(false);
    expect((await opens.last()).cancelled).toBe(true);
  });

  it('a destroyed socket whose offer has come cancels the session too', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: 0 });
    const socket = net.connect(await closedPort(), '127.0.0.1');
    (await opens.next()).handlers.onOffer();
    socket.destroy();
    await once(socket, 'close');
    expect((await opens.last()).cancelled).toBe(true);
  });

  it('an aborted signal destroys the socket and cancels the session', async () => {
    const { opens, intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const controller = new AbortController();
    const socket = net.connect({ port: 9, host: '127.0.0.1', signal: controller.signal });
    await opens.next();
    controller.abort();
    const [error] = await once(socket, 'error');
    expect(error).toMatchObject({ name: 'AbortError' });
    expect((await opens.last()).cancelled).toBe(true);
  });

  it('an idle timeout is reported', async () => {
    const { intercept } = heldOpens();
    mobileLayer({ intercept, headStartMs: NEVER_MS });
    const socket = net.connect({ port: 9, host: '127.0.0.1', timeout: 5 });
    await once(socket, 'timeout');
    expect(socket.connecting).toBe(true);
    socket.destroy();
  });

  it('what is written, ended and unreferenced before the session opens holds after it', async () => {
    const { endpoint } = mobileLayer({ verdict: 'aware' });
    const server = net.createServer((peer) => peer.pipe(peer));
    const port = await listening(server);
    const socket = net.connect(port, '127.0.0.1');
    socket.setEncoding('utf8').unref();
    socket.write('one, ');
    socket.end('two');
    let received = '';
    socket.on('data', (text) => {
      received += text;
    });
    expect(socket.bytesWritten).toBe(8);
    await once(socket, 'connect');
    expect(isMobile(socket)).toBe(true);
    expect(endpoint.requests).toHaveLength(1);
    await once(socket, 'close');
    expect(received).toBe('one, two');
  });
});

it("listeners run in the async context of the application's connect", async () => {
  mobileLayer({ verdict: 'aware' });
  const storage = new AsyncLocalStorage<string>();
  const server = net.createServer((peer) => peer.end('x'));
  const port = await listening(server);
  const seen: unknown[] = [];
  await storage.run('mine', async () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('connect', () => seen.push(storage.getStore()));
    socket.on('data', () => seen.push(storage.getStore()));
    await once(socket, 'close');
  });
  expect(seen).toEqual(['mine', 'mine']);
});
