/**
 * Flow output: what a flow says of its own accord, to the peer and to its owner, until it is polled. Whatever goes out
 * here keeps to what a path that is not validated allows.
 */
import type { TransportAddress } from '../../core/address.ts';
import type { Instant } from '../../core/time.ts';
import { TAG_BYTES } from '../suite.ts';
import { type DatagramType, datagramHeaderBytes } from '../wire/datagram.ts';
import type { FlowChannel } from './flow-channel.ts';
import type { DatagramTransmit, FlowCounters, FlowEvent } from './flow-event.ts';
import type { PathSet } from './path-set.ts';

/** Packets waiting to be polled: answers, challenges to all known places, a list. More means that nobody polls. */
const MAX_WAITING = 32;

export class FlowOutput {
  readonly #channel: FlowChannel;
  readonly #paths: PathSet;
  readonly counters: FlowCounters;
  /** Only while there are some: an array that was once filled keeps the room, and flows are idle by the thousand. */
  #packets: DatagramTransmit[] | undefined;
  #events: FlowEvent[] | undefined;
  /** When anything was sent last, data included. */
  sentAt: Instant;

  constructor(now: Instant, channel: FlowChannel, paths: PathSet, counters: FlowCounters) {
    this.sentAt = now;
    this.#channel = channel;
    this.#paths = paths;
    this.counters = counters;
  }

  /** `vouched`: somebody else than a source address says that the peer is there, so it may go beyond the allowance. */
  transmit(now: Instant, type: DatagramType, payload: Uint8Array, to: TransportAddress, vouched = false): void {
    const bytes = datagramHeaderBytes(type) + payload.length + TAG_BYTES;
    if (this.#paths.find(to)?.spendOnControl(bytes) === false && !vouched) {
      this.counters.limited += 1;
    } else if ((this.#packets?.length ?? 0) >= MAX_WAITING || this.#channel.spent) {
      this.counters.overflowed += 1;
    } else {
      this.sentAt = now;
      this.#packets ??= [];
      this.#packets.push({ bytes: this.#channel.seal(type, payload), to: { ip: to.ip, port: to.port } });
    }
  }

  emit(event: FlowEvent): void {
    if (event.type === 'move-undone') this.counters.undoneMoves += 1;
    this.#events ??= [];
    this.#events.push(event);
  }

  pollTransmit(): DatagramTransmit | undefined {
    const packet = this.#packets?.shift();
    if (this.#packets?.length === 0) this.#packets = undefined;
    return packet;
  }

  pollEvent(): FlowEvent | undefined {
    const event = this.#events?.shift();
    if (this.#events?.length === 0) this.#events = undefined;
    return event;
  }
}
