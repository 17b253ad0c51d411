/**
 * Plain attempts of one connect that node has given up for its next address, and that go on all the same: attempts
 * overlap (RFC 8305 section 5), so an address that is slower than node's time-out connects too. Each is on the handle
 * that it began on, which node believes closed; or, where node's time-out came before the attempt could begin, on one of
 * its own.
 *
 * Life: an attempt is kept when node closes its handle, or begun here; it is over when it connects, fails or is dropped
 * with all.
 */

import type { ConnectRequest, TransportHandle } from '../node-internals.ts';
import { freshTransport, shadow, sparingContext, type TransportClass } from './handle-exchange.ts';
import { copyOf } from './held-connect.ts';

/** Each is a descriptor. A name with more addresses that leave a connect waiting is not reached by the next one. */
const MAX_ATTEMPTS = 8;

export interface SlowAttemptsHandlers {
  /** The handle is the caller's from here. */
  onConnected(handle: TransportHandle, request: ConnectRequest, readable: boolean, writable: boolean): void;
  onFailed(): void;
}

export class SlowAttempts {
  readonly #handlers: SlowAttemptsHandlers;
  readonly #attempts = new Set<TransportHandle>();

  constructor(handlers: SlowAttemptsHandlers) {
    this.#handlers = handlers;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** From here on closing `handle` only seems to. Returns false where there are too many; then it is the caller's. */
  keep(handle: TransportHandle, request: ConnectRequest, context: { singleUse?: boolean } | undefined): boolean {
    if (this.#attempts.size >= MAX_ATTEMPTS) return false;
    this.#attempts.add(handle);
    shadow(handle, 'close', (callback?: () => void) => {
      if (callback !== undefined) setImmediate(sparingContext(context, callback));
    });
    request.oncomplete = (status, _handle, _request, readable, writable) => {
      if (!this.#attempts.delete(handle)) return;
      Reflect.deleteProperty(handle, 'close');
      if (status === 0) return this.#handlers.onConnected(handle, request, readable, writable);
      handle.close();
      this.#handlers.onFailed();
    };
    return true;
  }

  begin(Transport: TransportClass, request: ConnectRequest): void {
    const { address = '', port = 0, addressType } = request;
    const own = copyOf(request);
    const handle = freshTransport(Transport, request);
    const status = handle[addressType === 6 ? 'connect6' : 'connect'](own, address, port);
    if (status !== 0 || !this.keep(handle, own, undefined)) handle.close();
  }

  drop(): void {
    for (const handle of this.#attempts) {
      Reflect.deleteProperty(handle, 'close');
      handle.close();
    }
    this.#attempts.clear();
  }
}
