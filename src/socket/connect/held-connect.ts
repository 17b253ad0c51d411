/**
 * The place between node and the handle of one connect: the calls by which node starts and ends it come here first.
 * Once for each handle that node takes for it; several may stand one before the other, the last one first.
 */
import type net from 'node:net';
import { type ConnectRequest, inside, type SocketInternals, type TransportHandle } from '../node-internals.ts';
import { reinitializeOf, shadow, type TransportClass, transportOf, unshadow } from './handle-exchange.ts';

export type ConnectMethod = 'connect' | 'connect6';

export interface HeldConnectHandlers {
  /** In place of the handle's own; returns libuv's status. */
  onConnect(method: ConnectMethod, request: ConnectRequest, address: string, port: number): number;
  /** Node closes the handle and goes on with another one. Returns whether somebody else has taken the handle over. */
  onAttemptClosed(transport: TransportHandle): boolean;
  /** The socket is closed. */
  onSocketClosed(): void;
}

const HELD = ['connect', 'connect6', 'close'];

export class HeldConnect {
  readonly #socket: net.Socket;
  readonly #internals: SocketInternals;
  readonly #handlers: HeldConnectHandlers;
  #transport: TransportHandle | undefined;
  #Transport: TransportClass | undefined;
  #follows = false;

  constructor(socket: net.Socket, internals: SocketInternals, handlers: HeldConnectHandlers) {
    this.#socket = socket;
    this.#internals = internals;
    this.#handlers = handlers;
  }

  /** The handle that is held back. */
  get transport(): TransportHandle | undefined {
    return this.#transport;
  }

  /** The class of the kernel's handles, also when the socket has none of these now. */
  get Transport(): TransportClass | undefined {
    return this.#Transport;
  }

  /** Holds back the calls on the handle that the socket has now. */
  hold(): void {
    const transport = transportOf(this.#socket);
    if (transport === undefined) return;
    this.letGo();
    this.#transport = transport;
    this.#Transport = transport.constructor as TransportClass;
    const { close } = transport;
    for (const method of ['connect', 'connect6'] as const) {
      shadow(transport, method, (request: ConnectRequest, address: string, port: number) =>
        this.#handlers.onConnect(method, request, address, port),
      );
    }
    shadow(transport, 'close', (callback?: () => void) => {
      // Node also closes the handle between two attempts; a socket that is destroyed is no longer connecting.
      if (!this.#socket.connecting) this.#handlers.onSocketClosed();
      else if (this.#handlers.onAttemptClosed(transport)) return transport.close(callback);
      return close.call(transport, callback);
    });
  }

  /** Holds back those of node's next handles too: each of several attempts comes with a new one. */
  follow(onNext: () => void): void {
    this.#follows = true;
    const { reinitializeHandle } = this.#internals;
    Object.defineProperty(this.#socket, reinitializeHandle, {
      configurable: true,
      writable: true,
      value: (handle: TransportHandle) => {
        reinitializeOf(this.#socket, reinitializeHandle).call(this.#socket, handle);
        if (!this.#follows) return;
        onNext();
        this.hold();
      },
    });
  }

  letGo(): void {
    if (this.#transport !== undefined) for (const name of HELD) unshadow(this.#transport, name);
    this.#transport = undefined;
  }

  /** Lets go for good. */
  release(): void {
    this.letGo();
    if (this.#follows) unshadow(this.#socket, this.#internals.reinitializeHandle);
    this.#follows = false;
  }

  /** To node, as libuv would. It looks the socket up at the handle, and below TLS an exchanged one doesn't know it. */
  finish(request: ConnectRequest, status: number, readable: boolean, writable: boolean): void {
    const handle = inside(this.#socket)._handle;
    if (handle !== null) request.oncomplete?.(status, handle, request, readable, writable);
  }
}

/** A request of our own: node's is kept for the end, whichever way it comes. */
export function copyOf(request: ConnectRequest): ConnectRequest {
  return Object.assign(new (request.constructor as new () => ConnectRequest)(), request);
}

/** The handle's own methods, past whoever stands before them. To be called on the handle. */
export function nativeOf(transport: TransportHandle): TransportHandle {
  return Object.getPrototypeOf(transport) as TransportHandle;
}
