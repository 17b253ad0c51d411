/**
 * ICMPv6 echo: sends Echo Requests, tells who replies. Without privileges by a ping socket of the kernel, where the
 * administrator lets this group have one (sysctl net.ipv4.ping_group_range); otherwise by the system's `ping`, a process
 * for each request.
 *
 * For IPv6 only: what it is for, an address that others answer for from an address of their own, IPv4 does not have.
 */
import dgram from 'node:dgram';
import { familyOf, kernelAddress } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';
import { AF_INET6, libcFailure, loadLibc, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, systemError } from './libc.ts';
import { nativeDgramBind, nativeDgramSend } from './native.ts';
import { findPingProgram, PingProgram } from './ping-program.ts';

export interface PingHandlers {
  /** An Echo Reply: what the request carried, and the source of the reply, which need not be who was asked. */
  onReply(payload: Uint8Array, from: string): void;
  /** The request with that payload could not be sent: no route, no such interface. Never inside a call. */
  onUnsendable(payload: Uint8Array, error: NodeJS.ErrnoException): void;
}

export interface PingPort {
  readonly kind: 'socket' | 'program';
  /** `payload`: 16 bytes or fewer (no more fit into what `ping` takes); it is what ties a reply to its request. */
  send(to: string, payload: Uint8Array): void;
  /** Idempotent; nothing is told any more. */
  close(): void;
}

const IPPROTO_ICMPV6 = 58;
const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const HEADER_BYTES = 8;
export const MAX_PING_PAYLOAD_BYTES = 16;
/** A ping socket has none, and node wants one. */
const ANY_PORT = 1;

/**
 * By the first that can be had; `kind` leaves no choice. Keeps no process alive.
 *
 * @throws UsageError ERR_MOBISOCK_ENVIRONMENT where there is none, with what was tried.
 */
export function openPingPort(handlers: PingHandlers, kind?: PingPort['kind']): PingPort {
  const refused: string[] = [];
  if (kind !== 'program') {
    const opened = openPingSocket(handlers);
    if (typeof opened !== 'string') return opened;
    refused.push(opened);
  }
  if (kind !== 'socket') {
    const program = findPingProgram();
    if (program !== undefined) return new PingProgram(program, handlers);
    refused.push('no program "ping" in PATH');
  }
  throw new UsageError(`no ICMPv6 echo here: ${refused.join('; ')}`, 'ERR_MOBISOCK_ENVIRONMENT');
}

/** Why there is none, as text. */
function openPingSocket(handlers: PingHandlers): PingSocket | string {
  const libc = loadLibc();
  if (libc === undefined) return `no ping socket, ${String(libcFailure())}`;
  const fd = libc.socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6);
  if (fd >= 0) return new PingSocket(fd, handlers);
  const { message, code } = systemError('socket', fd);
  const hint = code === 'EACCES' ? ', net.ipv4.ping_group_range leaves out the groups of this process' : '';
  return `no ping socket, ${message}${hint}`;
}

class PingSocket implements PingPort {
  readonly kind = 'socket';
  readonly #socket: dgram.Socket;
  readonly #handlers: PingHandlers;
  #sequence = 0;
  #closed = false;

  /** Owns `fd` from now on. */
  constructor(fd: number, handlers: PingHandlers) {
    this.#handlers = handlers;
    const lookup = literalLookup as NonNullable<dgram.SocketOptions['lookup']>;
    this.#socket = dgram.createSocket({ type: 'udp6', lookup });
    this.#socket.on('message', (bytes, { address }) => this.#onMessage(bytes, kernelAddress(address)));
    // What ICMP says of single requests is the same as silence.
    this.#socket.on('error', () => {});
    this.#socket.unref();
    // Or a cluster's worker would ask its primary for it.
    nativeDgramBind.call(this.#socket, { fd, exclusive: true });
  }

  send(to: string, payload: Uint8Array): void {
    if (this.#closed) return;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    // The kernel fills in checksum and identifier.
    const request = Buffer.alloc(HEADER_BYTES + payload.length);
    request[0] = ECHO_REQUEST;
    request.writeUInt16BE(this.#sequence, 6);
    request.set(payload, HEADER_BYTES);
    nativeDgramSend.call(this.#socket, request, ANY_PORT, to, (error: NodeJS.ErrnoException | null) => {
      if (error !== null && !this.#closed) this.#handlers.onUnsendable(payload, error);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #onMessage(bytes: Buffer, from: string): void {
    if (this.#closed || bytes.length < HEADER_BYTES || bytes[0] !== ECHO_REPLY) return;
    this.#handlers.onReply(bytes.subarray(HEADER_BYTES), from);
  }
}

type Lookup = (host: string, options: unknown, callback: (error: null, ip: string, family: number) => void) => void;

const literalLookup: Lookup = (host, _options, callback) => callback(null, host, familyOf(host));
