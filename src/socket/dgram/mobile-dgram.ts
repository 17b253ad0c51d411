/**
 * A mobile UDP socket: what stands between node's `dgram.Socket` and its handle. The kernel's socket, its port, and all
 * that node does with it (events, errors, multicast, buffers, ref) stay; only datagrams on their way in and out, and the
 * calls that change where they may come from, pass through here. Datagrams of flows are sealed and opened by a
 * {@link DatagramService}; all others go on as they are.
 *
 * Begins where the socket has been bound and is about to receive; ends with the handle, or where the socket has to be
 * plain again (mobisock is uninstalled, the socket is handed to another process).
 */
import { AsyncResource } from 'node:async_hooks';
import { isIP } from 'node:net';
import { constants } from 'node:os';
import { familyOf, type TransportAddress } from '../../core/address.ts';
import type {
  DatagramPort,
  DatagramService,
  DatagramServiceOptions,
  Initiative,
} from '../../l4mob/io/mobile-datagrams.ts';
import { shielded } from '../application-call.ts';
import { debug } from '../diagnostics.ts';
import type { AddressOut } from '../node-internals.ts';
import { piecesOf, sentStatus } from './datagram-pieces.ts';
import {
  type DgramState,
  type Lookup,
  newHandleLike,
  newSendRequest,
  type RemoteInfo,
  type SendRequest,
  type UdpHandle,
} from './dgram-internals.ts';
import { HandleSettings, SETTERS, type Setter } from './handle-settings.ts';
import { type HandleMethods, HandleShadows } from './handle-shadows.ts';
import { bindAgain, keepPort } from './kept-port.ts';
import { KernelNames } from './kernel-names.ts';
import type { PeerPolicy } from './peer-policy.ts';
import { retireHandle } from './retired-handle.ts';

const REFUSED = -constants.errno.ECONNREFUSED;
const TOO_LARGE = -constants.errno.EMSGSIZE;

/** The peer that the application connected to. */
interface ConnectedPeer {
  readonly name: TransportAddress;
  /** As the kernel was given it. */
  readonly ip: string;
  /** What the kernel said of both ends before it was disconnected; undefined while it is connected. */
  before: { readonly local: AddressOut; readonly remote: AddressOut } | undefined;
}

export interface MobileDgramOptions {
  readonly state: DgramState;
  readonly handle: UdpHandle;
  readonly local: TransportAddress;
  readonly policy: PeerPolicy;
  /** It leaves them when its handle is closed, or the socket plain again. */
  readonly others: { delete(socket: MobileDgram): void };
}

type Unshadowed = Setter | 'recvStart' | 'bind' | 'getSendQueueCount' | 'hasRef' | 'unref';
type Shadowed = Exclude<keyof UdpHandle, Unshadowed> | 'setBroadcast';
type NativeMethods = Pick<UdpHandle, Shadowed | Setter>;

const MOBILE = Symbol('mobile UDP socket');

interface MobileHandle extends UdpHandle {
  [MOBILE]?: MobileDgram | undefined;
}

/** The mobile socket on that handle. */
export function mobileDgramOf(handle: unknown): MobileDgram | undefined {
  if (typeof handle !== 'object' || handle === null) return undefined;
  const socket = (handle as MobileHandle)[MOBILE];
  return socket?.gone === false ? socket : undefined;
}

function of(handle: UdpHandle): MobileDgram {
  return (handle as MobileHandle)[MOBILE] as MobileDgram;
}

/** Many processes have thousands: no function and no map is made for one, unless most of them would need it. */
export class MobileDgram implements DatagramPort, DatagramServiceOptions {
  readonly local: TransportAddress;
  readonly #state: DgramState;
  /** Another one where the kernel's socket had to be changed. */
  #handle: UdpHandle;
  readonly #policy: PeerPolicy;
  readonly #others: { delete(socket: MobileDgram): void };
  readonly #family: 'IPv4' | 'IPv6';
  readonly #names: KernelNames;
  /** Its methods as they were. */
  #native: NativeMethods;
  /** Of a socket whose handle may have to be changed. */
  readonly #settings: HandleSettings | undefined;
  /** Deliveries outside a native call run where the socket was bound. */
  readonly #context = new AsyncResource('MOBISOCKDGRAM');
  readonly #service: DatagramService;
  #peer: ConnectedPeer | undefined;
  #gone = false;
  /** Within `handleDatagram`: what it gives to the application waits here, at most a few datagrams. */
  #handling = false;
  #waiting: (() => void)[] | undefined;

