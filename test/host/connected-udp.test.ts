/** A UDP socket that talks with one peer. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { connectUdp } from '../../src/host/connected-udp.ts';

test('sends at once, and hears its peer and nobody else', async () => {
  const peer = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  const stranger = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await Promise.all([once(peer, 'listening'), once(stranger, 'listening')]);
  const heard: string[] = [];
  let resolve = (): void => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  const udp = connectUdp({
    remote: { ip: '127.0.0.1', port: (peer.address() as AddressInfo).port },
    onUnreachable: (error) => heard.push(error.message),
    onDatagram: (bytes) => {
      heard.push(String(bytes));
      resolve();
    },
  });
  udp.send(Buffer.from('hello'));
  const [bytes, from] = (await once(peer, 'message')) as [Buffer, dgram.RemoteInfo];
  expect(String(bytes)).toBe('hello');
  await new Promise((sent) => stranger.send('spoof', from.port, from.address, sent));
  peer.send('answer', from.port, from.address);
  await promise;
  expect(heard).toEqual(['answer']);
  udp.close();
  peer.close();
  stranger.close();
});

test('hears that nobody has the port', async () => {
  const gone = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address();
  gone.close();
  const code = await new Promise((resolve) => {
    const udp = connectUdp({
      remote: { ip: '127.0.0.1', port },
      onDatagram: () => {},
      onUnreachable: (error) => resolve(error.code),
    });
    udp.send(Buffer.from('hello'));
  });
  expect(code).toBe('ECONNREFUSED');
});

test.each([
  ['that is not there (any more)', '127.0.0.1', '203.0.113.77', 'EADDRNOTAVAIL'],
  ['of the other family', '::1', '127.0.0.1', 'EINVAL'],
])('to be connected from an address %s fails, but not inside the call', async (_, ip, localAddress, code) => {
  let inside = true;
  const failure = new Promise<string | undefined>((resolve, reject) => {
    connectUdp({
      remote: { ip, port: 9 },
      localAddress,
      onDatagram: () => reject(new Error('a datagram')),
      onUnreachable: (error) => (inside ? reject(error) : resolve(error.code)),
    });
  });
  inside = false;
  expect(await failure).toBe(code);
});
