/**
 * A NETLINK_ROUTE socket through the C library: opened, asked and read synchronously (the kernel answers requests
 * within `send`, so a non-blocking `recv` after it finds the answer). Its owner either closes it or releases the
 * descriptor to an event reader, once.
 */
import { WireError } from '../../core/errors.ts';
import { AF_NETLINK, EAGAIN, EINTR, type Libc, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW, systemError } from '../libc.ts';
import type { AddressTable } from './address-table.ts';
import { decodeMessages, FLAG_DUMP_INTERRUPTED, numberBytes } from './message.ts';
import { decodeRouteMessage, encodeAddressDump, encodeLinkDump, type RouteNetlinkMessage } from './route-messages.ts';

const NETLINK_ROUTE = 0;
const SOCKADDR_BYTES = 12;
/** The kernel puts at most 32 KiB of a dump into one read, and one event is far smaller. */
const READ_BYTES = 65536;
/** A dump of 100 000 addresses has 1000 reads: more means that the kernel isn't answering what was asked. */
const LONGEST_ANSWER_READS = 10_000;
/** A dump fails when the tables change meanwhile; on a host that never rests the last one counts as it is. */
const DUMP_ATTEMPTS = 5;
/** A host that changes routes all the time must not keep us from everything else. */
const READS_PER_DRAIN = 64;

export class NetlinkSocket {
  readonly #libc: Libc;
  #fd: number;
  #sequence = 0;

  /** `groups` as the RTMGRP_ bits; 0 for a socket that is only asked. Throws a system error. */
  constructor(libc: Libc, groups: number) {
    this.#libc = libc;
    const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) throw systemError('socket', fd);
    this.#fd = fd;
    const address = new Uint8Array(SOCKADDR_BYTES);
    new Uint16Array(address.buffer)[0] = AF_NETLINK;
    address.set(numberBytes(groups), 8);
    const bound = libc.bind(fd, address);
    if (bound < 0) {
      this.close();
      throw systemError('bind', bound);
    }
  }

  /** The descriptor, which is the caller's from now on. */
  release(): number {
    const fd = this.#fd;
    this.#fd = -1;
    return fd;
  }

  close(): void {
    if (this.#fd >= 0) this.#libc.close(this.release());
  }

  /** Fills an empty table with all links and addresses. Events that arrive meanwhile go into it as well, in order. */
  dump(table: Pick<AddressTable, 'handleMessage'>): void {
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      const onMessage = (message: RouteNetlinkMessage): void => void table.handleMessage(message);
      const links = this.ask(encodeLinkDump, onMessage);
      const addresses = this.ask(encodeAddressDump, onMessage);
      if (links.complete && addresses.complete) return;
    }
  }

  /** Sends a request and reads up to the end of its answer. Throws a system error when the kernel answers with one. */
  ask(
    encode: (sequence: number) => Uint8Array,
    onMessage: (message: RouteNetlinkMessage) => void,
    endsWith: 'end' | 'first' = 'end',
  ): { readonly complete: boolean } {
    const sequence = ++this.#sequence;
    const sent = this.#libc.send(this.#fd, encode(sequence));
    if (sent < 0) throw systemError('send', sent);
    const buffer = new Uint8Array(READ_BYTES);
    let complete = true;
    for (let reads = 0; reads < LONGEST_ANSWER_READS; reads++) {
      const length = this.#libc.recv(this.#fd, buffer);
      if (length === EINTR) continue;
      if (length < 0) throw systemError('recv', length);
      for (const raw of decodeMessages(buffer.subarray(0, length))) {
        const message = decodeRouteMessage(raw);
        if (raw.sequence === sequence && (raw.flags & FLAG_DUMP_INTERRUPTED) !== 0) complete = false;
        if (message.kind !== 'end') onMessage(message);
        if (raw.sequence !== sequence) continue;
        if (message.kind === 'end' && message.errno !== 0) throw systemError('netlink', -message.errno);
        if (message.kind === 'end' || endsWith === 'first') return { complete };
      }
    }
    throw new WireError('netlink answer without end');
  }
}

/**
 * Reads what is there without waiting, for a descriptor that is polled, until `onBytes` gives false. Gives false itself
 * when events were lost or the descriptor is unusable.
 */
export function drainDescriptor(libc: Libc, fd: number, onBytes: (bytes: Uint8Array) => boolean): boolean {
  const buffer = new Uint8Array(READ_BYTES);
  for (let reads = 0; reads < READS_PER_DRAIN; reads++) {
    const length = libc.recv(fd, buffer);
    if (length === EAGAIN) return true;
    if (length === EINTR) continue;
    if (length < 0) return false;
    if (!onBytes(buffer.subarray(0, length))) return true;
  }
  return true;
}
