import type dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { expect, it } from 'vitest';
import { Endpoint } from '../../../src/l4mob/io/endpoint.ts';
import { install } from '../../../src/socket/install.ts';
import { Policy } from '../../../src/socket/policy/policy.ts';
import { isMobile, listening } from '../mobile-layer.ts';
import { boundSocket, sent } from './udp-pair.ts';

it('A listener whose UDP port the application itself has is found by it, and the application hears nothing of that', async () => {
  const endpoint = new Endpoint();
  // A busy machine must not make anything plain.
  const installation = install({
    policy: new Policy({ mobility: 'prefer' }),
    endpoint: () => endpoint,
    headStartMs: 10_000,
  });
  try {
    const server = net.createServer((socket) => socket.end('over TCP'));
    const port = await listening(server);
    const udp: dgram.Socket = await boundSocket('udp4', { port, address: '127.0.0.1' });
    const texts: string[] = [];
    udp.on('message', (bytes) => texts.push(bytes.toString()));
    const client = net.connect(port, '127.0.0.1');
    const [bytes] = (await once(client, 'data')) as [Buffer];
    expect([bytes.toString(), isMobile(client)]).toEqual(['over TCP', true]);
    const arrived = once(udp, 'message');
    await sent(await boundSocket(), 'over UDP', port, '127.0.0.1');
    await arrived;
    expect(texts).toEqual(['over UDP']);
    client.destroy();
  } finally {
    installation.uninstall();
  }
});
