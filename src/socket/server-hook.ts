/**
 * Incoming sessions: what stands in for `net.Server.prototype._listen2`, which every way of listening ends in. Beside
 * the listener the endpoint takes sessions for the same address and port; each comes to the application through node's
 * own `onconnection`, so limits, events, counters and options are node's.
 *
 * Ends with the server's handle. Sessions that run go on, as accepted connections do.
 */
import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import { familyOf, type TransportAddress } from '../core/address.ts';
import type { MobileStream } from '../l4mob/io/mobile-stream.ts';
import { shielded } from './application-call.ts';
import type { Layer } from './layer.ts';
import { mobileHandleClass } from './mobile-handle.ts';
import { type ServerInside, serverInside } from './node-internals.ts';

export type Listen = (this: net.Server, ...args: unknown[]) => net.Server;
export type Listen2 = (this: net.Server, ...args: unknown[]) => unknown;

/** UV_TCP_IPV6ONLY. */
const IPV6_ONLY = 1;

type ListenerHandle = NonNullable<ServerInside['_handle']>;

/** Came through the public `listen`: the endpoint's own servers do not, and must not be taken for the application's. */
const byApplication = new WeakSet<net.Server>();

export function mobileListen(native: Listen): Listen {
  return function listen(this: net.Server, ...args: unknown[]): net.Server {
    byApplication.add(this);
    return native.apply(this, args);
  };
}

export function mobileListen2(layer: Layer, native: Listen2): Listen2 {
  return function _listen2(this: net.Server, ...args: unknown[]): unknown {
    const result = native.apply(this, args);
    // (address, port, addressType, backlog, fd, flags)
    const flags = typeof args[5] === 'number' ? args[5] : 0;
    if (layer.enabled && byApplication.has(this)) listenForSessions(layer, this, (flags & IPV6_ONLY) !== 0);
    return result;
  };
}

/** Takes sessions for a server that has just begun to listen, if the policy wants it. */
export function listenForSessions(layer: Layer, server: net.Server, ipv6Only: boolean): void {
  const handle = serverInside(server)._handle;
  if (!handle?.getsockname) return;
  const { address, port } = addressOf(handle);
  if (address === undefined || port === undefined || port === 0) return;
  const policy = layer.policy.listener({ address, port });
  if (policy.mobility === 'off') return;
  const { onconnection } = handle;
  if (policy.mobility === 'require') turnAwayPlain(handle);
  const endpoint = layer.endpoint();
  const internals = layer.internals();
  if (endpoint === undefined || internals === undefined || onconnection === undefined) return;
  const context = new AsyncResource('MOBISOCKLISTEN');
  const listening = endpoint.listen({
    address,
    port,
    ...(ipv6Only ? { ipv6Only } : {}),
    accepts: (ip) => layer.policy.acceptsFrom(policy, ip),
    onSession: (stream) => {
      shielded(() =>
        context.runInAsyncScope(() => {
          if (serverInside(server)._handle !== handle) return stream.reset();
          const mobile = new (mobileHandleClass(internals))();
          mobile.attach(stream, namesFor(handle, stream));
          onconnection.call(handle, 0, mobile);
        }),
      );
    },
  });
  const { close } = handle;
  let stop = (): void => {
    stop = () => {};
    listening.close();
  };
  Object.defineProperty(handle, 'close', {
    configurable: true,
    writable: true,
    value: (callback?: () => void) => {
      stop();
      return close.call(handle, callback);
    },
  });
  // A cluster's primary listens only to hand connections on: at 'listening' it takes the handle away from the server.
  // The workers have sessions of their own.
  process.nextTick(() => {
    if (serverInside(server)._handle !== handle) stop();
  });
}

/** `require`: who comes without a session is reset, as by a port that nobody serves. */
function turnAwayPlain(handle: ListenerHandle): void {
  const { onconnection } = handle;
  handle.onconnection = (status, client) => {
    if (status !== 0 || client === undefined) onconnection?.call(handle, status, client);
    else {
      const { reset, close } = client as { reset?: () => void; close(): void };
      if (reset === undefined) close.call(client);
      else reset.call(client);
    }
  };
}

/** A dual-stack listener knows its IPv4 peers by mapped addresses. */
function namesFor(
  listener: ListenerHandle,
  { local, remote }: MobileStream,
): { local: TransportAddress; remote: TransportAddress } {
  if (familyOf(addressOf(listener).address ?? '') !== 6) return { local, remote };
  return { local: mapped(local), remote: mapped(remote) };
}

function mapped(address: TransportAddress): TransportAddress {
  return familyOf(address.ip) === 6 ? address : { ip: `::ffff:${address.ip}`, port: address.port };
}

function addressOf(handle: ListenerHandle): { address?: string; port?: number } {
  const out: { address?: string; port?: number } = {};
  return handle.getsockname(out) === 0 || out.port !== undefined ? out : {};
}
