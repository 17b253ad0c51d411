/** Connects to several addresses, one of which takes longer than node waits for it (RFC 8305 section 5). */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { certificate } from './certificate.ts';
import { bytesOf, heldOpens, isMobile, listening, mobileLayer } from './mobile-layer.ts';
import { stuckPort } from './stuck-port.ts';

const SLOW = '127.0.0.1';
const OTHER = '127.0.0.2';
const ATTEMPT_MS = 20;

/** Both addresses, the slow one first; the port is another's at each. */
function towards(port: number): net.TcpNetConnectOpts {
  return {
    port,
    host: 'two.test',
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    lookup: (_host, _options, callback) => {
      setImmediate(callback, null, [
        { address: SLOW, family: 4 },
        { address: OTHER, family: 4 },
      ]);
    },
  };
}

type Attempts = [event: string, address: string][];

function attemptsOf(socket: net.Socket): Attempts {
  const attempts: Attempts = [];
  for (const event of ['connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout']) {
    socket.on(event, (address: string) => attempts.push([event, address]));
  }
  return attempts;
}

/** Node has begun its last attempt, for which it sets no time-out. */
function bothBegan(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('connectionAttempt', (address: string) => {
      if (address === OTHER) resolve();
    });
  });
}

async function echoPort(): Promise<number> {
  return listening(net.createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket)));
}

/** What connects that are not over keep. */
function connectsUnderWay(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPConnectWrap' || name === 'ConnectWrap').length;
}

describe.each(['unknown', 'plain'] as const)('to a destination that is %s', (verdict) => {
  it('the slow address connects when the other one is closed', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const stuck = await stuckPort(SLOW, await echoPort());
    const socket = net.connect(towards(stuck.port));
    const attempts = attemptsOf(socket);
    socket.write('early');
    await bothBegan(socket);
    expect(socket.connecting).toBe(true);
    stuck.accept();
    await once(socket, 'connect');
    expect([socket.remoteAddress, isMobile(socket)]).toEqual([SLOW, false]);
    socket.end();
    expect((await bytesOf(socket)).toString()).toBe('early');
    expect([socket.bytesWritten, socket.bytesRead]).toEqual([5, 5]);
    expect(attempts).toEqual([
      ['connectionAttempt', SLOW],
      ['connectionAttemptTimeout', SLOW],
      ['connectionAttempt', OTHER],
    ]);
    expect(socket.autoSelectFamilyAttemptedAddresses).toEqual([SLOW, OTHER].map((ip) => `${ip}:${stuck.port}`));
  });

  it('the slow address connects below TLS', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const server = tls.createServer({ ...certificate(), allowHalfOpen: true }, (socket) => socket.pipe(socket));
    const stuck = await stuckPort(SLOW, await listening(server));
    const socket = tls.connect({ ...towards(stuck.port), rejectUnauthorized: false } as tls.ConnectionOptions);
    socket.write('early');
    await bothBegan(socket);
    stuck.accept();
    await once(socket, 'secureConnect');
    socket.end();
    expect(socket.remoteAddress).toBe(SLOW);
    expect((await bytesOf(socket)).toString()).toBe('early');
  });

  it('the other address connects when it is faster, and the slow attempt ends', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const stuck = await stuckPort(SLOW);
    const server = net.createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket));
    server.listen(stuck.port, OTHER);
    await once(server, 'listening');
    const socket = net.connect(towards(stuck.port));
    await once(socket, 'connect');
    expect(socket.remoteAddress).toBe(OTHER);
    await expect.poll(connectsUnderWay).toBe(0);
    socket.end('bytes');
    expect((await bytesOf(socket)).toString()).toBe('bytes');
    server.close();
  });

  it('all failures are told when the slow address fails after the other one', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const stuck = await stuckPort(SLOW);
    const socket = net.connect(towards(stuck.port));
    await bothBegan(socket);
    stuck.close();
    const [error] = await once(socket, 'error');
    expect(error).toBeInstanceOf(AggregateError);
    expect(error.errors.map(({ code, address }: NodeJS.ErrnoException & net.AddressInfo) => [code, address])).toEqual([
      ['ETIMEDOUT', SLOW],
      ['ECONNREFUSED', OTHER],
    ]);
  });

  it('all failures are told when the slow address says nothing for three seconds more', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const stuck = await stuckPort(SLOW);
    const [error] = await once(net.connect(towards(stuck.port)), 'error');
    expect(error).toMatchObject({ code: 'ETIMEDOUT', errors: [{ code: 'ETIMEDOUT' }, { code: 'ECONNREFUSED' }] });
    await expect.poll(connectsUnderWay).toBe(0);
  });

  it('a socket that is destroyed takes its slow attempt with it', async () => {
    mobileLayer({ verdict, headStartMs: 0 });
    const stuck = await stuckPort(SLOW);
    const socket = net.connect(towards(stuck.port));
    await bothBegan(socket);
    expect(connectsUnderWay()).toBeGreaterThan(0);
    socket.destroy();
    expect(await once(socket, 'close')).toEqual([false]);
    await expect.poll(connectsUnderWay).toBe(0);
  });
});

it('a session takes the place of a slow attempt', async () => {
  const { opens, intercept } = heldOpens();
  const { endpoint } = mobileLayer({ headStartMs: 0 });
  const open = endpoint.open.bind(endpoint);
  endpoint.open = intercept;
  const port = await echoPort();
  const stuck = await stuckPort(SLOW);
  const socket = net.connect(towards(stuck.port));
  await bothBegan(socket);
  const { handlers } = await opens.next();
  handlers.onOffer();
  await expect.poll(connectsUnderWay).toBe(0);
  open({ addresses: [SLOW], port }, { ...handlers, onOffer: () => {}, onPlain: () => expect.unreachable() });
  await once(socket, 'connect');
  expect(isMobile(socket)).toBe(true);
  socket.end('bytes');
  expect((await bytesOf(socket)).toString()).toBe('bytes');
});

it('an attempt with a local port ends before the next one begins, as the port can be bound once only', async () => {
  mobileLayer({ verdict: 'plain' });
  const stuck = await stuckPort(SLOW);
  const localPort = await new Promise<number>((resolve) => {
    const probe = net.createServer().listen(0, SLOW, () => {
      const { port } = probe.address() as net.AddressInfo;
      probe.close(() => resolve(port));
    });
  });
  const socket = net.connect({ ...towards(stuck.port), localPort });
  const [error] = await once(socket, 'error');
  expect(error.errors.map(({ code }: NodeJS.ErrnoException) => code)).toEqual(['ETIMEDOUT', 'ECONNREFUSED']);
});

it('a connect that the policy leaves to node is given up as node does', async () => {
  mobileLayer({ mobility: 'off' });
  const stuck = await stuckPort(SLOW);
  const socket = net.connect(towards(stuck.port));
  const [error] = await once(socket, 'error');
  expect(error.errors.map(({ code }: NodeJS.ErrnoException) => code)).toEqual(['ETIMEDOUT', 'ECONNREFUSED']);
});
