/** Dials from several of this host's addresses: all of 127.0.0.0/8 is. */
import { once } from 'node:events';
import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type DialCandidate, dialTcp } from '../../src/host/tcp-dialer.ts';
import { stuckPort } from '../socket/stuck-port.ts';

const TIMEOUT_MS = 10_000;
/** Documentation, so no address of ours. */
const FOREIGN = '192.0.2.1';

async function listeningPort(): Promise<number> {
  const server = net.createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as net.AddressInfo).port;
}

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The address that the dial came from, or why there is none. */
function dial(candidates: readonly DialCandidate[], timeoutMs: number = TIMEOUT_MS): Promise<string> {
  return new Promise((resolve) => {
    dialTcp({
      candidates,
      timeoutMs,
      onConnected: (connection) => {
        resolve(connection.local.ip);
        connection.close();
      },
      onFailed: resolve,
    });
  });
}

function from(port: number, ...sources: readonly string[]): DialCandidate[] {
  return sources.map((localAddress, rank) => ({ ip: '127.0.0.1', port, localAddress, rank }));
}

describe('a dial from several addresses', () => {
  it('comes from the best', async () => {
    const port = await listeningPort();
    expect(await dial(from(port, '127.0.0.5', '127.0.0.4'))).toBe('127.0.0.5');
    expect(await dial(from(port, '127.0.0.4', '127.0.0.5'))).toBe('127.0.0.4');
  });

  it('comes from the next when the best ones cannot be used', async () => {
    expect(await dial(from(await listeningPort(), FOREIGN, FOREIGN, '127.0.0.6', '127.0.0.7'))).toBe('127.0.0.6');
  });

  it('comes from the next, at another destination too, when the best gets no answer', async () => {
    const port = await listeningPort();
    const stuck = await stuckPort();
    const candidates = [...from(stuck.port, '127.0.0.4', '127.0.0.5'), ...from(port, FOREIGN, '127.0.0.6')];
    expect(await dial(candidates.sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0)))).toBe('127.0.0.6');
  });

  it('is refused by a closed port without asking from each of them', async () => {
    expect(await dial(from(await closedPort(), '127.0.0.4', '127.0.0.5'))).toBe('refused');
  });

  it('is refused only where every destination refuses', async () => {
    const stuck = await stuckPort();
    expect(await dial([...from(await closedPort(), '127.0.0.4'), ...from(stuck.port, '127.0.0.4')], 300)).toBe(
      'unreachable',
    );
  });

  it('fails when it has no candidate', async () => {
    expect(await dial([])).toBe('unreachable');
  });
});
