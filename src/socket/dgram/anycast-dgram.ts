/**
 * A UDP socket in a process that knows of anycast addresses: what the application sends to one, or connects to, goes to
 * the member that answers there, and what the member answers comes from the anycast address, as far as the application
 * can see (paper 3: interposed `sendto` and `recvfrom`).
 *
 * It stands where node turns what it was given into an address, which it does for each datagram of an unconnected
 * socket and may take its time. Mobility comes above it and knows members only.
 */
import { canonicalAddress, familyOf } from '../../core/address.ts';
import { monotonicNow } from '../../host/clock.ts';
import { shielded } from '../application-call.ts';
import type { Layer } from '../layer.ts';
import type { AddressOut } from '../node-internals.ts';
import { ConnectedMember } from './connected-member.ts';
import { CONNECTING, type DgramState, type RemoteInfo, type UdpHandle } from './dgram-internals.ts';
import { type HandleMethods, HandleShadows } from './handle-shadows.ts';
import { keepPort } from './kept-port.ts';
import { debtorOf } from './member-debts.ts';

/** Members whose names a socket keeps; of the others the application sees the unicast address. */
const MAX_MEMBERS = 1_024;
/** Calls that wait for a resolution; those beyond go where the application said. A resolver answers within seconds. */
const MAX_WAITING = 256;

type Shadowed = 'lookup' | 'onmessage' | 'getpeername' | 'connect' | 'disconnect' | 'send';

/** A member, and what the application calls it. */
interface Member {
  readonly anycast: string;
  /** Both addresses in canonical text. */
  readonly asked: string;
  readonly unicast: string;
  readonly debtor: string;
}

const ANYCAST = Symbol('anycast UDP socket');

interface AnycastHandle extends UdpHandle {
  [ANYCAST]?: AnycastDgram;
}

function of(handle: UdpHandle): AnycastDgram {
  return (handle as AnycastHandle)[ANYCAST] as AnycastDgram;
}

/** Puts it on a handle that is about to receive: bound, so what node looks up from now on are destinations. */
export function resolveAnycast(layer: Layer, state: DgramState, handle: UdpHandle): void {
  if ((handle as AnycastHandle)[ANYCAST] === undefined) new AnycastDgram(layer, state, handle);
}

class AnycastDgram {
  readonly #layer: Layer;
  /** With the handle of now: mobility changes it. */
  readonly #state: DgramState;
  readonly #native: Pick<UdpHandle, Shadowed>;
  /** By the address that the kernel knows, the one least lately used first. */
  readonly #members = new Map<string, Member>();
  #waiting = 0;
  /** While the kernel's socket is connected to a member. */
  #connected: ConnectedMember | undefined;
  /** Whom it could not be connected to again when it was between two members. */
  #apartFrom: { readonly ip: string; readonly port: number } | undefined;
  #hasMoved = false;
  /** That it was connected to last. */
  #port: number | undefined;

  constructor(layer: Layer, state: DgramState, handle: UdpHandle) {
    this.#layer = layer;
    this.#state = state;
    (handle as AnycastHandle)[ANYCAST] = this;
    this.#native = SHADOWS.castOn(handle);
  }

