/**
 * Anycast name servers of node's own DNS client (`dns.Resolver`, `dns.setServers`, `dns.promises`): its c-ares asks them
 * from native code, so the member that answers for one is put into its list of servers. The application goes on seeing
 * the address that it has set (paper 3: DNS over UDP with an anycast name server).
 *
 * c-ares takes another list only while it has no query. So where a member falls silent and another one answers probes,
 * the queries under way are cancelled and asked again of that one.
 */
import { canonicalAddress } from '../core/address.ts';
import type { Instant } from '../core/time.ts';
import { Alarm, monotonicNow } from '../host/clock.ts';
import { nodeBinding } from '../host/node-binding.ts';
import { shielded } from './application-call.ts';
import { debug } from './diagnostics.ts';
import type { Layer } from './layer.ts';

/** As c-ares is given it: family, address, port. */
type Server = readonly [family: number, ip: string, port: number];

/** QueryReqWrap. */
interface QueryRequest {
  oncomplete(this: QueryRequest, error: unknown, ...results: unknown[]): void;
}

type Query = (this: Channel, request: QueryRequest, ...args: unknown[]) => number;

/** ChannelWrap. */
interface Channel {
  getServers(): [ip: string, port: number][];
  setServers(servers: readonly Server[] | string): number;
  cancel(): void;
}

/** A question of the application. */
interface Asked {
  readonly query: Query;
  readonly request: QueryRequest;
  readonly args: readonly unknown[];
  /** When it was put to c-ares. */
  askedAt: Instant;
  /** It is to be put again to the members of now. */
  again: boolean;
}

/** Questions of one channel that wait until it is known whom to ask; those beyond go where the application said. */
const MAX_HELD = 1_024;
/** A name server near by says something sooner; after that it is worth a probe, and again after twice as long, up to */
const SUSPICION_MS = 400;
const LONGEST_SUSPICION_MS = 6_400;
const QUERY = /^query[A-Z]|^getHostByAddr$/;
const SILENCE: ReadonlySet<unknown> = new Set(['ETIMEOUT', 'ECONNREFUSED']);

/** Puts itself before node's DNS client; the function takes it off. */
export function resolveAnycastNameServers(layer: Layer): () => void {
  let prototype: Channel;
  try {
    prototype = nodeBinding<{ ChannelWrap: { prototype: Channel } }>('cares_wrap').ChannelWrap.prototype;
  } catch (error) {
    debug('anycast name servers are asked as they are: %s', (error as Error).message);
    return () => {};
  }
  const { getServers, setServers, cancel } = prototype;
  const channels = new WeakMap<Channel, NameServers>();
  const of = (channel: Channel): NameServers => {
    let servers = channels.get(channel);
    if (servers === undefined) {
      servers = new NameServers(layer, channel, { getServers, setServers, cancel });
      channels.set(channel, servers);
    }
    return servers;
  };
  const stand: Record<string, (this: Channel, ...args: never[]) => unknown> = {
    getServers() {
      return of(this).list();
    },
    setServers(servers: readonly Server[] | string) {
      return of(this).set(servers);
    },
    cancel() {
      of(this).cancel();
    },
  };
  const methods = prototype as unknown as Record<string, unknown>;
  for (const name of Object.getOwnPropertyNames(prototype).filter((each) => QUERY.test(each))) {
    const query = methods[name] as Query;
    stand[name] = function (request: QueryRequest, ...args: unknown[]) {
      return of(this).ask({ query, request, args, askedAt: 0, again: false });
    };
  }
  const natives = Object.keys(stand).map((name) => [name, methods[name]] as const);
  Object.assign(prototype, stand);
  return () => {
    for (const [name, native] of natives) if (methods[name] === stand[name]) methods[name] = native;
  };
}

class NameServers {
  readonly #layer: Layer;
  readonly #channel: Channel;
  readonly #native: Channel;
  /** As the application set them, or the system. */
  #servers: readonly Server[];
  /** The same as c-ares has them: members in the place of anycast addresses. */
  #applied: readonly Server[];
  readonly #asking = new Set<Asked>();
  #held: Asked[] = [];
  #resolving = false;
  #heardAt: Instant = 0;
  #patienceMs = SUSPICION_MS;
  /** The address whose member is doubted, while another one is looked for. */
  #suspected: string | undefined;
  readonly #suspicion: Alarm = new Alarm((now) => this.#suspectIfSilent(now));

  constructor(layer: Layer, channel: Channel, native: Channel) {
    this.#layer = layer;
    this.#channel = channel;
    this.#native = native;
    this.#servers = native.getServers.call(channel).map(([ip, port]) => [ip.includes(':') ? 6 : 4, ip, port]);
    this.#applied = this.#servers;
    this.#suspicion.unref();
  }

  list(): [ip: string, port: number][] {
    return this.#servers.map(([, ip, port]) => [ip, port]);
  }

  set(servers: readonly Server[] | string): number {
    const status = this.#native.setServers.call(this.#channel, servers);
    // Node's way back to a former list after an error is a text.
    if (status !== 0 || typeof servers === 'string') return status;
    this.#servers = servers;
    this.#applied = servers;
    return status;
  }

