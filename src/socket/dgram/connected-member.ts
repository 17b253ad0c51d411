/**
 * The member that a UDP socket is connected to in the place of an anycast address. The socket stays with it, since it
 * may know of an exchange that others don't, until it refuses, or leaves what is sent without an answer though it has
 * answered before. Then another one is looked for, and the socket connected to that. What the application sends
 * meanwhile waits: nothing goes to two members, and nothing overtakes.
 *
 * Of a member that has never answered nothing is known, for there are programs that only send.
 *
 * Life: from a connect of the kernel's socket to its disconnect.
 */
import { constants } from 'node:os';
import { monotonicNow } from '../../host/clock.ts';
import { shielded } from '../application-call.ts';
import type { Layer } from '../layer.ts';
import { piecesOf, sentStatus } from './datagram-pieces.ts';
import { type DgramState, newSendRequest, type SendRequest, type UdpHandle } from './dgram-internals.ts';
import { debtorOf } from './member-debts.ts';

const { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EACCES } = constants.errno;
/** What ICMP says of a peer, as a connected socket hears it. */
const GONE: ReadonlySet<number> = new Set([ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EACCES].map((code) => -code));
/** Datagrams that wait while another member is looked for, which takes round trips; those beyond are lost. */
const MAX_HELD = 256;

export interface ConnectedMemberInit {
  readonly layer: Layer;
  readonly state: DgramState;
  /** Canonical text, as `unicast`. */
  readonly asked: string;
  readonly unicast: string;
  readonly port: number;
  /** The handle's own. */
  readonly send: UdpHandle['send'];
  /** Connects the socket to another one, and with it ends the life of this. */
  readonly moveTo: (unicast: string) => void;
}

export class ConnectedMember {
  readonly asked: string;
  readonly port: number;
  readonly debtor: string;
  readonly #init: ConnectedMemberInit;
  /** While another member is looked for. */
  #held: Uint8Array[] | undefined;

  constructor(init: ConnectedMemberInit) {
    this.#init = init;
    this.asked = init.asked;
    this.port = init.port;
    this.debtor = debtorOf(init.asked, init.unicast, init.port);
  }

  /** In the place of the handle's, on a connected socket. */
  send(handle: UdpHandle, request: SendRequest, list: readonly ArrayBufferView[], hasCallback: boolean): number {
    const { layer, send } = this.#init;
    if (this.#held !== undefined) return this.#hold(list);
    if (layer.memberDebts.askAgain(monotonicNow(), this.debtor) && this.#leave()) return this.#hold(list);
    const status = send.call(handle, request, list, list.length, hasCallback);
    // The kernel answers with the error of an earlier datagram in place of sending this one.
    return GONE.has(status) && this.#leaveRefusing() ? this.#hold(list) : status;
  }

  /** The kernel has told an error. True: `tell` is called later, if no other member is found. */
  refused(status: number, tell: () => void): boolean {
    return GONE.has(status) && this.#held === undefined && this.#leaveRefusing(tell);
  }

  /** The socket is about to be disconnected: what waits goes where it was meant to go. */
  letGo(handle: UdpHandle): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const bytes of held) this.#init.send.call(handle, newSendRequest(), [bytes], 1, false);
  }

  #hold(list: readonly ArrayBufferView[]): number {
    // The application may use its memory again once it is told that it was sent.
    if (this.#held !== undefined && this.#held.length < MAX_HELD) this.#held.push(Buffer.concat(piecesOf(list)));
    return sentStatus(list);
  }

  #leaveRefusing(tell?: () => void): boolean {
    return this.#init.layer.memberDebts.refused(monotonicNow(), this.debtor) && this.#leave(tell);
  }

  #leave(tell?: () => void): boolean {
    const { layer, asked, unicast } = this.#init;
    const resolver = layer.resolverFor(asked);
    if (resolver === undefined) return false;
    this.#held = [];
    resolver.failed(asked, unicast);
    resolver.resolve(asked).then(
      (next) => this.#goOn(next.unicast, tell),
      () => this.#goOn(unicast, tell),
    );
    return true;
  }

  #goOn(unicast: string, tell: (() => void) | undefined): void {
    const { state, moveTo } = this.#init;
    const held = this.#held;
    // Disconnected meanwhile, or closed.
    if (held === undefined || !state.handle) return;
    this.#held = undefined;
    if (unicast !== this.#init.unicast) moveTo(unicast);
    else if (tell !== undefined) shielded(tell);
    for (const bytes of held) state.handle?.send(newSendRequest(), [bytes], 1, false);
  }
}
