/**
 * The few calls into the C library that node lacks, through koffi. Loaded on first use, because loading takes 12 ms
 * and some MB; where it can't be loaded (not installed, not Linux, addons forbidden) callers degrade and say so.
 *
 * Every call answers as the kernel does: a value of 0 or more, or a negative errno.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

export const AF_UNIX = 1;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
// The values of every Linux architecture that node runs on (only Alpha, MIPS and SPARC differ).
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  setOption(fd: number, level: number, option: number, value: Uint8Array): number;
  /** A pair of connected descriptors, or a negative errno. */
  socketpair(domain: number, type: number, protocol: number): readonly [number, number] | number;
  send(fd: number, bytes: Uint8Array): number;
  /** Fills `into` and gives the length. */
  recv(fd: number, into: Uint8Array): number;
  close(fd: number): number;
  /** 0 where there is no such interface. */
  interfaceIndex(name: string): number;
  interfaceName(index: number): string | undefined;
}

/** `errno` negative, as {@link Libc} gives it. */
export function systemError(syscall: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno, syscall });
}

/** IF_NAMESIZE of linux/if.h. */
const INTERFACE_NAME_BYTES = 16;

let loaded: Libc | undefined;
let failure: unknown;

/** The C library, or undefined where it can't be had; {@link libcFailure} tells why. */
export function loadLibc(): Libc | undefined {
  if (loaded !== undefined || failure !== undefined) return loaded;
  try {
    loaded = openLibc();
  } catch (error) {
    failure = error ?? new Error('unknown');
  }
  return loaded;
}

/** Why {@link loadLibc} gave nothing. */
export function libcFailure(): unknown {
  return failure;
}

function openLibc(): Libc {
  if (process.platform !== 'linux') throw new Error(`needs Linux, this is ${process.platform}`);
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  // The process itself: whichever C library node was linked with (glibc, musl) is in there.
  const lib = koffi.load(null);
  const socket = lib.func('int socket(int, int, int)');
  const bind = lib.func('int bind(int, const void *, unsigned int)');
  const setsockopt = lib.func('int setsockopt(int, int, int, const void *, unsigned int)');
  const socketpair = lib.func('int socketpair(int, int, int, void *)');
  const send = lib.func('intptr_t send(int, const void *, size_t, int)');
  const recv = lib.func('intptr_t recv(int, void *, size_t, int)');
  const close = lib.func('int close(int)');
  const nameToIndex = lib.func('unsigned int if_nametoindex(const char *)');
  const indexToName = lib.func('void *if_indextoname(unsigned int, void *)');
  const checked = (result: number): number => (result < 0 ? -koffi.errno() : result);
  return {
    socket: (domain, type, protocol) => checked(socket(domain, type, protocol)),
    bind: (fd, address) => checked(bind(fd, address, address.length)),
    setOption: (fd, level, option, value) => checked(setsockopt(fd, level, option, value, value.length)),
    socketpair: (domain, type, protocol) => {
      const pair = new Int32Array(2);
      const result = checked(socketpair(domain, type, protocol, pair));
      return result < 0 ? result : [pair[0] as number, pair[1] as number];
    },
    send: (fd, bytes) => checked(send(fd, bytes, bytes.length, 0)),
    recv: (fd, into) => checked(recv(fd, into, into.length, 0)),
    close: (fd) => checked(close(fd)),
    interfaceIndex: (name) => nameToIndex(name),
    interfaceName: (index) => {
      const name = Buffer.alloc(INTERFACE_NAME_BYTES);
      return indexToName(index, name) === null ? undefined : name.toString('utf8', 0, name.indexOf(0));
    },
  };
}

/** Nothing to read now. */
export const EAGAIN: number = -constants.errno.EAGAIN;
/** The receive buffer overflowed: events were lost. */
export const ENOBUFS: number = -constants.errno.ENOBUFS;
export const EINTR: number = -constants.errno.EINTR;