  constructor(options: MobileDgramOptions, open: (options: DatagramServiceOptions) => DatagramService) {
    const { state, handle, local, policy, others } = options;
    this.#state = state;
    this.#handle = handle;
    this.local = local;
    this.#policy = policy;
    this.#others = others;
    this.#family = familyOf(local.ip) === 6 ? 'IPv6' : 'IPv4';
    this.#names = new KernelNames(familyOf(local.ip), state.ipv6Only === true);
    this.#settings = this.#family === 'IPv6' ? new HandleSettings() : undefined;
    this.#service = open(this);
    this.#native = this.#cast(handle);
  }

  get #shadows(): HandleShadows<Shadowed> | HandleShadows<Shadowed | Setter> {
    return this.#settings === undefined ? SHADOWS : NOTING_SHADOWS;
  }

  #cast(handle: UdpHandle): NativeMethods {
    (handle as MobileHandle)[MOBILE] = this;
    // What stands before no setter leaves the setters as they were.
    return this.#shadows.castOn(handle) as NativeMethods;
  }

  #lift(): void {
    this.#shadows.liftFrom(this.#handle, this.#native);
    Reflect.deleteProperty(this.#handle, MOBILE);
  }

  // ---- in the place of the handle's methods --------------------------------------------------------------------------

  static shadows(): HandleMethods<Shadowed> {
    return {
      onmessage: (status, handle, buffer, rinfo) => of(handle).#receive(status, buffer, rinfo),
      send(request, list, count, first, ip, hasCallback) {
        return typeof first === 'number' && ip !== undefined
          ? of(this).#sendTo(request, list, count, first, ip, hasCallback === true)
          : of(this).#sendConnected(request, list, count, first === true);
      },
      connect(ip, port) {
        return of(this).#connect(ip, port);
      },
      disconnect() {
        return of(this).#disconnect();
      },
      close(callback) {
        of(this).#close(callback);
      },
      lookup(address, callback) {
        return of(this).#lookup(address, callback);
      },
      setBroadcast(on) {
        of(this).#policy.broadcast = on !== 0;
        return of(this).#set('setBroadcast', [on]) as number;
      },
      getsockname(out) {
        const { before } = of(this).#peer ?? {};
        return before ? tell(out, before.local) : of(this).#native.getsockname.call(this, out);
      },
      getpeername(out) {
        const { before } = of(this).#peer ?? {};
        return before ? tell(out, before.remote) : of(this).#native.getpeername.call(this, out);
      },
    };
  }

  /** Of sockets whose handle may have to be changed. */
  static notingShadows(): HandleMethods<Shadowed | Setter> {
    const noting = (name: Setter): [Setter, unknown] => [
      name,
      function (this: UdpHandle, ...args: unknown[]): unknown {
        return of(this).#set(name, args);
      },
    ];
    const setters = Object.fromEntries(SETTERS.map(noting)) as Pick<UdpHandle, Setter>;
    return { ...setters, ...MobileDgram.shadows() };
  }

  #set(name: Setter, args: readonly unknown[]): unknown {
    const result: unknown = Reflect.apply(this.#native[name], this.#handle, args);
    this.#settings?.note(name, args, result);
    return result;
  }

  // ---- DatagramServiceOptions ----------------------------------------------------------------------------------------

  get port(): DatagramPort {
    return this;
  }

  initiates(remote: TransportAddress, connected: boolean): Initiative {
    return this.#policy.initiates(remote, connected);
  }

  requires(remote: TransportAddress): boolean {
    return this.#policy.requires(remote);
  }

  accepts(ip: string): boolean {
    return this.#policy.accepts(ip);
  }

  // ---- DatagramPort --------------------------------------------------------------------------------------------------

  transmit(bytes: Uint8Array, to: TransportAddress): void {
    if (this.#gone) return;
    const peer = this.#peer;
    if (peer === undefined || peer.before !== undefined) {
      const ip = this.#names.addressOf(to.ip);
      if (ip !== undefined) this.#put(newSendRequest(), [bytes], to.port, ip, false);
      return;
    }
    if (!isSame(to, peer.name)) return;
    // The kernel answers with the error of an earlier datagram in place of sending this one. The application hears of it
    // later, for it may answer with any call.
    const status = this.#put(newSendRequest(), [bytes], false);
    if (status !== REFUSED) return;
    process.nextTick(() => this.#give(() => this.#fail(REFUSED)));
    this.#put(newSendRequest(), [bytes], false);
  }

  deliver(bytes: Buffer, from: TransportAddress): void {
    const address = this.#names.addressOf(from.ip) ?? from.ip;
    const rinfo: RemoteInfo = { address, family: this.#family, port: from.port };
    this.#give(() => this.#native.onmessage.call(this.#handle, bytes.length, this.#handle, bytes, rinfo));
  }

  openToAll(): void {
    const peer = this.#peer;
    if (this.#gone || peer === undefined || peer.before !== undefined) return;
    const { getpeername, disconnect } = this.#native;
    const local = this.#socketName();
    const remote: AddressOut = {};
    getpeername.call(this.#handle, remote);
    const status = disconnect.call(this.#handle);
    if (status !== 0) {
      debug('a UDP socket could not be opened to all: error %d', status);
      return;
    }
    peer.before = { local, remote };
    const { port = 0 } = local;
    // Linux (6.18 still) goes on comparing the sources of IPv6 datagrams with the peer that a socket had.
    if (this.#family === 'IPv6') this.#renew(port);
    else keepPort(this.#handle, this.#state, this.#socketName(), port);
  }

  closeToOthers(): void {
    const peer = this.#peer;
    if (this.#gone || peer?.before === undefined) return;
    // Without a route the socket stays open to all, and `#admits` goes on to keep strangers out.
    if (this.#native.connect.call(this.#handle, peer.ip, peer.name.port) === 0) this.#kernelAnswers(peer);
  }

  refused(): void {
    this.#give(() => this.#native.onmessage.call(this.#handle, REFUSED, this.#handle));
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  get gone(): boolean {
    return this.#gone;
  }

  get flows(): number {
    return this.#service.flows;
  }

  /** The socket goes on as node's own: its flows end, and the handle is as it was. */
  makePlain(): void {
    if (this.#gone) return;
    this.#end();
    const peer = this.#peer;
    if (peer?.before !== undefined) this.#native.connect.call(this.#handle, peer.ip, peer.name.port);
    this.#lift();
  }

  #close(callback: (() => void) | undefined): void {
    if (!this.#gone) this.#end();
    this.#native.close.call(this.#handle, callback);
  }

  #end(): void {
    this.#service.close();
    this.#gone = true;
    this.#others.delete(this);
  }

  // ---- in ------------------------------------------------------------------------------------------------------------

  #receive(status: number, buffer: Buffer | null | undefined, rinfo: RemoteInfo | null | undefined): void {
    if (status < 0 || !buffer || !rinfo) return this.#fail(status);
    const from = this.#names.nameOf(rinfo.address, rinfo.port);
    if (from === undefined || this.#gone)
      return this.#native.onmessage.call(this.#handle, status, this.#handle, buffer, rinfo);
    this.#handling = true;
    let handled: boolean;
    try {
      handled = this.#service.handleDatagram(buffer, from);
    } finally {
      this.#handling = false;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) for (const call of waiting) if (!this.#gone) shielded(call);
    if (!handled && this.#admits(from)) this.#native.onmessage.call(this.#handle, status, this.#handle, buffer, rinfo);
  }

  /** Once the kernel lets everything in, what node would not have heard on a connected socket is left out here. */
  #admits(from: TransportAddress): boolean {
    if (this.#gone || this.#policy.requires(from)) return false;
    const peer = this.#peer;
    if (peer?.before === undefined) return true;
    return isSame(from, peer.name);
  }

  #fail(status: number): void {
    if (this.#peer !== undefined && !this.#gone && this.#service.handleUnreachable()) return;
    this.#native.onmessage.call(this.#handle, status, this.#handle);
  }

  #give(call: () => void): void {
    if (this.#gone) return;
    if (this.#handling) {
      this.#waiting ??= [];
      this.#waiting.push(call);
    } else shielded(() => this.#context.runInAsyncScope(call));
  }

  // ---- out -----------------------------------------------------------------------------------------------------------

  #sendTo(
    request: SendRequest,
    list: readonly ArrayBufferView[],
    count: number,
    port: number,
    ip: string,
    hasCallback: boolean,
  ): number {
    const to = this.#gone ? undefined : this.#names.nameOf(ip, port);
    const outgoing = to && this.#service.send(piecesOf(list), to);
    if (to !== undefined && outgoing === undefined && this.#policy.requires(to)) return sentStatus(list);
    if (outgoing === undefined)
      return this.#native.send.call(this.#handle, request, list, count, port, ip, hasCallback);
    return this.#sendSealed(request, list, outgoing, hasCallback);
  }

  #sendConnected(request: SendRequest, list: readonly ArrayBufferView[], count: number, hasCallback: boolean): number {
    const peer = this.#peer;
    const { send } = this.#native;
    if (peer === undefined || this.#gone) return send.call(this.#handle, request, list, count, hasCallback);
    const outgoing = this.#service.send(piecesOf(list), peer.name);
    if (outgoing !== undefined) return this.#sendSealed(request, list, outgoing, hasCallback);
    if (this.#policy.requires(peer.name)) return sentStatus(list);
    return peer.before === undefined
      ? send.call(this.#handle, request, list, count, hasCallback)
      : send.call(this.#handle, request, list, count, peer.name.port, peer.ip, hasCallback);
  }

  /**
   * The application is told of its own bytes. Where the network doesn't take them, this is a loss: the flow finds another
   * way, and a plain socket would not have known either. That a datagram is too large is the application's to know.
   */
  #sendSealed(
    request: SendRequest,
    list: readonly ArrayBufferView[],
    outgoing: Exclude<ReturnType<DatagramService['send']>, undefined>,
    hasCallback: boolean,
  ): number {
    const done = sentStatus(list);
    if (outgoing === 'dropped') return done;
    if (outgoing === 'too-long') return TOO_LARGE;
    const { bytes, to } = outgoing;
    const ip = this.#names.addressOf(to.ip);
    if (ip === undefined) return done;
    const connectedTo = this.#peer?.before === undefined ? this.#peer?.name : undefined;
    if (connectedTo !== undefined && !isSame(to, connectedTo)) return done;
    const status = connectedTo
      ? this.#put(request, [bytes], hasCallback)
      : this.#put(request, [bytes], to.port, ip, hasCallback);
    if (status === TOO_LARGE) return status;
    if (status !== 0) return done;
    const { oncomplete } = request;
    if (oncomplete !== undefined) {
      request.oncomplete = function (result) {
        oncomplete.call(this, result === TOO_LARGE ? result : 0, done - 1);
      };
    }
    return 0;
  }

  #put(request: SendRequest, list: readonly Uint8Array[], hasCallback: boolean): number;
  #put(request: SendRequest, list: readonly Uint8Array[], port: number, ip: string, hasCallback: boolean): number;
  #put(request: SendRequest, list: readonly Uint8Array[], ...where: [boolean] | [number, string, boolean]): number {
    request.list = list;
    // The number of arguments is what tells the handle whether there is an address.
    const send = this.#native.send as (...args: unknown[]) => number;
    return send.call(this.#handle, request, list, list.length, ...where);
  }

  // ---- whom with -----------------------------------------------------------------------------------------------------

  #lookup(address: string | undefined, callback: Parameters<Lookup>[1]): unknown {
    const { lookup } = this.#native;
    if (!address || isIP(address) !== 0) return lookup.call(this.#handle, address, callback);
    return lookup.call(this.#handle, address, (error, ip, ...rest) => {
      const name = error === null ? this.#names.canonical(ip) : undefined;
      if (name !== undefined) this.#policy.lookedUp(address, name);
      callback(error, ip, ...rest);
    });
  }

  #connect(ip: string, port: number): number {
    const status = this.#native.connect.call(this.#handle, ip, port);
    const name = this.#gone ? undefined : this.#names.canonical(ip);
    if (status !== 0 || name === undefined) return status;
    const remote = { ip: name, port };
    this.#peer = { name: remote, ip, before: undefined };
    this.#service.connected(remote, this.#policy.hostOf(name));
    return status;
  }

  #disconnect(): number {
    const opened = this.#peer?.before !== undefined;
    const status = opened ? 0 : this.#native.disconnect.call(this.#handle);
    if (status !== 0 || this.#peer === undefined) return status;
    this.#kernelAnswers(this.#peer);
    this.#peer = undefined;
    if (!this.#gone) this.#service.disconnected();
    return status;
  }

  /** The kernel itself answers for both ends. */
  #kernelAnswers(peer: ConnectedPeer): void {
    peer.before = undefined;
  }

  /** Another socket of the kernel on the same port, in the place of one that was disconnected. */
  #renew(port: number): void {
    const former = this.#handle;
    const { address = '', port: left = 0 } = this.#socketName();
    this.#lift();
    const next = this.#context.runInAsyncScope(newHandleLike, undefined, former);
    this.#handle = next;
    this.#state.handle = next;
    if (!former.hasRef()) next.unref();
    // A port that the application asked for is not given back before. What waits there is lost then.
    if (left === 0) this.#retire(former);
    else former.close();
    bindAgain(next, this.#state, address, port);
    this.#settings?.applyTo(next);
    this.#native = this.#cast(next);
    next.recvStart();
  }

  #retire(former: UdpHandle): void {
    const isWanted = (): boolean => this.#state.handle === this.#handle;
    retireHandle(former, (status, _handle, buffer, rinfo) => this.#receive(status, buffer, rinfo), isWanted);
  }

  #socketName(): AddressOut {
    const out: AddressOut = {};
    this.#native.getsockname.call(this.#handle, out);
    return out;
  }
}

const SHADOWS = new HandleShadows(MobileDgram.shadows());
const NOTING_SHADOWS = new HandleShadows(MobileDgram.notingShadows());

function isSame(a: TransportAddress, b: TransportAddress): boolean {
  return a.port === b.port && a.ip === b.ip;
}

function tell(out: AddressOut, address: AddressOut): number {
  Object.assign(out, address);
  return 0;
}
