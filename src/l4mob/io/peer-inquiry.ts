/**
 * Peer inquiry: is anybody there where a flow's peer was, and who? An L4_INIT from sockets of its own, which hear what
 * ICMP says, as the application's no longer does. A peer that was restarted knows nothing of the flow, but answers this.
 */
import type { TransportAddress } from '../../core/address.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { type ConnectedUdp, connectUdp } from '../../host/connected-udp.ts';
import type { Association } from '../association.ts';
import type { InitiatorHandshake } from '../initiator-handshake.ts';
import type { PortPair } from '../port-pairs.ts';

export interface InquiryHandlers {
  /** Whoever answered at that address speaks the protocol; it may be the peer itself, or another process. */
  onAnswer(address: TransportAddress, association: Association, portPair: PortPair): void;
  /** Nobody has the port, at any of the addresses. */
  onRefused(): void;
  /** Over without either. */
  onSilence(): void;
}

export class PeerInquiry {
  readonly #handshake: InitiatorHandshake;
  readonly #handlers: InquiryHandlers;
  readonly #sockets = new Map<TransportAddress, ConnectedUdp>();
  readonly #alarm: Alarm;
  #refusals = 0;
  #asked = 0;

  constructor(handshake: InitiatorHandshake, addresses: readonly TransportAddress[], handlers: InquiryHandlers) {
    this.#handshake = handshake;
    this.#handlers = handlers;
    this.#alarm = new Alarm((now) => {
      handshake.handleTimeout(now);
      this.#run();
    });
    this.#alarm.unref();
    for (const address of addresses) this.#open(address);
    this.#run();
  }

  cancel(): void {
    this.#alarm.set(undefined);
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #open(remote: TransportAddress): void {
    this.#asked += 1;
    const socket = connectUdp({
      remote,
      onDatagram: (bytes) => {
        this.#handshake.handleDatagram(monotonicNow(), bytes);
        this.#run(remote);
      },
      onUnreachable: ({ code }) => {
        this.#sockets.delete(remote);
        if (code === 'ECONNREFUSED') this.#refusals += 1;
        if (this.#refusals < this.#asked) return;
        this.cancel();
        this.#handlers.onRefused();
      },
    });
    this.#sockets.set(remote, socket);
  }

  /** `from`: where the last answer came from. */
  #run(from?: TransportAddress): void {
    const { outcome } = this.#handshake;
    if (outcome === undefined) {
      const bytes = this.#handshake.pollTransmit();
      if (bytes !== undefined) for (const socket of this.#sockets.values()) socket.send(bytes);
      return this.#alarm.set(this.#handshake.pollTimeout());
    }
    this.cancel();
    if (outcome.type !== 'accepted' || from === undefined) return this.#handlers.onSilence();
    this.#handlers.onAnswer(from, outcome.association, outcome.portPair);
  }
}
