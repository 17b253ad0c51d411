/**
 * The few parts of node's `dgram` internals that mobile datagrams rest on, found at run time and checked before use: the
 * state of a socket, behind its `state symbol`, and the UDP handle in it. Node's own JavaScript does everything that an
 * application can see; the handle only moves datagrams. So mobility lives at the handle, as it does for streams.
 *
 * The same in node 20, 22, 24 and 26.
 */
import type dgram from 'node:dgram';
import { constants } from 'node:os';
import { nodeBinding } from '../../host/node-binding.ts';
import type { AddressOut } from '../node-internals.ts';

/** SendWrap. */
export interface SendRequest {
  oncomplete?: (this: SendRequest, status: number, sent: number) => void;
  /** Keeps the memory until it is sent. */
  list?: readonly ArrayBufferView[];
  /** Made here, not by node for a `send` of the application. */
  isOurs?: true;
}

/** `rinfo` before node adds the size. */
export interface RemoteInfo {
  address: string;
  family: 'IPv4' | 'IPv6';
  port: number;
}

export type OnMessage = (
  this: UdpHandle,
  status: number,
  handle: UdpHandle,
  buffer?: Buffer,
  rinfo?: RemoteInfo,
) => void;

export type Lookup = (
  address: string | undefined,
  callback: (error: Error | null, ip: string, ...rest: unknown[]) => void,
) => unknown;

/** UDPWrap, as far as it is used here. A udp6 socket has its `bind6`, `connect6`, `send6` under the short names. */
export interface UdpHandle {
  onmessage: OnMessage;
  lookup: Lookup;
  recvStart(): number;
  bind(ip: string, port: number, flags: number): number;
  connect(ip: string, port: number): number;
  disconnect(): number;
  getsockname(out: AddressOut): number;
  getpeername(out: AddressOut): number;
  setBroadcast(on: number): number;
  setTTL(hops: number): number;
  setMulticastTTL(hops: number): number;
  setMulticastLoopback(on: number): number;
  setMulticastInterface(address: string): number;
  addMembership(group: string, onInterface?: string): number;
  dropMembership(group: string, onInterface?: string): number;
  addSourceSpecificMembership(source: string, group: string, onInterface?: string): number;
  dropSourceSpecificMembership(source: string, group: string, onInterface?: string): number;
  /** Which: true receives, false sends. A size of 0 asks. Undefined: an error, which `context` says. */
  bufferSize(size: number, which: boolean, context: object): number | undefined;
  getSendQueueCount(): number;
  hasRef(): boolean;
  unref(): void;
  close(callback?: () => void): void;
  /**
   * Negative: an error; 0: `request` will tell; above: sent, one more than the bytes. Two shapes: with port, address and
   * whether there is a callback; on a connected socket, only with the last.
   */
  send(
    request: SendRequest,
    list: readonly ArrayBufferView[],
    count: number,
    portOrHasCallback: number | boolean,
    ip?: string,
    hasCallback?: boolean,
  ): number;
}

/** What a `dgram.Socket` keeps behind its state symbol. */
export interface DgramState {
  handle: UdpHandle | null;
  connectState?: number;
  reuseAddr?: boolean;
  /** Node 22 and later. */
  reusePort?: boolean;
  ipv6Only?: boolean;
}

/** `connectState` between a call of `connect` and what comes of it. */
export const CONNECTING = 1;

interface UdpBinding {
  readonly UDP: new () => UdpHandle;
  readonly SendWrap: new () => SendRequest;
  readonly constants?: { readonly UV_UDP_IPV6ONLY?: number; readonly UV_UDP_REUSEPORT?: number };
}

const HANDLE_METHODS = [
  'recvStart',
  'lookup',
  'bind',
  'connect',
  'disconnect',
  'getsockname',
  'getpeername',
  'setBroadcast',
  'getSendQueueCount',
  'hasRef',
  'unref',
  'close',
  'send',
] as const satisfies readonly (keyof UdpHandle)[];

let stateSymbol: symbol | undefined;
let binding: UdpBinding | undefined;

/** The state of a socket, or in words what is missing. */
export function dgramState(socket: dgram.Socket): DgramState | string {
  stateSymbol ??= Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  if (stateSymbol === undefined) return 'UDP sockets have no state symbol';
  const state = (socket as unknown as Record<symbol, DgramState | undefined>)[stateSymbol];
  if (state === undefined) return 'a UDP socket has no state';
  const { handle } = state;
  const missing = handle && HANDLE_METHODS.find((name) => typeof handle[name] !== 'function');
  return missing ? `UDP handles have no ${missing}` : state;
}

/** The handle of a socket, of any that has one. */
export function udpHandleOf(socket: object): unknown {
  if (stateSymbol === undefined) return undefined;
  return (socket as Record<symbol, DgramState | undefined>)[stateSymbol]?.handle;
}

/** A handle that node takes for `handle`: not bound yet. What was put on `handle` in our place has to be off it. */
export function newHandleLike(handle: UdpHandle): UdpHandle {
  binding ??= nodeBinding<UdpBinding>('udp_wrap');
  const next = new binding.UDP();
  Object.setPrototypeOf(next, Object.getPrototypeOf(handle) as object);
  Object.defineProperties(next, Object.getOwnPropertyDescriptors(handle));
  return next;
}

/** Throws where node's bindings are hidden. */
export function newSendRequest(): SendRequest {
  binding ??= nodeBinding<UdpBinding>('udp_wrap');
  const request = new binding.SendWrap();
  request.isOurs = true;
  return request;
}

/** The flags that node binds such a socket with. */
export function bindFlags({ reuseAddr, reusePort, ipv6Only }: DgramState): number {
  binding ??= nodeBinding<UdpBinding>('udp_wrap');
  const { UV_UDP_IPV6ONLY = 0, UV_UDP_REUSEPORT = 0 } = binding.constants ?? {};
  return (
    (reuseAddr === true ? constants.UV_UDP_REUSEADDR : 0) |
    (reusePort === true ? UV_UDP_REUSEPORT : 0) |
    (ipv6Only === true ? UV_UDP_IPV6ONLY : 0)
  );
}
