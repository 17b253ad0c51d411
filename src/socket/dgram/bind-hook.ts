/**
 * What stands in for `dgram.Socket.prototype.bind` (and `bindSync`), which every way of using a UDP socket comes by: an
 * implicit bind by `send` or `connect`, `bind({ fd })`, and plain binds. The policy is asked here; a socket that it
 * leaves alone is not touched. One that may be mobile is looked at again when it begins to receive, for only then is it
 * known what it is bound to.
 *
 * Handles that were given to the socket (`cluster`, `child.send`) are shared with other processes, and stay plain.
 */
import type dgram from 'node:dgram';
import { canonicalAddress, familyOf } from '../../core/address.ts';
import type { DatagramService, DatagramServiceOptions } from '../../l4mob/io/mobile-datagrams.ts';
import type { Layer } from '../layer.ts';
import type { AddressOut } from '../node-internals.ts';
import { resolveAnycast } from './anycast-dgram.ts';
import type { DgramState, UdpHandle } from './dgram-internals.ts';
import { HandleShadows } from './handle-shadows.ts';
import { MobileDgram } from './mobile-dgram.ts';
import { PeerPolicy } from './peer-policy.ts';

export type Bind<Result> = (this: dgram.Socket, ...args: unknown[]) => Result;

/** A process that cannot have flows and has a policy that wants them. */
const NO_FLOWS: DatagramService = {
  handleDatagram: () => false,
  handleUnreachable: () => false,
  send: () => undefined,
  connected: () => {},
  disconnected: () => {},
  flows: 0,
  close: () => {},
};

/** What to do when a handle is about to receive. */
const awaiting = new WeakMap<UdpHandle, () => void>();
const BEGINNING = new HandleShadows({
  recvStart() {
    const begin = awaiting.get(this);
    awaiting.delete(this);
    begin?.();
    return this.recvStart();
  },
});

export function mobileBind<Result>(layer: Layer, native: Bind<Result>): Bind<Result> {
  return function bind(this: dgram.Socket, ...args: unknown[]): Result {
    if (layer.enabled) {
      const { port, address } = bindArguments(this, args);
      // An application that binds UDP on a port where only our companion sits comes first.
      if (port !== undefined && port > 0) layer.madeEndpoint?.yieldUdpPort(port);
      if (layer.knowsAnycast || layer.policy.mayHaveFlows(address)) awaitReceiving(layer, this);
    }
    return native.apply(this, args);
  };
}

/** Undefined stands for what is not known before the call. */
interface BindArguments {
  readonly port?: number;
  readonly address?: string;
}

function bindArguments(socket: dgram.Socket, args: readonly unknown[]): BindArguments {
  const [first, second] = args;
  const options = typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : undefined;
  if (options !== undefined && (typeof options.recvStart === 'function' || Number(options.fd) > 0)) return {};
  const port = options === undefined ? first : options.port;
  const given = options === undefined ? second : options.address;
  const asked = typeof given === 'string' && given !== '' ? given : wildcard(socket);
  const address = canonicalAddress(asked);
  return { ...(typeof port === 'number' ? { port } : {}), ...(address === undefined ? {} : { address }) };
}

function wildcard(socket: dgram.Socket): string {
  return (socket as unknown as { type: dgram.SocketType }).type === 'udp4' ? '0.0.0.0' : '::';
}

function awaitReceiving(layer: Layer, socket: dgram.Socket): void {
  const state = layer.dgramState(socket);
  const handle = state?.handle;
  // Awaited already: an earlier bind failed.
  if (state === undefined || !handle || awaiting.has(handle)) return;
  const native = BEGINNING.castOn(handle);
  awaiting.set(handle, () => {
    BEGINNING.liftFrom(handle, native);
    if (!layer.enabled) return;
    // Mobility comes above it.
    if (layer.knowsAnycast) resolveAnycast(layer, state, handle);
    makeMobile(layer, state, handle);
  });
}

function makeMobile(layer: Layer, state: DgramState, handle: UdpHandle): void {
  const { policy } = layer;
  const bound: AddressOut = {};
  // A descriptor that somebody has connected already is not understood by node either.
  if (handle.getsockname(bound) !== 0 || handle.getpeername({}) === 0) return;
  const ip = canonicalAddress(bound.address ?? '');
  if (ip === undefined || bound.port === undefined || (familyOf(bound.address ?? '') === 6) !== (familyOf(ip) === 6)) {
    return;
  }
  const local = { ip, port: bound.port };
  const listener = policy.listener({ address: ip, port: local.port });
  if (listener.mobility === 'off' && !policy.mayOpenFlows(ip)) return;
  const open = opener(layer);
  if (open === undefined) return;
  const { mobileDatagrams } = layer;
  const options = {
    state,
    handle,
    local,
    policy: new PeerPolicy(policy, listener),
    others: mobileDatagrams,
  };
  mobileDatagrams.add(new MobileDgram(options, open));
}

function opener(layer: Layer): ((options: DatagramServiceOptions) => DatagramService) | undefined {
  const endpoint = layer.endpoint();
  if (endpoint !== undefined) return (options) => endpoint.openDatagrams(options);
  return layer.policy.mayRequireFlows ? () => NO_FLOWS : undefined;
}
