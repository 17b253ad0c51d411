/**
 * Listens for {@link TcpConnection}s. A `net.Server` does the listening, clusters included; what it accepts doesn't
 * become a `net.Socket`.
 */
import net from 'node:net';
import { nativeListen } from './native.ts';
import { TcpConnection, type TcpHandle } from './tcp-connection.ts';

export interface ListenOptions {
  readonly address: string;
  /** First and last to try; 0 for any. */
  readonly ports: readonly [number, number];
  /** With `::`: IPv6 only. */
  readonly ipv6Only: boolean;
  /** Not shared with the other workers of a cluster. */
  readonly exclusive: boolean;
  onListening(port: number): void;
  onConnection(connection: TcpConnection): void;
  /** No port can be had, or the listener broke. */
  onError(error: NodeJS.ErrnoException): void;
}

export interface TcpListener {
  close(): void;
}

interface ServerInside {
  readonly _handle: { onconnection(status: number, handle: TcpHandle | undefined): void } | null;
}

/** Keeps no process alive. */
export function listenTcp(options: ListenOptions): TcpListener {
  const { address, ports, ipv6Only, exclusive, onListening, onConnection, onError } = options;
  const [first, last] = ports;
  let port = first;
  const server = net.createServer();
  const listen = (): void => {
    nativeListen.call(server, { host: address, port, ipv6Only, exclusive });
  };
  server.unref();
  server.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || port >= last) return onError(error);
    port += 1;
    listen();
  });
  server.on('listening', () => {
    const bound = server.address();
    const { _handle } = server as unknown as ServerInside;
    if (bound === null || typeof bound === 'string' || _handle === null) return;
    _handle.onconnection = (status, handle) => {
      // What failed to be accepted is gone: the kernel has dropped it, and the listener goes on.
      if (status === 0 && handle !== undefined) onConnection(new TcpConnection(handle));
    };
    onListening(bound.port);
  });
  listen();
  return { close: () => server.close() };
}