  cancel(): void {
    const held = this.#held;
    this.#held = [];
    for (const asked of this.#asking) asked.again = false;
    setImmediate(() => {
      for (const { request } of held) shielded(() => request.oncomplete('ECANCELLED'));
    });
    this.#native.cancel.call(this.#channel);
  }

  /** The status is c-ares's, or 0 where it will be told. */
  ask(asked: Asked): number {
    const unknown = this.#unknown();
    const waits = unknown.length > 0 || this.#held.length > 0 || this.#resolving;
    if (!waits || this.#held.length >= MAX_HELD) return this.#put(asked);
    this.#held.push(asked);
    if (!this.#resolving) this.#resolve(unknown);
    return 0;
  }

  /** Servers that can be anycast and of which nothing is known. */
  #unknown(): string[] {
    return this.#servers
      .map(([, ip]) => canonicalAddress(ip) ?? ip)
      .filter((ip) => {
        const resolver = this.#layer.resolverFor(ip);
        return resolver !== undefined && resolver.cached(ip) === undefined && ip !== this.#suspected;
      });
  }

  #resolve(addresses: readonly string[]): void {
    this.#resolving = true;
    const answers = addresses.map(async (ip) => this.#layer.resolverFor(ip)?.resolve(ip));
    // That nobody answers probes says nothing against asking there.
    Promise.allSettled(answers).then(() => {
      this.#resolving = false;
      this.#release();
    });
  }

  #release(): void {
    if (this.#resolving || [...this.#asking].some(({ again }) => again)) return;
    const held = this.#held;
    this.#held = [];
    for (const asked of held) {
      const status = this.#put(asked);
      if (status !== 0) shielded(() => asked.request.oncomplete(status));
    }
  }

  #put(asked: Asked): number {
    const { query, request, args } = asked;
    this.#apply();
    const own = Object.assign(new (request.constructor as new () => QueryRequest)(), request);
    own.oncomplete = (error, ...results) => this.#onAnswer(asked, error, results);
    const status = query.call(this.#channel, own, ...args);
    if (status === 0) {
      asked.askedAt = monotonicNow();
      this.#asking.add(asked);
      if (this.#asking.size === 1) this.#suspicion.set(asked.askedAt + this.#patienceMs);
    }
    return status;
  }

  /** Only while nothing is asked does c-ares take another list; what it has is good until then. */
  #apply(): void {
    if (this.#asking.size > 0) return;
    const members = this.#servers.map(([family, ip, port], i) => [family, this.#memberFor(ip, i), port] as const);
    const isNews = members.some(([, ip], i) => ip !== this.#applied[i]?.[1]);
    if (isNews && this.#native.setServers.call(this.#channel, members) === 0) this.#applied = members;
  }

  #memberFor(ip: string, i: number): string {
    const address = canonicalAddress(ip) ?? ip;
    const known = this.#layer.resolverFor(address)?.cached(address)?.unicast;
    return known ?? (address === this.#suspected ? this.#applied[i]?.[1] : undefined) ?? ip;
  }

  #onAnswer(asked: Asked, error: unknown, results: readonly unknown[]): void {
    this.#asking.delete(asked);
    if (this.#asking.size === 0) this.#suspicion.set(undefined);
    if (!SILENCE.has(error) && error !== 'ECANCELLED') {
      this.#heardAt = monotonicNow();
      this.#patienceMs = SUSPICION_MS;
    }
    if (asked.again && error === 'ECANCELLED') {
      asked.again = false;
      this.#held.push(asked);
    } else {
      if (SILENCE.has(error)) this.#leaveMembers();
      shielded(() => asked.request.oncomplete(error, ...results));
    }
    this.#release();
  }

  /** Nothing has been heard since the oldest query was put, for long. One that takes its time is not silence. */
  #suspectIfSilent(now: Instant): void {
    const [oldest] = this.#asking;
    if (oldest === undefined) return;
    const silentSince = Math.max(oldest.askedAt, this.#heardAt);
    if (now - silentSince >= this.#patienceMs) {
      this.#patienceMs = Math.min(2 * this.#patienceMs, LONGEST_SUSPICION_MS);
      this.#suspect();
    }
    this.#suspicion.set(silentSince + this.#patienceMs);
  }

  /** c-ares asks the servers in their order, so a query that waits long waits for the first. */
  #suspect(): void {
    const [address, suspected] = this.#memberAt(0) ?? [];
    if (address === undefined || suspected === undefined) return;
    const resolver = this.#layer.resolverFor(address);
    // A name that takes long to look up looks the same: until there is another member, what is asked goes to this one.
    this.#suspected = address;
    resolver?.failed(address, suspected);
    resolver?.resolve(address).then(
      ({ unicast }) => {
        this.#suspected = undefined;
        if (unicast === suspected || this.#memberAt(0)?.[1] !== suspected || this.#asking.size === 0) return;
        for (const asked of this.#asking) asked.again = true;
        this.#native.cancel.call(this.#channel);
      },
      () => {
        this.#suspected = undefined;
      },
    );
  }

  #leaveMembers(): void {
    for (const i of this.#servers.keys()) {
      const [address, member] = this.#memberAt(i) ?? [];
      if (address === undefined || member === undefined || member === address) continue;
      this.#layer.resolverFor(address)?.failed(address, member);
    }
  }

  /** The server of that place as it was set, where it can be anycast, and the member that c-ares asks for it. */
  #memberAt(i: number): readonly [address: string, member: string] | undefined {
    const [asked, applied] = [this.#servers[i]?.[1], this.#applied[i]?.[1]];
    if (asked === undefined || applied === undefined) return undefined;
    const address = canonicalAddress(asked) ?? asked;
    if (this.#layer.resolverFor(address) === undefined) return undefined;
    return [address, canonicalAddress(applied) ?? applied];
  }
}
