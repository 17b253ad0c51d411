/**
 * Membership in an anycast address: the kernel takes packets to it from then on, and answers echo requests from a
 * unicast address. It lasts until it is closed, or the process ends. Linux (IPV6_JOIN_ANYCAST), with CAP_NET_ADMIN.
 */
import { addressBytes, familyOf } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';
import { AF_INET6, type Libc, libcFailure, loadLibc, SOCK_CLOEXEC, SOCK_DGRAM, systemError } from './libc.ts';

export interface AnycastMembership {
  /** Leaves. Idempotent. */
  close(): void;
}

const IPPROTO_IPV6 = 41;
const IPV6_JOIN_ANYCAST = 27;
/** struct ipv6_mreq: the address, and the index of the interface. */
const REQUEST_BYTES = 20;

/** What the kernel means by it here. */
const MEANING: Readonly<Record<string, string>> = {
  EPERM: 'it takes root or CAP_NET_ADMIN',
  ENODEV: 'there is no interface with a route to it; name one, as in fd00::53%eth0',
  EADDRNOTAVAIL: 'no prefix of that interface has it in it, and this host forwards no packets',
  EINVAL: 'it is a unicast address of this host, or a group',
};

/**
 * `address` on the interface that its zone names (`fd00::53%eth0`), or on the one that the route to it takes.
 *
 * @throws UsageError; ERR_MOBISOCK_ENVIRONMENT where the kernel refuses or can't be asked.
 */
export function joinAnycast(address: string): AnycastMembership {
  const bytes = addressBytes(address);
  if (bytes === undefined || familyOf(address) !== 6) throw new UsageError(`anycast: "${address}" is no IPv6 address`);
  const libc = loadLibc();
  if (libc === undefined) {
    throw new UsageError(`anycast ${address}: cannot be joined here`, 'ERR_MOBISOCK_ENVIRONMENT', {
      cause: libcFailure(),
    });
  }
  const request = new Uint8Array(REQUEST_BYTES);
  request.set(bytes);
  new Uint32Array(request.buffer, 16, 1)[0] = interfaceIndex(libc, address);
  // Any socket does: the membership is its, and the packets are the host's.
  const fd = libc.socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw refusal(address, 'socket', fd);
  const joined = libc.setOption(fd, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, request);
  let open = true;
  const close = (): void => {
    if (open) libc.close(fd);
    open = false;
  };
  if (joined < 0) {
    close();
    throw refusal(address, 'setsockopt', joined);
  }
  return { close };
}

/** 0, which is any, without a zone. */
function interfaceIndex(libc: Libc, address: string): number {
  const zone = address.split('%')[1];
  if (zone === undefined) return 0;
  const index = libc.interfaceIndex(zone);
  if (index === 0) throw new UsageError(`anycast ${address}: no interface "${zone}"`, 'ERR_MOBISOCK_ENVIRONMENT');
  return index;
}

function refusal(address: string, syscall: string, errno: number): UsageError {
  const cause = systemError(syscall, errno);
  const meaning = MEANING[cause.code ?? ''] ?? 'the kernel refuses';
  return new UsageError(`anycast ${address}: ${meaning} (${cause.message})`, 'ERR_MOBISOCK_ENVIRONMENT', { cause });
}
