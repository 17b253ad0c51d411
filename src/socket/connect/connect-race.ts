/**
 * One connect whose destination may speak the protocol: a session is opened, a plain connect follows after the head
 * start, and the first to be ready wins. Plain attempts at several addresses are in the race with each other too.
 *
 * The plain attempt is node's own, on the socket's own handle; all that happens to it is that its `connect` call is
 * held back. Only when a session comes is the handle exchanged, in the way node does it for autoSelectFamily, TLS
 * included. So whatever an application sees of a plain connection (errors, events, timeouts) is node's. Among several
 * addresses node closes an attempt before it begins the next; here it goes on in the background (`slow-attempts.ts`).
 *
 * Life: `arm()` while the socket is connecting and before node calls the handle; node's call begins the race; it is
 * settled by the session, the plain connection, the last failure, or the socket's end.
 */
import { AsyncResource } from 'node:async_hooks';
import type net from 'node:net';
import { constants } from 'node:os';
import type { MobilityVerdict } from '../../aarp/daemon/daemon-protocol.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import type {
  MobileStream,
  MobilityEndpoint,
  PendingOpen,
  PlainReason,
  Verdict,
} from '../../l4mob/io/mobile-stream.ts';
import { shielded } from '../application-call.ts';
import { type MobileHandle, mobileHandleClass, takeReset } from '../mobile-handle.ts';
import { type ConnectRequest, inside, type SocketInternals, type TransportHandle } from '../node-internals.ts';
import { mobilityRequiredError } from '../socket-error.ts';
import { exchangeHandle, freshTransport, isBelowTls } from './handle-exchange.ts';
import { type ConnectMethod, copyOf, HeldConnect, nativeOf } from './held-connect.ts';
import type { SharedVerdicts } from './shared-verdicts.ts';
import { SlowAttempts } from './slow-attempts.ts';

export interface RaceInit {
  readonly socket: net.Socket;
  readonly endpoint: MobilityEndpoint;
  readonly internals: SocketInternals;
  /** Never plain. */
  readonly required: boolean;
  /** `aware`: no plain attempt beside the session. `plain`: no session. */
  readonly verdict: Verdict;
  readonly headStartMs: number;
  /** Of the other processes of this host. */
  readonly shared: SharedVerdicts | undefined;
  /** Where sessions may go, in order of preference. */
  readonly addresses: readonly string[];
  /** The name that the application asked for. */
  readonly host: string | undefined;
  /** A configured peer's. */
  readonly sessionPort: number | undefined;
  /** How many addresses node will try one after the other. */
  readonly plainAttempts: number;
  /** When the race is over, whatever came of it; before the socket hears of it. */
  readonly onEnd?: () => void;
  /** What is done instead of ending the socket where a session is required and there is none to be had. */
  readonly onUnmet?: (reason: PlainReason) => void;
}

/** A near peer has answered by then. What other processes know is worth asking for while a far one may not have. */
const ASK_OTHERS_AFTER_MS = 5;
/** For slow attempts when node has none left to make: a SYN that was lost (repeated after 1 s), and 2 s for its answer. */
const LAST_CHANCE_MS = 3_000;
const ECANCELED = -constants.errno.ECANCELED;

export class ConnectRace {
  readonly #init: RaceInit;
  readonly #context = new AsyncResource('MOBISOCKCONNECT');
  readonly #held: HeldConnect;
  #mobile: MobileHandle | undefined;
  #request: ConnectRequest | undefined;
  #method: ConnectMethod = 'connect';
  #pending: PendingOpen | undefined;
  #offered = false;
  #openFailed = false;
  /** That it is plain is known from another process: nothing to tell. */
  #saidPlain = false;
  /** It failed for what the destination is, not for what we are. Counts once the destination is known to be there. */
  #saysNo = false;
  #settled = false;
  #plainUnderWay = false;
  #plainBegan = false;
  /** The plain attempt that the socket's own handle makes. */
  #attempt: ConnectRequest | undefined;
  /** Made for the first one: most connects have none. */
  #slow: SlowAttempts | undefined;
  #isLastChance = false;
  /** What node gave up while it waited for a session: other addresses of the name. */
  readonly #passedOver: ConnectRequest[] = [];
  #attemptsMade = 0;
  /** The status of the last plain attempt that failed. */
  #failure: number | undefined;
  /** For the end of the head start, then of the last chance. */
  #alarm: Alarm | undefined;

