/** A socket of an application with a datagram service, without anything that intercepts: the thinnest port there is. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import type { TransportAddress } from '../../../src/core/address.ts';
import { formatTransportAddress } from '../../../src/core/address.ts';
import type {
  DatagramEndpoint,
  DatagramService,
  DatagramServiceOptions,
} from '../../../src/l4mob/io/mobile-datagrams.ts';
import { mayBeFlowDatagram } from '../../../src/l4mob/wire/datagram.ts';
import { signalTypeOf } from '../../../src/l4mob/wire/signal-header.ts';

export interface Received {
  readonly text: string;
  readonly from: string;
}

export type SocketRules = Partial<Pick<DatagramServiceOptions, 'initiates' | 'requires' | 'accepts'>>;

export class DatagramSocket {
  readonly #socket: dgram.Socket;
  /** As it is bound first, and also when it no longer is. */
  readonly address: TransportAddress;
  /** Plain where there is none. */
  readonly #service: DatagramService | undefined;
  readonly received: Received[] = [];
  /** What came on the wire, and the first byte of what went. */
  readonly arrived: Buffer[] = [];
  /** Where each of those came from. */
  readonly sources: string[] = [];
  readonly sent: { readonly bytes: Uint8Array; readonly to: string }[] = [];
  readonly calls: string[] = [];
  /** Where its packets leave from, as a NAT that has forgotten would have it. */
  #via: dgram.Socket;
  #waiting: (() => void)[] = [];
  #hold: ((bytes: Buffer) => void) | undefined;
  #held: Buffer[] | undefined;
  #closed = false;
  #crashed = false;
  onMessage: ((received: Received) => void) | undefined;

  static async open(endpoint?: DatagramEndpoint, rules: SocketRules = {}, port = 0): Promise<DatagramSocket> {
    const socket = await bound(port);
    return new DatagramSocket(socket, endpoint, rules);
  }

  private constructor(socket: dgram.Socket, endpoint: DatagramEndpoint | undefined, rules: SocketRules) {
    this.#socket = socket;
    this.#via = socket;
    const local = addressOf(socket);
    this.address = local;
    this.#service = endpoint?.openDatagrams({
      initiates: () => 'answered',
      accepts: () => true,
      ...rules,
      port: {
        local,
        transmit: (bytes, to) => this.#transmit(bytes, to),
        deliver: (bytes, from) => this.#deliver(bytes, from),
        openToAll: () => void this.calls.push('openToAll'),
        closeToOthers: () => void this.calls.push('closeToOthers'),
        refused: () => {
          this.calls.push('refused');
          this.#wake();
        },
      },
    });
    this.#listen(socket);
  }

  get flows(): number {
    return this.#service?.flows ?? 0;
  }

  get service(): DatagramService {
    if (this.#service === undefined) throw new Error('a plain socket');
    return this.#service;
  }

  send(text: string, to: TransportAddress): 'sent' | 'dropped' | 'too-long' {
    const bytes = Buffer.from(text);
    const outgoing = this.#service?.send([bytes], to);
    if (typeof outgoing === 'string') return outgoing;
    this.#transmit(outgoing?.bytes ?? bytes, outgoing?.to ?? to);
    return 'sent';
  }

  /** Past its service. */
  async sendRaw(text: string | Uint8Array, to: TransportAddress): Promise<void> {
    await new Promise<void>((resolve) => this.#via.send(text, to.port, to.ip, () => resolve()));
  }

  /** The next packet of a flow that it sends does not go out; it is the caller's. */
  holdNext(): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#hold = resolve;
    });
  }

  /** From now on the packets of its flows don't go out, but there. */
  holdFlows(held: Buffer[]): void {
    this.#held = held;
  }

  /** From now on its packets leave from, and arrive at, another port. Resolves to that address. */
  async rebind(): Promise<TransportAddress> {
    const next = await bound(0);
    const last = this.#via;
    last.removeAllListeners('message');
    this.#listen(next);
    this.#via = next;
    if (last !== this.#socket) last.close();
    return addressOf(next);
  }

  /** Gives up its first port, after a rebinding: somebody else may have it now. */
  async leavePort(): Promise<void> {
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The next datagram that is not one of those before. */
  async next(): Promise<Received> {
    const count = this.received.length;
    await this.until(() => this.received.length > count);
    return this.received[count] as Received;
  }

  get signals(): number {
    return this.arrived.filter((bytes) => signalTypeOf(bytes) !== undefined).length;
  }

  /** `crash`: without a word to anybody. */
  async close(how: 'orderly' | 'crash' = 'orderly'): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#crashed = how === 'crash';
    if (how === 'orderly') this.#service?.close();
    const sockets = new Set([this.#socket, this.#via]);
    await Promise.all([...sockets].map((socket) => closeSocket(socket)));
  }

  #listen(socket: dgram.Socket): void {
    socket.on('message', (bytes, from) => {
      if (this.#closed) return;
      this.arrived.push(bytes);
      const source = { ip: from.address, port: from.port };
      this.sources.push(formatTransportAddress(source));
      if (this.#service?.handleDatagram(bytes, source) !== true) this.#deliver(bytes, source);
      this.#wake();
    });
  }

  #transmit(bytes: Uint8Array, to: TransportAddress): void {
    if (this.#crashed) return;
    if (this.#hold !== undefined) {
      this.#hold(Buffer.from(bytes));
      this.#hold = undefined;
      return;
    }
    if (this.#held !== undefined && mayBeFlowDatagram(bytes)) {
      this.#held.push(Buffer.from(bytes));
      return this.#wake();
    }
    this.sent.push({ bytes, to: formatTransportAddress(to) });
    this.#via.send(bytes, to.port, to.ip, () => {});
  }

  #deliver(bytes: Buffer, from: TransportAddress): void {
    const received = { text: bytes.toString('latin1'), from: formatTransportAddress(from) };
    this.received.push(received);
    this.onMessage?.(received);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** At once, so that what is sent goes out before the socket closes. */
const literally: NonNullable<dgram.SocketOptions['lookup']> = (ip, _options, callback) => callback(null, ip, 4);

async function bound(port: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket({ type: 'udp4', lookup: literally });
  const listening = once(socket, 'listening');
  socket.bind(port, '127.0.0.1');
  await listening;
  return socket;
}

async function closeSocket(socket: dgram.Socket): Promise<void> {
  try {
    socket.close();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING') throw error;
    return; // its port was left before
  }
  await once(socket, 'close');
}

function addressOf(socket: dgram.Socket): TransportAddress {
  const { address, port } = socket.address();
  return { ip: address, port };
}
