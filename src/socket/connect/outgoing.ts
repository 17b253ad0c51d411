/**
 * Outgoing connections: what stands in for `net.Socket.prototype.connect`. It asks the policy and what is known of the
 * destination, and passes the call on to node, in the common case untouched; only where a session may come of it does
 * a {@link ConnectRace} stand between node and the handle.
 */
import net from 'node:net';
import type { Resolver } from '../../aarp/resolution.ts';
import { alternateFamilies, canonicalAddress } from '../../core/address.ts';
import type { Layer, Mobility } from '../layer.ts';
import { inside } from '../node-internals.ts';
import { AnycastConnect, type RaceHandlers } from './anycast-connect.ts';
import {
  type ConnectTarget,
  connectTarget,
  type Lookup,
  type LookupCallback,
  withLookup,
} from './connect-arguments.ts';
import { ConnectRace } from './connect-race.ts';
import { orderedLookup } from './ordered-lookup.ts';

export type Connect = (this: net.Socket, ...args: unknown[]) => net.Socket;

/** The stand-in for `native`. After `layer.enabled` turns false it only passes on. */
export function mobileConnect(layer: Layer, native: Connect): Connect {
  return function connect(this: net.Socket, ...args: unknown[]): net.Socket {
    const target = layer.enabled && !isTaken(this) ? connectTarget(args) : undefined;
    if (target === undefined) return native.apply(this, args);
    return target.literal === 0
      ? connectByName(layer, native, this, target, args)
      : connectByAddress(layer, native, this, target, args);
  };
}

/** Has a handle that somebody else made (fd, handle), or is connecting already. TLS makes its own beforehand. */
function isTaken(socket: net.Socket): boolean {
  const { _handle, _parent, connecting } = inside(socket);
  if (socket.destroyed) return false;
  if (_parent?.connecting) return true;
  if (_handle === null || _handle === undefined) return connecting;
  return _handle._parent === undefined || _handle._parentWrap != null;
}

function connectByAddress(
  layer: Layer,
  native: Connect,
  socket: net.Socket,
  target: ConnectTarget,
  args: unknown[],
): net.Socket {
  const between = betweenNodeAnd(layer, socket, target, [target.host], 1);
  const result = native.apply(socket, args);
  // Node calls the handle in the next tick.
  if (socket.connecting && !socket.destroyed) between?.arm();
  return result;
}

function connectByName(
  layer: Layer,
  native: Connect,
  socket: net.Socket,
  target: ConnectTarget,
  args: unknown[],
): net.Socket {
  const { host, port, options } = target;
  const isOff = !layer.knowsAnycast && layer.policy.outgoingByName(host, port) === 'off';
  if (isOff || isLocal(layer, host, port)) return native.apply(socket, args);
  const lookup: Lookup = (name, lookupOptions, callback) => {
    const answered: LookupCallback = function (this: unknown, error, answer, family) {
      if (!error && socket.connecting && !socket.destroyed) {
        const found = addressesOf(answer, lookupOptions.all === true);
        betweenNodeAnd(layer, socket, target, found, lookupOptions.all === true ? found.length : 1)?.arm();
      }
      return callback.call(this, error, answer, family);
    };
    return lookupOf(layer, target)(name, lookupOptions, answered);
  };
  return native.apply(socket, target.rearranged(withLookup(options, lookup)));
}

/** A lookup of the application's own keeps its order, and so do addresses for a socket that has a local one. */
function lookupOf({ addressOrder }: Layer, { options }: ConnectTarget): Lookup {
  const nodes = process.getBuiltinModule('node:dns').lookup as unknown as Lookup;
  const lookup = (options.lookup ?? nodes) as Lookup;
  if (addressOrder === undefined || lookup !== nodes || options.localAddress) return lookup;
  return orderedLookup(lookup, addressOrder);
}

/** `localhost` is loopback by definition (RFC 6761), so its policy is known before it is resolved. */
function isLocal({ policy }: Layer, host: string, port: number): boolean {
  return (
    host === 'localhost' &&
    policy.outgoing({ host, address: '127.0.0.1', port }) === 'off' &&
    policy.outgoing({ host, address: '::1', port }) === 'off'
  );
}

/** What stands between node and the handle; undefined where the connect is node's alone. */
function betweenNodeAnd(
  layer: Layer,
  socket: net.Socket,
  target: ConnectTarget,
  found: readonly string[],
  plainAttempts: number,
): { arm(): void } | undefined {
  const named = found.filter((address) => layer.mayBeAnycast(address));
  const resolverFor = (address: string): Resolver | undefined => layer.resolverFor(address);
  const isResolved = named.some((address) => resolverFor(canonicalAddress(address) ?? address) !== undefined);
  const internals = isResolved ? layer.internals() : undefined;
  if (internals === undefined) return chooseRace(layer, socket, target, found, plainAttempts);
  const host = target.literal === 0 ? target.host : undefined;
  return new AnycastConnect({
    socket,
    internals,
    resolverFor,
    mustBeMobile: (address) => layer.policy.outgoing({ host, address, port: target.port }) === 'require',
    race: (asked, destination, handlers) => chooseRace(layer, socket, target, [destination], 1, { asked, ...handlers }),
  });
}

/**
 * A race where a session may come of it. The policy is that of the address that was `asked` for, where another one
 * answers for it.
 */
function chooseRace(
  layer: Layer,
  socket: net.Socket,
  target: ConnectTarget,
  found: readonly string[],
  plainAttempts: number,
  { asked, ...handlers }: { asked?: string } & Partial<RaceHandlers> = {},
): ConnectRace | undefined {
  const { port } = target;
  const host = target.literal === 0 ? target.host : undefined;
  const modeOf = (address: string): Mobility => layer.policy.outgoing({ host, address: asked ?? address, port });
  const first = found[0];
  if (first === undefined) return undefined;
  const mode = modeOf(first);
  if (mode === 'off') return undefined;
  const endpoint = layer.endpoint();
  const internals = layer.internals();
  if (endpoint === undefined || internals === undefined) return undefined;
  const addresses = found.length === 1 ? found : found.filter((address) => modeOf(address) !== 'off');
  const verdicts = addresses.map((address) => endpoint.verdict(address, port));
  const sessionPort = layer.policy.peer(target.host, port)?.sessionPort;
  const open = verdicts.includes('unknown');
  // Who configures a peer says that it is aware, and in-band an answer takes longer than a head start.
  const aware = verdicts.includes('aware') || (open && sessionPort !== undefined);
  const required = mode === 'require';
  const verdict = aware ? 'aware' : open || required ? 'unknown' : 'plain';
  // Of a plain destination's several addresses one may be slow.
  if (verdict === 'plain' && plainAttempts < 2) return undefined;
  const { headStartMs } = layer;
  return new ConnectRace({
    socket,
    endpoint,
    internals,
    required,
    verdict,
    headStartMs,
    shared: layer.sharedVerdicts,
    addresses,
    host,
    sessionPort,
    plainAttempts,
    ...handlers,
  });
}

/** The valid addresses of a lookup's answer, each once, as node will try them: families in turn (RFC 8305 section 4). */
function addressesOf(answer: unknown, all: boolean): string[] {
  const found = new Set<string>();
  for (const entry of all && Array.isArray(answer) ? answer : [{ address: answer }]) {
    const address: unknown = entry?.address;
    if (typeof address === 'string' && net.isIP(address) !== 0) found.add(address);
  }
  return alternateFamilies([...found]);
}
