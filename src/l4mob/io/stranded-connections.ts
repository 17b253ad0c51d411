/**
 * Subflows of a session that goes on elsewhere. Closed at once, one might still send a FIN, from which the peer would
 * conclude that this process is gone; so they stay open in silence until the peer knows better.
 */
import type { TcpConnection } from '../../host/tcp-connection.ts';

/** Attempts on paths that did not last, in one outage. */
const MAX_STRANDED = 4;

export class StrandedConnections {
  #connections: TcpConnection[] = [];

  add(connection: TcpConnection): void {
    connection.pause();
    connection.unref();
    this.#connections.push(connection);
    if (this.#connections.length > MAX_STRANDED) this.#connections.shift()?.reset();
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
    this.#connections = [];
  }
}
