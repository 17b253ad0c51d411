/**
 * Subflows of a session that goes on elsewhere. Closed at once, one might still send a FIN, from which the peer would
 * conclude that this process is gone; so they stay open in silence until the peer knows better.
 */
import type { Socket } from 'node:net';

/** Attempts on paths that did not last, in one outage. */
const MAX_STRANDED = 4;

export class StrandedSockets {
  #sockets: Socket[] = [];

  add(socket: Socket): void {
    socket.pause();
    socket.unref();
    this.#sockets.push(socket);
    if (this.#sockets.length > MAX_STRANDED) this.#sockets.shift()?.resetAndDestroy();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets = [];
  }
}
