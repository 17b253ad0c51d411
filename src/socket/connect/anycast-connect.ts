/**
 * One connect that may go to an anycast address: the call on the handle is held back until it is known which member
 * answers there, and made to that member's unicast address, by a session or plainly as the policy has it. The
 * application goes on seeing the address that it asked for: in `remoteAddress`, in errors, in the certificate check
 * (paper 3; design: interposed `connect`).
 *
 * Of an address that nothing is known of yet the probe is not waited for: the connect goes ahead as asked, and is replaced
 * when a member has answered from another address. (A kernel's anycast address answers no SYN.)
 *
 * A member that refuses, or that leaves the connect waiting while another one answers probes, is left for that other
 * one, on a fresh handle.
 *
 * Life: `arm()` while the socket is connecting and before node calls the handle; each address that node tries is an
 * attempt of its own; over with the first connection, the last failure, or the socket's end.
 */
import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import type { Resolver } from '../../aarp/resolution.ts';
import { canonicalAddress } from '../../core/address.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import type { PlainReason } from '../../l4mob/io/mobile-stream.ts';
import { shielded } from '../application-call.ts';
import { takeReset } from '../mobile-handle.ts';
import {
  type AddressOut,
  type ConnectRequest,
  inside,
  type SocketInternals,
  type TransportHandle,
} from '../node-internals.ts';
import { mobilityRequiredError } from '../socket-error.ts';
import type { ConnectRace, RaceInit } from './connect-race.ts';
import { exchangeHandle, freshTransport, isBelowTls, shadow, transportOf } from './handle-exchange.ts';
import { type ConnectMethod, copyOf, HeldConnect, nativeOf } from './held-connect.ts';

export interface AnycastConnectInit {
  readonly socket: net.Socket;
  readonly internals: SocketInternals;
  /** Undefined for an address that can't be anycast. */
  readonly resolverFor: (address: string) => Resolver | undefined;
  /** Whether the policy wants a session to that address or no connection. */
  readonly mustBeMobile: (address: string) => boolean;
  /**
   * What stands between node and a connect to `destination`, where the application asked for `address`; undefined
   * where that is node's alone.
   */
  readonly race: (address: string, destination: string, handlers: RaceHandlers) => ConnectRace | undefined;
}

export type RaceHandlers = Required<Pick<RaceInit, 'onEnd' | 'onUnmet'>>;

/** What node asked for, and how far we are with it. */
interface Attempt {
  readonly method: ConnectMethod;
  readonly request: ConnectRequest;
  readonly address: string;
  readonly port: number;
  readonly resolver: Resolver | undefined;
  readonly tried: Set<string>;
  /** The connect has gone ahead, and nothing has come of the probe yet. */
  probing: boolean;
  /** What came of the connect that went ahead: told when the probe has not found another way. */
  failure: number | undefined;
}

/** Members that one attempt goes through. A connect that three hosts refuse will be refused by the fourth. */
const MAX_MEMBERS = 3;
/** A member that is there answers a SYN within one round trip; after that long it is worth a probe, and again later. */
const SUSPICION_MS = 250;
const MAX_SUSPICIONS = 4;
/** Longer than any connect; it only keeps the process alive. */
const KEEP_ALIVE_MS = 0x7fffffff;

