/**
 * The resolver in this process: the core on a ping socket, a UDP socket and one alarm. Keeps the process alive only
 * while somebody waits for an answer, which is for some seconds at most.
 *
 * With a new address of the host it forgets what it knows: from another network other members are near, and what was
 * silent may not be.
 */
import { isLinkLocal, isLoopback, type TransportAddress } from '../../core/address.ts';
import { UsageError, WireError } from '../../core/errors.ts';
import { type AddressWatch, openAddressWatch } from '../../host/address-watch.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { openPingPort, type PingPort } from '../../host/ping-port.ts';
import { osRandom } from '../../host/random.ts';
import { openUdpPort, type UdpPort } from '../../host/udp-port.ts';
import type { ResolverLimits, ResolverTimes } from '../limits.ts';
import type { Probe, ProbeMethod } from '../question.ts';
import { type Resolution, type Resolver, UnresolvedError } from '../resolution.ts';
import { AnycastResolver, type ResolverCounters } from '../resolver.ts';
import { AARP_KEY_BYTES, AARP_PORT, decodeAarpReply, encodeAarpProbe } from '../wire/aarp.ts';

export interface EmbeddedResolverOptions {
  /** How members are asked; default: by echo requests and AARP datagrams, with a key by AARP datagrams alone. */
  readonly methods?: readonly ProbeMethod[];
  /** Of members' AARP services; default 4476. */
  readonly port?: number;
  /** 16 to 64 secret bytes that members have too: then nobody else can answer for them. */
  readonly key?: Uint8Array;
  /** Where echo requests come from; default: a ping socket, or else the program `ping`. */
  readonly ping?: PingPort['kind'];
  readonly limits?: Partial<ResolverLimits>;
  readonly times?: Partial<ResolverTimes>;
}

export interface EmbeddedCounters extends ResolverCounters {
  /** Datagrams at the AARP socket that are no reply, or under another key. */
  readonly malformed: number;
}

/** The route to an address is missing, so no other kind of probe gets there either. */
const NO_ROUTE: ReadonlySet<string | undefined> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
]);

interface Caller {
  resolve(resolution: Resolution): void;
  reject(error: UnresolvedError): void;
}

export class EmbeddedResolver implements Resolver {
  readonly #core: AnycastResolver;
  readonly #port: number;
  readonly #key: Uint8Array | undefined;
  readonly #ping: PingPort | undefined;
  readonly #udp: UdpPort | undefined;
  readonly #alarm: Alarm;
  readonly #callers = new Map<number, Caller>();
  /** From the first question on. */
  #watch: AddressWatch | undefined;
  /** Why there are no echo requests, though they were asked for. */
  readonly echoFailure: Error | undefined;
  #malformed = 0;
  #closed = false;

  /**
   * @throws UsageError for a key or port that can't be; ERR_MOBISOCK_ENVIRONMENT where echo requests are all that is
   * asked for and can't be had.
   */
  constructor(options: EmbeddedResolverOptions = {}) {
    const { key, port = AARP_PORT, limits = {}, times = {} } = options;
    const wanted = options.methods ?? (key === undefined ? ['echo', 'aarp'] : ['aarp']);
    checkKey(key);
    if (key !== undefined && wanted.includes('echo')) {
      throw new UsageError('resolver: with a key only AARP datagrams count, so "echo" can be no method');
    }
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new UsageError(`resolver: ${port} is no port`);
    this.#port = port;
    this.#key = key;
    const echo = wanted.includes('echo') ? this.#openPing(options.ping) : undefined;
    if (echo instanceof Error) {
      if (!wanted.includes('aarp')) throw echo;
      this.echoFailure = echo;
    } else this.#ping = echo;
    if (wanted.includes('aarp')) this.#udp = this.#openUdp();
    const methods = wanted.filter((method) => (method === 'echo' ? this.#ping : this.#udp) !== undefined);
    this.#core = new AnycastResolver({ random: osRandom, methods, limits, times });
    this.#alarm = new Alarm((now) => {
      this.#core.handleTimeout(now);
      this.#drain();
    });
  }