  static shadows(): HandleMethods<Shadowed> {
    return {
      lookup(address, callback) {
        const socket = of(this);
        return socket.#native.lookup.call(this, address, (error, ip, ...rest) => {
          if (error !== null || typeof ip !== 'string') callback(error, ip, ...rest);
          else socket.#towards(ip, (destination) => callback(null, destination, ...rest));
        });
      },
      onmessage(status, handle, buffer, rinfo) {
        // Node calls it as a function of the handle, mobility with the handle as an argument only.
        const socket = of(handle);
        const { onmessage } = socket.#native;
        const connected = status < 0 ? socket.#connected : undefined;
        if (connected?.refused(status, () => onmessage.call(handle, status, handle)) === true) return;
        if (!rinfo || socket.#heard(rinfo)) onmessage.call(handle, status, handle, buffer, rinfo);
      },
      connect(ip, port) {
        const socket = of(this);
        const status = socket.#native.connect.call(this, ip, port);
        if (status === 0) socket.#connect(ip, port);
        return status;
      },
      disconnect() {
        const socket = of(this);
        socket.#connected?.letGo(this);
        socket.#connected = undefined;
        socket.#apartFrom = undefined;
        return socket.#native.disconnect.call(this);
      },
      send(request, list, count, first, ip, hasCallback) {
        const socket = of(this);
        const { send } = socket.#native;
        if (typeof first === 'number') return send.call(this, request, list, count, first, ip, hasCallback);
        const status = socket.#rejoin(this);
        if (status !== 0) return status;
        const connected = request.isOurs === true ? undefined : socket.#connected;
        return connected ? connected.send(this, request, list, first) : send.call(this, request, list, count, first);
      },
      getpeername(out) {
        const socket = of(this);
        const status = socket.#native.getpeername.call(this, out);
        const member = status === 0 ? socket.#members.get(out.address ?? '') : undefined;
        if (member !== undefined) out.address = member.anycast;
        return status;
      },
    };
  }

  /** `go` gets the address to use in place of `ip`: at once where that is known. */
  #towards(ip: string, go: (destination: string) => void): void {
    // Nearly all destinations can't be, and each datagram comes by here.
    const asked = this.#layer.mayBeAnycast(ip) ? (canonicalAddress(ip) ?? ip) : undefined;
    const resolver = asked === undefined ? undefined : this.#layer.resolverFor(asked);
    if (asked === undefined || resolver === undefined || this.#waiting >= MAX_WAITING) {
      // The application means the member itself.
      if (this.#members.size > 0) this.#members.delete(ip);
      go(ip);
      return;
    }
    const goTo = (unicast: string): void => go(this.#destination(ip, asked, unicast));
    const { anycastDestinations } = this.#layer;
    const known = anycastDestinations.known(asked, resolver, this.#state.connectState === CONNECTING);
    if (known !== undefined) return goTo(known);
    this.#waiting++;
    void anycastDestinations.ask(asked, resolver).then((unicast) => {
      this.#waiting--;
      shielded(() => goTo(unicast));
    });
  }

  /** Where to send what goes to `unicast` as the kernel takes it, remembered as what the application calls `anycast`. */
  #destination(anycast: string, asked: string, unicast: string): string {
    const destination = familyOf(anycast) === familyOf(unicast) ? unicast : `::ffff:${unicast}`;
    if (unicast === asked) return destination;
    this.#members.delete(destination);
    this.#members.set(destination, { anycast, asked, unicast, debtor: debtorOf(asked, unicast) });
    if (this.#members.size > MAX_MEMBERS) {
      const [oldest] = this.#members.keys();
      if (oldest !== undefined) this.#members.delete(oldest);
    }
    return destination;
  }

  /** A datagram has come: `rinfo` gets the name that the application has for its sender. False: it is not to be heard. */
  #heard(rinfo: RemoteInfo): boolean {
    const member = this.#members.get(rinfo.address);
    const connected = this.#connected;
    // While it was between two members the kernel let everything in.
    const isStranger = connected !== undefined && (member?.asked !== connected.asked || rinfo.port !== connected.port);
    if (isStranger && this.#hasMoved) return false;
    if (member === undefined) return true;
    const { memberDebts } = this.#layer;
    const now = monotonicNow();
    memberDebts.answered(now, member.debtor);
    if (this.#port === rinfo.port) memberDebts.answered(now, debtorOf(member.asked, member.unicast, rinfo.port));
    rinfo.address = member.anycast;
    return true;
  }

  // ---- connected sockets ---------------------------------------------------------------------------------------------

  #connect(ip: string, port: number): void {
    const member = this.#members.get(ip);
    this.#port = port;
    this.#apartFrom = undefined;
    this.#connected = member && this.#connectedTo(member, port);
  }

  #connectedTo({ anycast, asked, unicast }: Member, port: number): ConnectedMember {
    return new ConnectedMember({
      layer: this.#layer,
      state: this.#state,
      asked,
      unicast,
      port,
      send: this.#native.send,
      moveTo: (next) => this.#moveTo(this.#destination(anycast, asked, next), port),
    });
  }

  /** By all that stands before the handle: mobility has to know whom it is connected to. */
  #moveTo(ip: string, port: number): void {
    const { handle } = this.#state;
    if (!handle) return;
    const { getpeername } = this.#native;
    const [former, local, left] = [{} as AddressOut, {} as AddressOut, {} as AddressOut];
    getpeername.call(handle, former);
    handle.getsockname(local);
    handle.disconnect();
    handle.getsockname(left);
    keepPort(handle, this.#state, left, local.port ?? 0);
    this.#hasMoved = true;
    if (handle.connect(ip, port) === 0) return;
    this.#apartFrom = { ip: former.address ?? ip, port };
    this.#rejoin(handle);
  }

  /** Where neither member could be connected to, say because there was no route: the status is that of trying again. */
  #rejoin(handle: UdpHandle): number {
    const { ip, port } = this.#apartFrom ?? {};
    return ip === undefined || port === undefined ? 0 : handle.connect(ip, port);
  }
}

const SHADOWS = new HandleShadows(AnycastDgram.shadows());
