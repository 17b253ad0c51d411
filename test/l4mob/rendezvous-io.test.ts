/** The rendezvous service and its client on real sockets of this machine. */
import { afterEach, describe, expect, it } from 'vitest';
import type { TransportAddress } from '../../src/core/address.ts';
import { monotonicNow } from '../../src/host/clock.ts';
import { osRandom } from '../../src/host/random.ts';
import { openUdpPort, type UdpPort } from '../../src/host/udp-port.ts';
import { openRendezvousService, type RendezvousService } from '../../src/l4mob/io/rendezvous-service.ts';
import { deriveRendezvousKeys } from '../../src/l4mob/key-schedule.ts';
import { type PeerFound, RendezvousClient } from '../../src/l4mob/rendezvous/rendezvous-client.ts';
import type { SessionRole } from '../../src/l4mob/session-event.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

async function service(address: string): Promise<RendezvousService> {
  const opened = await openRendezvousService({ address, port: 0 });
  open.push(opened);
  return opened;
}

/** Asks once, then waits until the peer is found. */
function seek(role: SessionRole, secret: Uint8Array, at: TransportAddress, ip: string): Promise<PeerFound> {
  const client = new RendezvousClient({
    role,
    keys: deriveRendezvousKeys(secret),
    random: osRandom,
    versions: { own: 0, heard: 0 },
  });
  return new Promise((resolve) => {
    const udp: UdpPort = openUdpPort({
      address: ip,
      port: 0,
      keepsAlive: true,
      onDatagram: (bytes, from) => {
        client.handleDatagram(monotonicNow(), bytes, from);
        const found = client.pollEvent();
        if (found !== undefined) resolve(found);
      },
    });
    open.push(udp);
    client.start(monotonicNow(), 0, { stateSequence: 2, sessionPort: udp.port, addresses: [ip] }, [at]);
    const sent = client.pollTransmit();
    if (sent !== undefined) udp.send(sent.bytes, sent.to);
  });
}

describe('a rendezvous service on a socket', () => {
  it.each(['127.0.0.1', '::1'])('brings two together on %s, with one datagram from each', async (ip) => {
    const { address, counters, size } = await service(ip);
    const secret = osRandom.bytes(32);
    const found = await Promise.all([seek('initiator', secret, address, ip), seek('responder', secret, address, ip)]);
    for (const { whereabouts, seenFrom } of found) {
      expect(whereabouts).toMatchObject({ stateSequence: 2, addresses: [ip] });
      expect(seenFrom).toEqual({ ip, port: whereabouts.sessionPort });
    }
    expect(counters()).toMatchObject({ asks: 2, found: 2, pushed: 1, malformed: 0 });
    expect(size()).toEqual({ entries: 2, waiters: 0 });
  });

  it('serves IPv4 and IPv6 on one port', async () => {
    const { address } = await service('::');
    const secret = osRandom.bytes(32);
    const [atFour, atSix] = await Promise.all([
      seek('initiator', secret, { ...address, ip: '127.0.0.1' }, '127.0.0.1'),
      seek('responder', secret, { ...address, ip: '::1' }, '::1'),
    ]);
    expect([atFour.seenFrom.ip, atSix.seenFrom.ip]).toEqual(['::1', '127.0.0.1']);
  });

  it('that cannot have its port says why', async () => {
    const { address } = await service('127.0.0.1');
    await expect(openRendezvousService({ address: address.ip, port: address.port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
  });
});