  resolve(address: string): Promise<Resolution> {
    const known = this.cached(address);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new UnresolvedError(address, 'closed');
      this.#watch ??= this.#openWatch();
      const caller = this.#core.resolve(monotonicNow(), address);
      this.#callers.set(caller, { resolve, reject });
      this.#drain();
    });
  }

  cached(address: string): Resolution | undefined {
    return this.#core.cached(monotonicNow(), address);
  }

  failed(address: string, unicast: string): void {
    if (this.#closed) return;
    this.#core.failed(monotonicNow(), address, unicast);
    this.#drain();
  }

  flush(address?: string): void {
    this.#core.flush(address);
  }

  /** What is known beforehand; what was learnt since stays. */
  remember(resolution: Resolution): void {
    this.#core.remember(monotonicNow(), resolution);
  }

  /** All that is known. */
  list(): Resolution[] {
    return this.#core.list(monotonicNow());
  }

  counters(): EmbeddedCounters {
    return { ...this.#core.counters, malformed: this.#malformed };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#core.close();
    this.#drain();
    this.#alarm.set(undefined);
    this.#ping?.close();
    this.#udp?.close();
    this.#watch?.close();
  }

  #openWatch(): AddressWatch {
    const watch = openAddressWatch();
    watch.subscribe(({ added }) => {
      if (added.some(({ ip }) => !isLoopback(ip) && !isLinkLocal(ip))) this.flush();
    });
    return watch;
  }

  #openPing(kind: PingPort['kind'] | undefined): PingPort | Error {
    try {
      return openPingPort(
        {
          onReply: (payload, from) => this.#answer(payload, { method: 'echo', from }),
          onUnsendable: (nonce, { code }) => this.#onUnsendable(nonce, code),
        },
        kind,
      );
    } catch (error) {
      if (error instanceof UsageError) return error;
      throw error;
    }
  }

  /** For both families; IPv4 alone where the host has no IPv6. */
  #openUdp(): UdpPort | undefined {
    const onDatagram = (bytes: Uint8Array, from: TransportAddress): void => this.#onDatagram(bytes, from);
    for (const address of ['::', '0.0.0.0']) {
      const port = openUdpPort({ address, port: 0, onDatagram });
      if (port.port !== 0) return port;
    }
    return undefined;
  }

  #onDatagram(bytes: Uint8Array, from: TransportAddress): void {
    try {
      const { nonce, members, lifetimeSeconds } = decodeAarpReply(bytes, this.#key);
      if (from.port !== this.#port) return;
      this.#answer(nonce, { method: 'aarp', from: from.ip, members, lifetimeMs: lifetimeSeconds * 1_000 });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#malformed += 1;
    }
  }

  #answer(nonce: Uint8Array, answer: Parameters<AnycastResolver['handleAnswer']>[2]): void {
    if (this.#closed) return;
    this.#core.handleAnswer(monotonicNow(), nonce, answer);
    this.#drain();
  }

  #onUnsendable(nonce: Uint8Array, code: string | undefined): void {
    if (this.#closed) return;
    const now = monotonicNow();
    this.#core.handleUnsendable(now, { nonce, method: 'echo' });
    if (NO_ROUTE.has(code)) this.#core.handleUnsendable(now, { nonce, method: 'aarp' });
    this.#drain();
  }

  #drain(): void {
    const core = this.#core;
    for (let probe = core.pollProbe(); probe !== undefined; probe = core.pollProbe()) this.#send(probe);
    for (let event = core.pollEvent(); event !== undefined; event = core.pollEvent()) {
      const caller = this.#callers.get(event.caller);
      this.#callers.delete(event.caller);
      if (event.type === 'resolved') caller?.resolve(event.resolution);
      else caller?.reject(new UnresolvedError(event.address, event.reason));
    }
    this.#alarm.set(core.pollTimeout());
    if (this.#callers.size > 0) this.#alarm.ref();
    else this.#alarm.unref();
  }

  #send({ method, to, nonce }: Probe): void {
    if (method === 'echo') this.#ping?.send(to, nonce);
    else this.#udp?.send(encodeAarpProbe({ nonce, asked: to }, this.#key), { ip: to, port: this.#port });
  }
}

/** @throws UsageError */
export function checkKey(key: Uint8Array | undefined): void {
  const { least, most } = AARP_KEY_BYTES;
  if (key === undefined || (key.length >= least && key.length <= most)) return;
  throw new UsageError(`AARP key: found ${key.length} bytes, expected ${least} to ${most}`);
}
