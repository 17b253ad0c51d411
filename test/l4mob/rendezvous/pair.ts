/** Two peers of one association and a service, by hand: no network, no time but what a test says. */
import type { TransportAddress } from '../../../src/core/address.ts';
import { deriveRendezvousKeys, type RendezvousKeys } from '../../../src/l4mob/key-schedule.ts';
import { type PeerFound, RendezvousClient } from '../../../src/l4mob/rendezvous/rendezvous-client.ts';
import { type RendezvousLimits, RendezvousService } from '../../../src/l4mob/rendezvous/rendezvous-service.ts';
import {
  decodeRendezvousAnswer,
  decodeRendezvousAsk,
  type RendezvousAnswer,
  type RendezvousAsk,
} from '../../../src/l4mob/wire/rendezvous.ts';
import type { Whereabouts } from '../../../src/l4mob/wire/update.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { run } from '../wire/samples.ts';

export const SERVICE: TransportAddress = { ip: '203.0.113.1', port: 4474 };
export const KEYS: RendezvousKeys = deriveRendezvousKeys(run(0x11, 32));

export function whereabouts(stateSequence: number, ...addresses: string[]): Whereabouts {
  return { stateSequence, sessionPort: 50_443, addresses };
}

export function newClient(role: 'initiator' | 'responder', seed: number = role.length): RendezvousClient {
  return new RendezvousClient({ role, keys: KEYS, random: new SeededRandom(seed), versions: { own: 0, heard: 0 } });
}

export function newService(limits: Partial<RendezvousLimits> = {}): RendezvousService {
  return new RendezvousService({ random: new SeededRandom(99), now: 0, limits });
}

export interface Sent {
  readonly bytes: Uint8Array;
  readonly to: TransportAddress;
}

export function drain(core: { pollTransmit(): Sent | undefined }): Sent[] {
  const sent: Sent[] = [];
  for (let next = core.pollTransmit(); next !== undefined; next = core.pollTransmit()) sent.push(next);
  return sent;
}

export function asks(client: RendezvousClient): RendezvousAsk[] {
  return drain(client).map(({ bytes }) => decodeRendezvousAsk(bytes));
}

export function answers(service: RendezvousService): RendezvousAnswer[] {
  return drain(service).map(({ bytes }) => decodeRendezvousAnswer(bytes));
}

export function found(client: RendezvousClient): PeerFound[] {
  const events: PeerFound[] = [];
  for (let next = client.pollEvent(); next !== undefined; next = client.pollEvent()) events.push(next);
  return events;
}

/** Two clients at two places, and the service between them; datagrams arrive at once and in order. */
export class Pair {
  readonly service: RendezvousService;
  readonly initiator: RendezvousClient = newClient('initiator');
  readonly responder: RendezvousClient = newClient('responder');
  readonly places: Record<'initiator' | 'responder', TransportAddress> = {
    initiator: { ip: '192.0.2.7', port: 40_001 },
    responder: { ip: '198.51.100.7', port: 50_443 },
  };
  now: number = 0;
  readonly #metAt = { initiator: 0, responder: 0 };
  /** What went over the wire. */
  readonly wire: { readonly from: string; readonly to: string; readonly bytes: Uint8Array }[] = [];

  constructor(limits: Partial<RendezvousLimits> = {}) {
    this.service = newService(limits);
  }

  start(role: 'initiator' | 'responder', own: Whereabouts, sinceMetMs: number = 1_000): void {
    this.#metAt[role] = this.now - sinceMetMs;
    this[role].start(this.now, sinceMetMs, own, [SERVICE]);
    this.exchange();
  }

  /** Lets time pass, then exchanges until nobody has anything to say at this moment. */
  tick(ms: number): void {
    this.now += ms;
    this.exchange();
  }

  exchange(): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (const role of ['initiator', 'responder'] as const) {
        this[role].handleTimeout(this.now, this.now - this.#metAt[role]);
        for (const { bytes } of drain(this[role])) {
          busy = true;
          this.wire.push({ from: role, to: 'service', bytes });
          this.service.handleDatagram(this.now, bytes, this.places[role]);
        }
      }
      for (const { bytes, to } of drain(this.service)) {
        busy = true;
        const role = to.ip === this.places.initiator.ip ? 'initiator' : 'responder';
        this.wire.push({ from: 'service', to: role, bytes });
        this[role].handleDatagram(this.now, bytes, SERVICE);
      }
    }
  }
}
