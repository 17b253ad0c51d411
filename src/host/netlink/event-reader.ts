/**
 * Reads a netlink descriptor as its events come. Life-cycle: opened with a descriptor that it owns from then on,
 * closed once; `onLost` is its last word, unless it was closed before.
 *
 * Node has no handle for netlink, but its pipe handle does nothing to a descriptor except wait for it and read(2):
 * with that, the event loop wakes us. The class is internal, so it is taken from a socket that node itself makes for a
 * pipe; where that doesn't work as expected, the descriptor is read on a timer. Neither keeps the process alive.
 *
 * read(2) doesn't tell the sender. It need not: the kernel lets nobody without CAP_NET_ADMIN send to other sockets of
 * this family.
 */
import { Socket } from 'node:net';
import { AF_UNIX, type Libc, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from '../libc.ts';
import { drainDescriptor } from './netlink-socket.ts';

/** Well inside the 50 ms in which a move should be noticed; an empty read costs about 1 us. */
const TIMER_READ_MS = 10;

const startTimer = globalThis.setInterval;
const stopTimer = globalThis.clearInterval;
const NodeSocket = Socket;

export type Wakeup = 'event' | 'timer';

export interface EventHandlers {
  /** What one read gave; borrowed for the call. */
  onBytes(bytes: Uint8Array): void;
  /** Events were lost (the receive buffer overflowed) or the descriptor broke; the reader has closed itself. */
  onLost(): void;
}

export interface EventReader {
  readonly wakeup: Wakeup;
  close(): void;
}

/** Takes over `fd`. `wakeup` 'timer' doesn't try for events. */
export function readEvents(libc: Libc, fd: number, handlers: EventHandlers, wakeup: Wakeup = 'event'): EventReader {
  const handle = wakeup === 'event' ? pipeHandleFor(libc, fd) : undefined;
  return handle === undefined ? new TimerReader(libc, fd, handlers) : new SocketReader(handle, handlers);
}

class SocketReader implements EventReader {
  readonly wakeup = 'event';
  readonly #socket: Socket;
  #closed = false;

  constructor(handle: PipeHandle, handlers: EventHandlers) {
    // @types/node doesn't list `handle`; node has had it since version 0.
    const options = { handle, readable: true, writable: false };
    const socket = new NodeSocket(options);
    socket.on('data', (bytes: Uint8Array) => {
      if (!this.#closed) handlers.onBytes(bytes);
    });
    // ENOBUFS comes here; node destroys the socket on any read error, so the descriptor is gone with the lost events.
    socket.on('error', () => {});
    socket.on('close', () => {
      if (this.#closed) return;
      this.#closed = true;
      handlers.onLost();
    });
    socket.unref();
    this.#socket = socket;
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}

class TimerReader implements EventReader {
  readonly wakeup = 'timer';
  readonly #libc: Libc;
  readonly #timer: NodeJS.Timeout;
  #fd: number;

  constructor(libc: Libc, fd: number, handlers: EventHandlers) {
    this.#libc = libc;
    this.#fd = fd;
    this.#timer = startTimer(() => {
      const open = drainDescriptor(libc, fd, (bytes) => {
        handlers.onBytes(bytes);
        return this.#fd >= 0;
      });
      if (open || this.#fd < 0) return;
      this.close();
      handlers.onLost();
    }, TIMER_READ_MS);
    this.#timer.unref();
  }

  close(): void {
    if (this.#fd < 0) return;
    stopTimer(this.#timer);
    this.#libc.close(this.#fd);
    this.#fd = -1;
  }
}

interface PipeHandle {
  open(fd: number): number | undefined;
  close(): void;
}

type PipeClass = new (type: number) => PipeHandle;

/** PipeConstants.SOCKET in node's pipe_wrap.cc: a connected stream, no passing of descriptors. */
const PIPE_TYPE_SOCKET = 0;

let pipeClass: PipeClass | undefined;

/** A pipe handle that owns `fd`, or undefined (and `fd` still the caller's) where node doesn't play along. */
function pipeHandleFor(libc: Libc, fd: number): PipeHandle | undefined {
  try {
    pipeClass ??= findPipeClass(libc);
    if (pipeClass === undefined) return undefined;
    const handle = new pipeClass(PIPE_TYPE_SOCKET);
    const result = handle.open(fd);
    if (result === undefined || result === 0) return handle;
    handle.close();
  } catch {
    // An internal interface that changed is a reason for the timer, not for a failure.
  }
  return undefined;
}

function findPipeClass(libc: Libc): PipeClass | undefined {
  const pair = libc.socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (typeof pair === 'number') return undefined;
  const [ours, theirs] = pair;
  let socket: Socket | undefined;
  try {
    socket = new NodeSocket({ fd: ours, readable: false, writable: false });
    const handle = (socket as { _handle?: object | null })._handle;
    const found = handle?.constructor as PipeClass | undefined;
    return found?.name === 'Pipe' && typeof found.prototype.open === 'function' ? found : undefined;
  } finally {
    if (socket === undefined) libc.close(ours);
    else socket.destroy();
    libc.close(theirs);
  }
}
