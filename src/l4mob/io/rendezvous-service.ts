/**
 * The rendezvous service on a real UDP socket: what `mobisock rendezvous` runs, and what a program of one's own may.
 * It keeps the process alive until it is closed. docs/protocol.md, "Rendezvous".
 */
import type { TransportAddress } from '../../core/address.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { osRandom } from '../../host/random.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import { RENDEZVOUS_PORT } from '../rendezvous/rendezvous-port.ts';
import {
  type RendezvousCounters,
  type RendezvousLimits,
  RendezvousService as ServiceCore,
} from '../rendezvous/rendezvous-service.ts';

export interface RendezvousServiceOptions {
  /**
   * Literal address; `::`, the default, takes IPv4 as well. A host with several addresses should name the one that its
   * clients ask: answers that come from another one are not taken.
   */
  readonly address?: string;
  /** 4474 where left out; 0 for any. */
  readonly port?: number;
  readonly limits?: Partial<RendezvousLimits>;
}

export interface RendezvousService {
  readonly address: TransportAddress;
  /** What came and what became of it. */
  counters(): Readonly<RendezvousCounters>;
  /** Entries kept now, and peers that wait now. */
  size(): { readonly entries: number; readonly waiters: number };
  close(): void;
}

/** @throws (rejects with) node's error where the port can't be had: EADDRINUSE, EACCES, EADDRNOTAVAIL. */
export function openRendezvousService(options: RendezvousServiceOptions = {}): Promise<RendezvousService> {
  const { address = '::', port = RENDEZVOUS_PORT, limits = {} } = options;
  const core = new ServiceCore({ random: osRandom, now: monotonicNow(), limits });
  const alarm = new Alarm((now) => {
    core.handleTimeout(now);
    alarm.set(core.pollTimeout());
  });
  return new Promise((resolve, reject) => {
    const udp: UdpPort = openUdpPort({
      address,
      port,
      keepsAlive: true,
      onDatagram: (bytes, from) => {
        core.handleDatagram(monotonicNow(), bytes, from);
        for (let next = core.pollTransmit(); next !== undefined; next = core.pollTransmit()) {
          udp.send(next.bytes, next.to);
        }
        alarm.set(core.pollTimeout());
      },
      onError: reject,
    });
    alarm.unref();
    if (udp.port === 0) return; // the error is on its way
    resolve({
      address: { ip: address, port: udp.port },
      counters: () => ({ ...core.counters }),
      size: () => ({ entries: core.entries, waiters: core.waiters }),
      close: () => {
        alarm.set(undefined);
        udp.close();
      },
    });
  });
}