export class AnycastConnect {
  readonly #init: AnycastConnectInit;
  readonly #context = new AsyncResource('MOBISOCKANYCAST');
  readonly #suspicion: Alarm = new Alarm(() => this.#within(() => this.#suspect()));
  #suspicions = 0;
  readonly #held: HeldConnect;
  #attempt: Attempt | undefined;
  #destination = '';
  #race: ConnectRace | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(init: AnycastConnectInit) {
    this.#init = init;
    this.#held = new HeldConnect(init.socket, init.internals, {
      onConnect: (...call) => this.#onConnect(...call),
      onAttemptClosed: () => {
        this.#leaveAttempt();
        return false;
      },
      onSocketClosed: () => this.#end(),
    });
    this.#suspicion.unref();
  }

  arm(): void {
    this.#held.hold();
    this.#held.follow(() => this.#leaveAttempt());
  }

  #onConnect(method: ConnectMethod, request: ConnectRequest, address: string, port: number): number {
    const canonical = canonicalAddress(address) ?? address;
    const resolver = this.#init.resolverFor(canonical);
    const attempt: Attempt = {
      method,
      request,
      address: canonical,
      port,
      resolver,
      tried: new Set(),
      probing: false,
      failure: undefined,
    };
    this.#attempt = attempt;
    this.#suspicions = 0;
    const known = resolver?.cached(canonical)?.unicast;
    if (resolver === undefined || known !== undefined) return this.#connect(attempt, known ?? canonical);
    const goesAhead = this.#canRestart() && !this.#init.mustBeMobile(canonical);
    return goesAhead ? this.#goAhead(attempt, resolver) : this.#wait(attempt, resolver);
  }

  #goAhead(attempt: Attempt, resolver: Resolver): number {
    const { address } = attempt;
    attempt.probing = true;
    this.#ask(attempt, resolver, (destination = address) => {
      attempt.probing = false;
      if (destination !== address) this.#restart(attempt, destination);
      else if (attempt.failure !== undefined) this.#complete(attempt, attempt.failure, false, false);
    });
    return this.#connect(attempt, address);
  }

  /** Where the handle can't be exchanged, or where a connect that went ahead would end the socket with its failure. */
  #wait(attempt: Attempt, resolver: Resolver): number {
    this.#keepAlive = setInterval(() => {}, KEEP_ALIVE_MS);
    // That nobody answers probes says nothing against connecting.
    this.#ask(attempt, resolver, (destination = attempt.address) => {
      clearInterval(this.#keepAlive);
      const status = this.#connect(attempt, destination);
      if (status !== 0) this.#onFailure(attempt, status);
    });
    return 0;
  }

  /** Nothing comes of it where node has gone on to another attempt meanwhile, or the socket has ended. */
  #ask(attempt: Attempt, resolver: Resolver, then: (destination: string | undefined) => void): void {
    const answered = (destination: string | undefined): void => {
      if (this.#attempt === attempt) this.#within(() => then(destination));
    };
    resolver.resolve(attempt.address).then(
      ({ unicast }) => answered(unicast),
      () => answered(undefined),
    );
  }

  /** By a session or natively; the status is libuv's. */
  #connect(attempt: Attempt, destination: string): number {
    const { method, request, address, port, resolver, tried } = attempt;
    const { socket } = this.#init;
    const { transport } = this.#held;
    if (transport === undefined) return 0;
    this.#destination = destination;
    tried.add(destination);
    const own = copyOf(request);
    own.address = destination;
    own.oncomplete = (status, _handle, _own, readable, writable) => {
      if (this.#attempt !== attempt || this.#destination !== destination) return;
      if (status === 0) this.#onConnected(attempt, readable, writable);
      else this.#onFailure(attempt, status);
    };
    if (resolver !== undefined && !attempt.probing) this.#suspectLater();
    this.#race = this.#init.race(address, destination, {
      onEnd: () => {
        if (!socket.connecting) this.#end();
      },
      onUnmet: (reason) => this.#onUnmet(attempt, reason),
    });
    if (this.#race === undefined) return nativeOf(transport)[method].call(transport, own, destination, port);
    this.#race.arm();
    return transport[method](own, destination, port);
  }

  // ---- What became of it

  #onConnected(attempt: Attempt, readable: boolean, writable: boolean): void {
    const { socket } = this.#init;
    const transport = transportOf(socket);
    if (transport !== undefined && this.#destination !== attempt.address) showPeer(transport, attempt.address);
    this.#end();
    this.#complete(attempt, 0, readable, writable);
  }

  #onFailure(attempt: Attempt, status: number): void {
    this.#suspicion.set(undefined);
    if (attempt.probing) {
      attempt.failure = status;
      return;
    }
    this.#tryNext(attempt, () => this.#complete(attempt, status, false, false));
  }

  /** The policy wants a session or no connection, and this member has none for us. */
  #onUnmet(attempt: Attempt, reason: PlainReason): void {
    const { address, port } = attempt;
    const fail = (): void => {
      this.#init.socket.destroy(mobilityRequiredError(address, port, reason));
    };
    // Of our own: it would be the same with any member.
    if (reason === 'limit') fail();
    else this.#tryNext(attempt, fail);
  }

  #tryNext(attempt: Attempt, giveUp: () => void): void {
    const { resolver, address, tried } = attempt;
    this.#suspicion.set(undefined);
    const isMember = resolver !== undefined && this.#destination !== address;
    if (!isMember || tried.size >= MAX_MEMBERS || !this.#canRestart()) return giveUp();
    resolver.failed(address, this.#destination);
    this.#ask(attempt, resolver, (next) => {
      if (next === undefined || tried.has(next)) giveUp();
      else this.#restart(attempt, next);
    });
  }

  #suspectLater(): void {
    if (this.#suspicions < MAX_SUSPICIONS) this.#suspicion.set(monotonicNow() + SUSPICION_MS * 2 ** this.#suspicions);
  }

  /** The connect has been waiting for long: does somebody else answer at that address by now? */
  #suspect(): void {
    const attempt = this.#attempt;
    if (attempt?.resolver === undefined || !this.#init.socket.connecting || !this.#canRestart()) return;
    const suspected = this.#destination;
    this.#suspicions++;
    this.#suspectLater();
    attempt.resolver.failed(attempt.address, suspected);
    this.#ask(attempt, attempt.resolver, (next) => {
      if (this.#destination !== suspected || next === undefined || attempt.tried.has(next)) return;
      if (attempt.tried.size < MAX_MEMBERS) this.#restart(attempt, next);
    });
  }

  /** A handle that TLS was put on while it was connecting can't be exchanged any more. */
  #canRestart(): boolean {
    const { socket } = this.#init;
    return !socket.destroyed && !isBelowTls(inside(socket)._handle);
  }

  #restart(attempt: Attempt, destination: string): void {
    const { socket, internals } = this.#init;
    const { Transport } = this.#held;
    if (Transport === undefined) return;
    this.#abandonRace();
    this.#held.letGo();
    exchangeHandle(socket, internals, freshTransport(Transport, attempt.request));
    takeReset(socket);
    this.#held.hold();
    const status = this.#connect(attempt, destination);
    if (status !== 0) this.#onFailure(attempt, status);
  }

  #complete({ request }: Attempt, status: number, readable: boolean, writable: boolean): void {
    this.#leaveAttempt();
    this.#held.finish(request, status, readable, writable);
  }

  /** Listeners run in the context of the connect, as after a native one. */
  #within(call: () => void): void {
    shielded(() => this.#context.runInAsyncScope(call));
  }

  // ---- The end

  #abandonRace(): void {
    const race = this.#race;
    this.#race = undefined;
    race?.abandon();
  }

  #leaveAttempt(): void {
    this.#attempt = undefined;
    this.#suspicion.set(undefined);
    clearInterval(this.#keepAlive);
    this.#abandonRace();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#leaveAttempt();
    this.#held.release();
  }
}

/** The peer's name as the application knows it; where it is in truth, `sessions()` tells. */
function showPeer(transport: TransportHandle & { getpeername?(out: AddressOut): number }, address: string): void {
  const { getpeername } = transport;
  if (getpeername === undefined) return;
  shadow(transport, 'getpeername', (out: AddressOut): number => {
    const status = getpeername.call(transport, out);
    if (status === 0) out.address = address;
    return status;
  });
}
