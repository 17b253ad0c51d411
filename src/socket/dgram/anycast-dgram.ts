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
import type { UdpHandle } from './dgram-internals.ts';
import { type HandleMethods, HandleShadows } from './handle-shadows.ts';

/** Members whose names a socket keeps; of the others the application sees the unicast address. */
const MAX_MEMBERS = 1_024;
/** Calls that wait for a resolution; those beyond go where the application said. A resolver answers within seconds. */
const MAX_WAITING = 256;

type Shadowed = 'lookup' | 'onmessage' | 'getpeername';

/** A member, and what the application calls it. */
interface Member {
  readonly anycast: string;
  /** Both addresses in canonical text. */
  readonly asked: string;
  readonly unicast: string;
}

const ANYCAST = Symbol('anycast UDP socket');

interface AnycastHandle extends UdpHandle {
  [ANYCAST]?: AnycastDgram;
}

function of(handle: UdpHandle): AnycastDgram {
  return (handle as AnycastHandle)[ANYCAST] as AnycastDgram;
}

/** Puts it on a handle that is about to receive: bound, so what node looks up from now on are destinations. */
export function resolveAnycast(layer: Layer, handle: UdpHandle): void {
  if ((handle as AnycastHandle)[ANYCAST] === undefined) new AnycastDgram(layer, handle);
}

class AnycastDgram {
  readonly #layer: Layer;
  readonly #native: Pick<UdpHandle, Shadowed>;
  /** By the address that the kernel knows, the one least lately used first. */
  readonly #members = new Map<string, Member>();
  #waiting = 0;

  constructor(layer: Layer, handle: UdpHandle) {
    this.#layer = layer;
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
        if (status < 0) socket.#refused(handle);
        const member = rinfo ? socket.#members.get(rinfo.address) : undefined;
        if (rinfo && member !== undefined) {
          socket.#layer.memberDebts.answered(member.asked, member.unicast);
          rinfo.address = member.anycast;
        }
        socket.#native.onmessage.call(handle, status, handle, buffer, rinfo);
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
    const asked = canonicalAddress(ip) ?? ip;
    const resolver = this.#layer.resolverFor(asked);
    if (resolver === undefined || this.#waiting >= MAX_WAITING) {
      // The application means the member itself.
      this.#members.delete(ip);
      go(ip);
      return;
    }
    const goTo = (unicast: string): void => {
      const destination = familyOf(ip) === familyOf(unicast) ? unicast : `::ffff:${unicast}`;
      if (unicast !== asked) this.#remember(destination, { anycast: ip, asked, unicast });
      go(destination);
    };
    const known = resolver.cached(asked)?.unicast;
    if (known !== undefined) {
      const isDoubtful = known !== asked && this.#layer.memberDebts.ask(monotonicNow(), asked, known);
      if (!isDoubtful) return goTo(known);
      resolver.failed(asked, known);
    }
    this.#waiting++;
    const answered = (unicast: string): void => {
      this.#waiting--;
      shielded(() => goTo(unicast));
    };
    // That nobody answers probes says nothing against sending there.
    resolver.resolve(asked).then(
      ({ unicast }) => answered(unicast),
      () => answered(asked),
    );
  }

  #remember(destination: string, member: Member): void {
    this.#members.delete(destination);
    this.#members.set(destination, member);
    if (this.#members.size <= MAX_MEMBERS) return;
    const [oldest] = this.#members.keys();
    if (oldest !== undefined) this.#members.delete(oldest);
  }

  /** Of a connected socket: nothing listens at the member any more. */
  #refused(handle: UdpHandle): void {
    const out: AddressOut = {};
    if (this.#native.getpeername.call(handle, out) !== 0 || out.address === undefined) return;
    const member = this.#members.get(out.address);
    if (member !== undefined) this.#layer.resolverFor(member.asked)?.failed(member.asked, member.unicast);
  }
}

const SHADOWS = new HandleShadows(AnycastDgram.shadows());
