/**
 * A UDP socket of mobisock's own: bound at once (no tick in between), never through the hooks, not keeping the process
 * alive unless told to. Errors of single datagrams (unreachable hosts, full buffers) are the network's and are dropped;
 * a connected port reports the ICMP answer that its peer gave.
 */
import cluster from 'node:cluster';
import dgram from 'node:dgram';
import type { Family, TransportAddress } from '../core/address.ts';
import { familyOf, kernelAddress } from '../core/address.ts';
import { nativeDgramBind, nativeDgramSend } from './native.ts';

export interface UdpPortOptions {
  /** Literal address; `::` takes IPv4 as well. */
  readonly address: string;
  /** 0 for any. */
  readonly port: number;
  /** With `::`: IPv6 only. */
  readonly ipv6Only?: boolean | undefined;
  /** A service of its own right, for which the process runs. */
  readonly keepsAlive?: boolean;
  onDatagram(bytes: Buffer, from: TransportAddress): void;
  /** The port can't be used (bind failed), or broke later. */
  onError?(error: NodeJS.ErrnoException): void;
}

export interface UdpPort {
  /** 0 until bound, which is at once except where it is shared by cluster workers. */
  readonly port: number;
  send(bytes: Uint8Array, to: TransportAddress): void;
  close(): void;
}

type Lookup = (host: string, options: unknown, callback: (error: null, ip: string, family: Family) => void) => void;

/** Literal addresses need no resolver, and a synchronous answer makes node bind synchronously. */
const literalLookup: Lookup = (host, _options, callback) => callback(null, host, familyOf(host));

export function openUdpPort(options: UdpPortOptions): UdpPort {
  const { address, port, ipv6Only = false, keepsAlive = false, onDatagram, onError } = options;
  const socket = createSocket(familyOf(address), ipv6Only);
  const isIpv6 = familyOf(address) === 6;
  let bound = 0;
  let open = true;
  socket.on('message', (bytes, from) => {
    onDatagram(bytes, { ip: kernelAddress(from.address), port: from.port });
  });
  socket.on('error', (error) => {
    if (bound === 0 && open) close();
    onError?.(error);
  });
  socket.on('listening', () => {
    bound = socket.address().port;
  });
  const close = (): void => {
    if (!open) return;
    open = false;
    try {
      socket.close();
    } catch (error) {
      // A cluster's worker that disconnects closes what it shares, and 'close' comes later.
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SOCKET_DGRAM_NOT_RUNNING') throw error;
    }
  };
  socket.on('close', () => {
    open = false;
  });
  if (!keepsAlive) socket.unref();
  // A cluster's workers share a port by number through the primary, as they share the listener that it goes with. Of
  // "any" port the primary would give all of them the same, and answers to one worker would come to another.
  nativeDgramBind.call(socket, { address, port, exclusive: port === 0 || !cluster.isWorker });
  if (bound === 0 && open) bound = boundPort(socket);
  return {
    get port() {
      return bound;
    },
    send(bytes, to) {
      if (!open) return;
      const ip = isIpv6 && familyOf(to.ip) === 4 ? `::ffff:${to.ip}` : to.ip;
      if ((familyOf(ip) === 6) !== isIpv6) return;
      nativeDgramSend.call(socket, bytes, to.port, ip, ignoreError);
    },
    close,
  };
}

function createSocket(family: Family, ipv6Only = false): dgram.Socket {
  const type = family === 6 ? 'udp6' : 'udp4';
  return dgram.createSocket({ type, ipv6Only, lookup: literalLookup as NonNullable<dgram.SocketOptions['lookup']> });
}

function boundPort(socket: dgram.Socket): number {
  try {
    return socket.address().port;
  } catch {
    return 0; // not bound yet (cluster), or failed: 'listening' or 'error' will tell
  }
}

function ignoreError(): void {}
