/**
 * One end of a datagram flow on a virtual host: the driver in small. Sends numbered datagrams at a steady pace, keeps
 * what came, and checks while it runs: nothing twice, nothing altered, nothing from a stranger, everything that arrived
 * intact, and to no place more than three times what came from there before the peer had shown that it is there.
 */
import type { TransportAddress } from '../../src/core/address.ts';
import type { DatagramFlow } from '../../src/l4mob/datagram/datagram-flow.ts';
import type { FlowEvent } from '../../src/l4mob/datagram/flow-event.ts';
import type { FlowTable } from '../../src/l4mob/datagram/flow-table.ts';
import { DATAGRAM_TYPE, mayBeFlowDatagram } from '../../src/l4mob/wire/datagram.ts';
import { AmplificationWatch } from './amplification-watch.ts';
import type { Host } from './network.ts';
import type { Appointment } from './virtual-time.ts';

export interface Pace {
  /** Between two datagrams of the application; 0: it sends nothing. */
  readonly everyMs: number;
  readonly bytes: number;
}

interface Sent {
  readonly payload: string;
  readonly at: number;
}

/** A flow that is still due after that would keep its driver spinning. */
const MOST_ALARMS_AT_ONCE = 5;

export class DatagramEnd {
  readonly host: Host;
  readonly port: number;
  readonly table: FlowTable;
  readonly pace: Pace;
  peer: DatagramEnd | undefined;
  flow: DatagramFlow | undefined;
  /** Makes a flow for a packet that names none. */
  accept: ((bytes: Buffer, from: TransportAddress) => DatagramFlow | undefined) | undefined;
  /** Where a rendezvous says that the peer is. */
  findPeer: (() => readonly TransportAddress[]) | undefined;
  /** Addresses that nobody with the key was ever at. */
  isStranger: ((ip: string) => boolean) | undefined;
  /** By their bytes: the datagrams with data, sent and not delivered yet. */
  readonly underway: Map<string, Sent> = new Map();
  readonly delivered: number[] = [];
  readonly sentAt: number[] = [];
  readonly deliveredAt: number[] = [];
  readonly events: FlowEvent[] = [];
  readonly violations: string[] = [];
  readonly amplification: AmplificationWatch;
  #alarm: Appointment | undefined;
  #lastAlarm = -1;
  #alarmsAt = 0;
  #count = 0;

  constructor(host: Host, port: number, table: FlowTable, pace: Pace) {
    this.host = host;
    this.port = port;
    this.table = table;
    this.pace = pace;
    this.amplification = new AmplificationWatch((what) => this.violations.push(what));
    host.datagramHandlers.set(port, (bytes, from) => this.#arrive(bytes, from));
    host.onAddresses = () => this.#networkChanged();
    if (pace.everyMs > 0) host.network.time.after(pace.everyMs, () => this.#send());
  }

  get now(): number {
    return this.host.network.time.now;
  }

  #networkChanged(): void {
    const addresses = [...this.host.addresses].slice(0, 8);
    this.peer?.amplification.vouchFor(addresses.map((ip) => ({ ip, port: this.port })));
    this.flow?.handleNetworkChange(this.now, { port: this.port, addresses });
    this.pump();
  }

  #send(): void {
    const { flow } = this;
    if (flow !== undefined && (flow.role === 'initiator' || flow.phase !== 'opening')) {
      this.#count += 1;
      this.sentAt[this.#count] = this.now;
      const payload = Buffer.alloc(this.pace.bytes, `${this.host.name} ${this.#count} `);
      const bytes = flow.send(this.now, payload);
      if (bytes !== undefined) {
        this.underway.set(bytes.toString('latin1'), { payload: payload.toString('latin1'), at: this.#count });
        this.#transmit(bytes, flow.remote);
      }
      this.pump();
    }
    this.host.network.time.after(this.pace.everyMs, () => this.#send());
  }

  #transmit(bytes: Buffer, to: TransportAddress): void {
    this.amplification.sent(bytes, to);
    const [local] = this.host.addresses;
    if (local !== undefined) this.host.network.sendDatagram(this.host, { ip: local, port: this.port }, to, bytes);
  }

  #arrive(bytes: Buffer, from: TransportAddress): void {
    if (!mayBeFlowDatagram(bytes)) return;
    const flow = this.table.find(bytes) ?? this.accept?.(bytes, from);
    if (flow !== undefined && this.peer !== undefined) this.amplification.came(bytes, from, this.peer.amplification);
    const payload = flow?.handleDatagram(this.now, bytes, from);
    this.#check(bytes, payload, flow !== undefined);
    this.pump();
  }

  #check(bytes: Buffer, payload: Uint8Array | undefined, known: boolean): void {
    const name = bytes.toString('latin1');
    const sent = this.peer?.underway.get(name);
    if (payload === undefined) {
      if (sent !== undefined && known) this.violations.push(`not delivered: ${this.peer?.host.name} ${sent.at}`);
      return;
    }
    if (sent === undefined) {
      this.violations.push(`delivered what was not sent, or twice: type ${bytes[0]}`);
      return;
    }
    if (Buffer.from(payload).toString('latin1') !== sent.payload) this.violations.push(`altered: ${sent.at}`);
    this.peer?.underway.delete(name);
    this.delivered.push(sent.at);
    this.deliveredAt[sent.at] = this.now;
  }

  /** Drains what the flow has to say and sets its alarm, as a driver does after every input. */
  pump(): void {
    const { flow } = this;
    this.#alarm?.cancel();
    if (flow === undefined) return;
    for (let event = flow.pollEvent(); event !== undefined; event = flow.pollEvent()) {
      this.events.push(event);
      this.host.network.time.trace(`${this.host.name}: ${JSON.stringify(event)}`);
      if (event.type === 'validated' && this.isStranger?.(event.remote.ip) === true) {
        this.violations.push(`${event.remote.ip} was validated`);
      }
      if (event.type === 'lost' && this.findPeer !== undefined) {
        const places = this.findPeer();
        this.amplification.vouchFor(places);
        flow.learnPeerAddresses(this.now, places);
      }
    }
    for (let out = flow.pollTransmit(); out !== undefined; out = flow.pollTransmit()) this.#transmit(out.bytes, out.to);
    const at = flow.pollTimeout();
    if (at === undefined) return;
    this.#alarm = this.host.network.time.at(at, () => {
      this.#alarmsAt = this.#lastAlarm === this.now ? this.#alarmsAt + 1 : 0;
      this.#lastAlarm = this.now;
      if (this.#alarmsAt > MOST_ALARMS_AT_ONCE) throw new Error(`${this.host.name} is due again and again`);
      flow.handleTimeout(this.now);
      this.pump();
    });
  }
}

/** Whether a datagram carries data of the application. */
export function carriesData(bytes: Uint8Array): boolean {
  return bytes[0] === DATAGRAM_TYPE.data || bytes[0] === DATAGRAM_TYPE.openData;
}
