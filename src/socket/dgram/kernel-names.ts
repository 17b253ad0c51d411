/**
 * The two spellings of an address: mobisock's (canonical) and that of one socket's kernel calls, where a udp6 socket
 * knows IPv4 peers by mapped addresses.
 */
import { isIPv4 } from 'node:net';
import { canonicalAddress, type Family, familyOf, type TransportAddress } from '../../core/address.ts';

const MAPPED = '::ffff:';

export class KernelNames {
  readonly #family: Family;
  readonly #ipv6Only: boolean;
  /** Datagrams come and go in runs with one peer: the address last asked about, as it was given. */
  #lastIp = '';
  #last: TransportAddress = { ip: '', port: 0 };

  constructor(family: Family, ipv6Only: boolean) {
    this.#family = family;
    this.#ipv6Only = ipv6Only;
  }

  /** The name of what an application or node gave as the address of a datagram; undefined where the kernel refuses it. */
  nameOf(ip: string, port: number): TransportAddress | undefined {
    if (ip === this.#lastIp && port === this.#last.port) return this.#last;
    const name = ip === this.#lastIp ? this.#last.ip : this.canonical(ip);
    if (name === undefined) return undefined;
    this.#lastIp = ip;
    this.#last = { ip: name, port };
    return this.#last;
  }

  canonical(ip: string): string | undefined {
    if (this.#family === 4) return isIPv4(ip) ? unspecifiedAsLoopback(ip) : undefined;
    const canonical = familyOf(ip) === 6 ? canonicalAddress(ip) : undefined;
    if (canonical === undefined || (familyOf(canonical) === 4 && this.#ipv6Only)) return undefined;
    return unspecifiedAsLoopback(canonical);
  }

  /** What the kernel is to be given; undefined where the socket cannot reach it. */
  addressOf(ip: string): string | undefined {
    if (familyOf(ip) === this.#family) return ip;
    return this.#family === 6 && !this.#ipv6Only ? MAPPED + ip : undefined;
  }
}

/** The kernel sends there, and that is where answers come from. */
function unspecifiedAsLoopback(ip: string): string {
  if (ip === '0.0.0.0') return '127.0.0.1';
  return ip === '::' ? '::1' : ip;
}
