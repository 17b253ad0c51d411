/**
 * Datagram contact: L4_INIT and L4_OFFER on the application's own socket, so that they take the way that its datagrams
 * take, through the same NAT mapping. Begins a moment after it was made: many exchanges are over by then.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { monotonicNow } from '../../host/clock.ts';
import type { Association } from '../association.ts';
import type { HandshakeOutcome, InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';
import { ATTEMPT_BYTES } from '../wire/init.ts';
import { SIGNAL_HEADER_BYTES } from '../wire/signal-header.ts';
import type { AlarmOwner, SharedAlarm } from './shared-alarm.ts';

/** Nobody waits, and a plain peer is to hear of us as little as may be: three L4_INITs, then the answer's last chance. */
export const CONTACT_WAITS_MS: readonly [number, ...number[]] = [150, 600, 1_500];

export type ContactFailure = Exclude<HandshakeOutcome, { type: 'accepted' }>;

export interface ContactHost {
  readonly alarm: SharedAlarm;
  handshake(now: Instant, remote: TransportAddress): InitiatorHandshake;
  transmit(bytes: Uint8Array, to: TransportAddress): void;
  agreed(contact: DatagramContact, association: Association, portPair: PortPair): void;
  failed(contact: DatagramContact, failure: ContactFailure): void;
}

export class DatagramContact implements AlarmOwner {
  dueAt: Instant = 0;
  place = -1;
  readonly remote: TransportAddress;
  readonly #host: ContactHost;
  #handshake: InitiatorHandshake | undefined;
  #asked: Uint8Array | undefined;

  constructor(host: ContactHost, remote: TransportAddress, at: Instant) {
    this.#host = host;
    this.remote = remote;
    host.alarm.expect(this, at);
  }

  handleAlarm(now: Instant): void {
    if (this.#handshake === undefined) this.#handshake = this.#host.handshake(now, this.remote);
    else this.#handshake.handleTimeout(now);
    this.#run(this.#handshake);
  }

  handleOffer(bytes: Uint8Array): void {
    if (this.#handshake === undefined) return;
    this.#handshake.handleDatagram(monotonicNow(), bytes);
    this.#run(this.#handshake);
  }

  /**
   * Whether this contact gives way to the peer's own L4_INIT: when both ask at the same time, both see both questions,
   * and the one with the lower attempt stands.
   */
  givesWayTo(init: Uint8Array): boolean {
    return this.#asked === undefined || Buffer.compare(attemptOf(init), attemptOf(this.#asked)) < 0;
  }

  cancel(): void {
    this.#host.alarm.forget(this);
  }

  #run(handshake: InitiatorHandshake): void {
    const { outcome } = handshake;
    if (outcome === undefined) {
      const bytes = handshake.pollTransmit();
      if (bytes !== undefined) {
        this.#asked = bytes;
        this.#host.transmit(bytes, this.remote);
      }
      this.#host.alarm.expect(this, handshake.pollTimeout());
      return;
    }
    this.cancel();
    if (outcome.type === 'accepted') this.#host.agreed(this, outcome.association, outcome.portPair);
    else this.#host.failed(this, outcome);
  }
}

function attemptOf(init: Uint8Array): Uint8Array {
  return init.subarray(SIGNAL_HEADER_BYTES, SIGNAL_HEADER_BYTES + ATTEMPT_BYTES);
}
