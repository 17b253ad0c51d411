/**
 * A TCP relay that can be cut: the network of the demo where there are no network namespaces. While it is cut it
 * resets what runs over it and refuses what comes; afterwards it relays again.
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

export class Relay {
  readonly address: string;
  readonly #targetPort: number;
  readonly #bytesPerMs: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  /** Bytes towards the client are slowed down to `bytesPerMs` per connection. */
  constructor(init: { address: string; targetPort: number; bytesPerMs: number }) {
    this.address = init.address;
    this.#targetPort = init.targetPort;
    this.#bytesPerMs = init.bytesPerMs;
  }

  get port(): number {
    return this.#port;
  }

  open(): Promise<void> {
    const server = createServer((client) => this.#join(client));
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: this.address, port: this.#port }, () => {
        const bound = server.address();
        if (bound !== null && typeof bound === 'object') this.#port = bound.port;
        resolve();
      });
    });
  }

  async cut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  #join(client: Socket): void {
    const server = createConnection({ host: '127.0.0.1', port: this.#targetPort });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.resetAndDestroy());
      socket.once('end', () => other.end());
      socket.once('close', () => this.#sockets.delete(socket));
    }
    client.pipe(server);
    server.on('data', (chunk) => {
      client.write(chunk);
      server.pause();
      setTimeout(() => server.resume(), chunk.length / this.#bytesPerMs);
    });
  }
}