  constructor(init: RaceInit) {
    this.#init = init;
    this.#held = new HeldConnect(init.socket, init.internals, {
      onConnect: (...call) => this.#onConnect(...call),
      onAttemptClosed: (transport) => this.#letGoOn(transport),
      onSocketClosed: () => this.#settle(),
    });
  }

  arm(): void {
    this.#held.hold();
    if (this.#init.plainAttempts > 1) this.#held.follow(() => {});
  }

  /** The connect goes on without it: whatever it has begun ends, and nobody is told of an outcome. */
  abandon(): void {
    this.#settle();
  }

  #onConnect(method: ConnectMethod, request: ConnectRequest, address: string, port: number): number {
    const last = this.#request;
    this.#request = request;
    this.#method = method;
    this.#attemptsMade++;
    if (last !== undefined) return this.#connectNext(last);
    if (this.#init.verdict === 'plain') {
      this.#openFailed = true;
      return this.#connectPlain();
    }
    if (isBelowTls(inside(this.#init.socket)._handle)) return this.#stayPlain();
    const { endpoint, addresses, host, sessionPort, required, verdict } = this.#init;
    const pending = endpoint.open(
      {
        addresses: addresses.length === 0 ? [address] : addresses,
        port,
        ...(host === undefined ? {} : { host }),
        ...(sessionPort === undefined ? {} : { sessionPort }),
        // undici passes null.
        ...(request.localAddress ? { localAddress: request.localAddress } : {}),
        ...(request.localPort ? { localPort: request.localPort } : {}),
      },
      {
        onOffer: () => this.#onOffer(),
        onOpen: (stream) => this.#within(() => this.#onOpen(stream)),
        onPlain: (reason) => this.#within(() => this.#onPlain(reason)),
      },
    );
    if (this.#settled) pending.cancel();
    else this.#pending = pending;
    // From when the peer has been asked: a process that does it for the first time needs half as long for that.
    if (!required && verdict === 'unknown' && !this.#settled) this.#giveHeadStart();
    return 0;
  }

  /** An answer that lies in the socket's buffer in the end has come in time: it is read before setImmediate. */
  #giveHeadStart(): void {
    const { headStartMs, shared } = this.#init;
    const startPlain = (): void => void setImmediate(() => this.#startPlain());
    if (shared === undefined || headStartMs <= ASK_OTHERS_AFTER_MS) return this.#wait(headStartMs, startPlain);
    this.#wait(ASK_OTHERS_AFTER_MS, () => {
      this.#wait(headStartMs - ASK_OTHERS_AFTER_MS, startPlain);
      setImmediate(() => this.#askOthers(shared));
    });
  }

  #askOthers(shared: SharedVerdicts): void {
    if (this.#settled || this.#offered) return;
    const { port = 0 } = this.#request ?? {};
    shared.ask(this.#init.addresses, port, (verdict, ttlMs) => {
      if (!this.#settled && !this.#plainBegan) this.#within(() => this.#hear(verdict, ttlMs, port));
    });
  }

  /** The peer is still asked: it may be mobile by now. One that was mobile gets the time that an opening takes. */
  #hear(verdict: MobilityVerdict, ttlMs: number, port: number): void {
    if (verdict === 'mobile') return this.#alarm?.set(undefined);
    this.#saidPlain = true;
    for (const address of this.#init.addresses) this.#init.endpoint.rememberPlain(address, port, ttlMs);
    this.#startPlain();
  }

  #wait(delayMs: number, act: () => void): void {
    this.#alarm?.set(undefined);
    this.#alarm = new Alarm(act);
    this.#alarm.set(monotonicNow() + delayMs);
  }

  /** A handle that TLS was put on while it was connecting can't be exchanged any more. */
  #stayPlain(): number {
    if (!this.#init.required) return this.#connectPlain();
    process.nextTick(() => this.#unmet('limit'));
    return 0;
  }

  /** Listeners run in the context of the connect, as after a native one. */
  #within(call: () => void): void {
    shielded(() => this.#context.runInAsyncScope(call));
  }

  // ---- The session

  #onOffer(): void {
    if (this.#settled || this.#openFailed) return;
    this.#offered = true;
    this.#alarm?.set(undefined);
    this.#slow?.drop();
    if (this.#plainUnderWay) this.#within(() => this.#toMobile());
  }

  #onOpen(stream: MobileStream): void {
    const request = this.#request;
    if (this.#settled || request === undefined) {
      stream.reset();
      return;
    }
    const handle = this.#toMobile();
    this.#settle(false);
    const { shared, verdict } = this.#init;
    if (verdict === 'unknown') shared?.tell(stream.remote.ip, stream.remote.port, 'mobile');
    if (!handle.hasRef()) stream.unref();
    handle.attach(stream, stream);
    this.#held.finish(request, 0, true, true);
  }

  #onPlain(reason: PlainReason): void {
    if (this.#settled) return;
    this.#openFailed = true;
    this.#saysNo = reason !== 'limit';
    this.#pending = undefined;
    this.#alarm?.set(undefined);
    if (this.#init.required) this.#unmet(reason);
    else if (this.#failure !== undefined) this.#waitForSlow();
    else if (!this.#plainUnderWay) this.#startPlain();
  }

  #unmet(reason: PlainReason): void {
    if (this.#settled) return;
    const { socket, onUnmet } = this.#init;
    const { address = '', port = 0 } = this.#request ?? {};
    this.#settle();
    if (onUnmet === undefined) socket.destroy(mobilityRequiredError(address, port, reason));
    else onUnmet(reason);
  }

  /** Gives the socket a handle for the session; what plain attempt there is ends here. */
  #toMobile(): MobileHandle {
    if (this.#mobile !== undefined) return this.#mobile;
    const { socket, internals } = this.#init;
    const Handle = mobileHandleClass(internals);
    const handle = new Handle(() => {
      if (this.#mobile === handle) this.#settle();
    });
    handle.own(socket);
    this.#stopNodesAttempts();
    this.#plainUnderWay = false;
    this.#exchange(handle as unknown as TransportHandle);
    this.#mobile = handle;
    return handle;
  }

  /** A fresh handle in place of the one that waited for a session. */
  #toPlain(): void {
    const { Transport } = this.#held;
    if (Transport === undefined) return;
    this.#mobile = undefined;
    this.#exchange(freshTransport(Transport, this.#request ?? {}));
    takeReset(this.#init.socket);
    this.#held.hold();
  }

  #exchange(handle: TransportHandle): void {
    const { socket, internals } = this.#init;
    this.#attempt = undefined;
    this.#held.letGo();
    exchangeHandle(socket, internals, handle);
  }

  /** Among several addresses node has a timer running for its next attempt. A cancelled attempt clears it. */
  #stopNodesAttempts(): void {
    const request = this.#request;
    if (this.#init.plainAttempts < 2 || request === undefined) return;
    const { socket } = this.#init;
    const state = inside(socket);
    state.connecting = false;
    try {
      request.oncomplete?.(ECANCELED, this.#held.transport as TransportHandle, request, false, false);
    } finally {
      if (!socket.destroyed) state.connecting = true;
    }
  }

  // ---- The plain attempt

  #startPlain(): void {
    if (this.#settled || this.#plainUnderWay || this.#failure !== undefined) return;
    if (this.#offered && !this.#openFailed) return;
    if (this.#mobile !== undefined) this.#toPlain();
    const status = this.#connectPlain();
    if (status !== 0) this.#failSoon(status);
    const { Transport } = this.#held;
    for (const request of this.#passedOver.splice(0)) {
      if (Transport !== undefined && !request.localPort) this.#slowAttempts().begin(Transport, request);
    }
  }

  /**
   * Node's next attempt of several: what waits for a session goes on waiting. If the last one fails at once node must
   * not hear of it while a slow one goes on.
   */
  #connectNext(last: ConnectRequest): number {
    if (!this.#plainBegan && this.#pending !== undefined) {
      this.#passedOver.push(last);
      return 0;
    }
    const status = this.#connectPlain();
    if (status === 0 || !this.#hasSlow || this.#attemptsMade < this.#init.plainAttempts) return status;
    this.#failSoon(status);
    return 0;
  }

  #failSoon(status: number): void {
    const { transport } = this.#held;
    const request = this.#request;
    if (transport === undefined || request === undefined) return;
    process.nextTick(() => this.#within(() => this.#onPlainDone(request, status, transport, false, false)));
  }

  #connectPlain(): number {
    const request = this.#request;
    const { transport } = this.#held;
    if (request?.address === undefined || request.port === undefined || transport === undefined) return 0;
    this.#plainUnderWay = true;
    this.#plainBegan = true;
    const own = copyOf(request);
    own.oncomplete = (status, handle, _own, readable, writable) =>
      this.#onPlainDone(request, status, handle, readable, writable);
    const status = nativeOf(transport)[this.#method].call(transport, own, request.address, request.port);
    this.#attempt = status === 0 ? own : undefined;
    return status;
  }

  /** Node gives the attempt up for its next one. A local port can't be bound by both, and TLS may hold the handle. */
  #letGoOn(transport: TransportHandle): boolean {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    const outer = inside(this.#init.socket)._handle;
    if (attempt === undefined || attempt.localPort || this.#init.plainAttempts < 2 || isBelowTls(outer)) return false;
    this.#held.letGo();
    return this.#slowAttempts().keep(transport, attempt, outer?._secureContext);
  }

  #slowAttempts(): SlowAttempts {
    this.#slow ??= new SlowAttempts({
      onConnected: (handle, request, readable, writable) => this.#onSlowConnected(handle, request, readable, writable),
      onFailed: () => this.#onSlowFailed(),
    });
    return this.#slow;
  }

  get #hasSlow(): boolean {
    return this.#slow !== undefined && this.#slow.size > 0;
  }

  #onSlowConnected(handle: TransportHandle, attempt: ConnectRequest, readable: boolean, writable: boolean): void {
    const request = this.#request;
    if (request === undefined || isBelowTls(inside(this.#init.socket)._handle)) {
      handle.close();
      return this.#onSlowFailed();
    }
    this.#exchange(handle);
    this.#connected(attempt);
    this.#held.finish(request, 0, readable, writable);
  }

  #onSlowFailed(): void {
    if (this.#isLastChance && !this.#hasSlow) this.#deliverFailure();
  }

  #connected({ address, port }: ConnectRequest): void {
    const lost = this.#pending !== undefined || this.#saysNo;
    this.#settle();
    if (!lost || this.#saidPlain || address === undefined || port === undefined) return;
    const { endpoint, shared } = this.#init;
    endpoint.rememberPlain(address, port);
    shared?.tell(address, port, 'plain');
  }

  #onPlainDone(
    request: ConnectRequest,
    status: number,
    handle: TransportHandle,
    readable: boolean,
    writable: boolean,
  ): void {
    // Withdrawn, timed out by node, or the socket is gone.
    if (this.#settled || request !== this.#request || handle !== this.#held.transport) return;
    this.#attempt = undefined;
    if (status === 0) {
      this.#connected(request);
      this.#held.finish(request, status, readable, writable);
      return;
    }
    if (this.#attemptsMade < this.#init.plainAttempts) {
      this.#held.finish(request, status, readable, writable);
      return;
    }
    this.#failure = status;
    if (this.#openFailed || this.#pending === undefined) {
      this.#waitForSlow();
      return;
    }
    this.#plainUnderWay = false;
    // Where nothing listens no session can come of it, whatever became of the L4_INIT: one head start is enough.
    if (!this.#offered) {
      this.#wait(this.#init.headStartMs, () => {
        if (!this.#offered) this.#waitForSlow();
      });
    }
  }

  /** Nothing else can come of it any more. */
  #waitForSlow(): void {
    if (!this.#hasSlow) return this.#deliverFailure();
    this.#isLastChance = true;
    this.#wait(LAST_CHANCE_MS, () => this.#deliverFailure());
  }

  #deliverFailure(): void {
    const request = this.#request;
    if (this.#settled || request === undefined || this.#failure === undefined) return;
    this.#settle();
    this.#held.finish(request, this.#failure, false, false);
  }

  // ---- The end

  #settle(cancel = true): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#alarm?.set(undefined);
    const pending = this.#pending;
    this.#pending = undefined;
    if (cancel) pending?.cancel();
    this.#slow?.drop();
    this.#held.release();
    this.#init.onEnd?.();
  }
}
