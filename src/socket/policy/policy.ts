/**
 * The policy: which connections and listeners are mobile, and what the endpoint is to use. Compiled once when the
 * process starts, then only asked. Pure: no files, no environment, no name resolution.
 *
 * A question that no rule concerns is answered with a constant; with rules, the first that matches wins.
 */
import { DEFAULT_AARPD_SOCKET } from '../../aarp/daemon/aarpd-socket.ts';
import { isLoopback, isUnspecified } from '../../core/address.ts';
import { addressWords, type Prefix, prefixMatches } from '../../core/prefix.ts';
import type { Initiative } from '../../l4mob/io/mobile-datagrams.ts';
import { canonicalHostName } from './host-name.ts';
import { NEEDS_ADDRESS, RuleTable } from './rule-table.ts';
import type {
  AarpdSetting,
  AddrselSetting,
  ConfiguredPeer,
  EventsTarget,
  GroupName,
  Limits,
  Mobility,
  PolicySettings,
  PortRange,
  RendezvousSetting,
  SuiteName,
} from './settings.ts';

export type { Prefix } from '../../core/prefix.ts';
export type * from './settings.ts';

export interface OutgoingQuestion {
  /** The name that the application asked for, where it asked for one. */
  readonly host?: string | undefined;
  /** A literal address in any spelling. */
  readonly address: string;
  readonly port: number;
}

/** What holds for one listener. `mobility` is what comes out: `off` also where `auto` leaves loopback alone. */
export interface ListenerPolicy {
  readonly mobility: Mobility;
  /** Who may open sessions; everyone where undefined. */
  readonly from: readonly Prefix[] | undefined;
}

interface CompiledListener extends ListenerPolicy {
  readonly address: Prefix | undefined;
  readonly port: PortRange;
  readonly onLoopback: ListenerPolicy;
}

const ANY_PORT: PortRange = { first: 0, last: 65_535 };

export class Policy {
  /** False after MOBISOCK=off: nothing is hooked at all. */
  readonly enabled: boolean;
  /** Where no rule decides. */
  readonly mobility: Mobility;
  /** In order of preference; undefined here and below: the endpoint's own default. */
  readonly suites: readonly SuiteName[] | undefined;
  readonly groups: readonly GroupName[] | undefined;
  readonly sessionPort: PortRange | undefined;
  readonly sessionTimeoutMs: number | undefined;
  readonly headStartMs: number | undefined;
  readonly natKeepAliveMs: number | undefined;
  readonly events: EventsTarget | undefined;
  readonly rendezvous: readonly RendezvousSetting[] | undefined;
  /** Path of the socket of the service that is asked about anycast addresses; undefined: this process asks by itself. */
  readonly aarpd: string | undefined;
  /** The policy table for addresses, by its name or path; undefined: as the system has it. */
  readonly addrsel: string | undefined;
  readonly limits: Limits;
  readonly peers: readonly ConfiguredPeer[];

  /** Destinations that can be anycast; none of them where mobisock is switched off. */
  readonly #anycast: readonly Prefix[];
  readonly #rules: RuleTable;
  /** Every mode that can come out for a peer, and for a listener. */
  readonly #peerModes: ReadonlySet<Mobility>;
  readonly #listenerModes: ReadonlySet<Mobility>;
  readonly #listeners: readonly CompiledListener[];
  readonly #otherListeners: CompiledListener;
  readonly #peers: ReadonlyMap<string, ConfiguredPeer>;

  constructor(settings: PolicySettings = {}, enabled = true) {
    this.enabled = enabled;
    this.mobility = enabled ? (settings.mobility ?? 'auto') : 'off';
    this.suites = settings.suites;
    this.groups = settings.groups;
    this.sessionPort = settings.sessionPort;
    this.sessionTimeoutMs = settings.sessionTimeoutMs;
    this.headStartMs = settings.headStartMs;
    this.natKeepAliveMs = settings.natKeepAliveMs;
    this.events = settings.events;
    this.rendezvous = settings.rendezvous;
    this.aarpd = socketOf(settings.aarpd);
    this.addrsel = tableOf(settings.addrsel);
    this.limits = settings.limits ?? {};
    this.#anycast = (enabled && settings.anycast) || [];
    this.peers = (enabled && settings.peers) || [];
    const rules = (enabled && settings.rules) || [];
    this.#rules = new RuleTable(rules);
    this.#peerModes = new Set([this.mobility, ...rules.map((rule) => rule.mobility)]);
    this.#listeners = ((enabled && settings.listeners) || []).map(({ address, port, mobility, from }) =>
      compileListener(address, port ?? ANY_PORT, mobility ?? this.mobility, from),
    );
    this.#listenerModes = new Set([this.mobility, ...this.#listeners.map((listener) => listener.mobility)]);
    this.#otherListeners = compileListener(undefined, ANY_PORT, this.mobility, undefined);
    this.#peers = new Map(this.peers.map((peer) => [`${peer.host} ${peer.port}`, peer]));
  }

  /** Whether any address can be anycast. */
  get knowsAnycast(): boolean {
    return this.#anycast.length > 0;
  }

  /** Whether that one can be: it is resolved to the member that answers there, before anything is sent. */
  mayBeAnycast(address: string): boolean {
    if (this.#anycast.length === 0) return false;
    const words = addressWords(address);
    return words !== undefined && this.#anycast.some((prefix) => prefixMatches(prefix, words));
  }

  /** What holds for a connection. `off` is also the answer where `auto` leaves loopback alone. */
  outgoing({ host, address, port }: OutgoingQuestion): Mobility {
    const found = this.#rules.size === 0 ? undefined : this.#rules.find(host, address, port);
    return settle(found ?? this.mobility, address);
  }

  /**
   * The answer where the name and the port alone decide, before anything is resolved; undefined where it takes an
   * address. `host` is a name and no literal address.
   */
  outgoingByName(host: string, port: number): Mobility | undefined {
    const found = this.#rules.size === 0 ? undefined : this.#rules.findByName(host, port);
    const mobility = found ?? this.mobility;
    return mobility === 'auto' || mobility === NEEDS_ADDRESS ? undefined : mobility;
  }

  /**
   * When a UDP peer may be asked for a flow. As for a connection, except that `auto` without a rule leaves short
   * exchanges alone where the socket is not connected to the peer.
   */
  datagrams({ host, address, port }: OutgoingQuestion, connected: boolean): Initiative {
    const found = this.#rules.size === 0 ? undefined : this.#rules.find(host, address, port);
    const mobility = settle(found ?? this.mobility, address);
    if (mobility === 'off') return 'never';
    return found === undefined && !connected && mobility === 'auto' ? 'lasting' : 'answered';
  }

  /** Whether nothing but flows may be between such a UDP socket and that peer: a rule for the peer decides first. */
  requiresFlows({ host, address, port }: OutgoingQuestion, socket: ListenerPolicy): boolean {
    if (!this.mayRequireFlows) return false;
    const found = this.#rules.size === 0 ? undefined : this.#rules.find(host, address, port);
    return found === undefined ? this.mobility === 'require' || socket.mobility === 'require' : found === 'require';
  }

  get mayRequireFlows(): boolean {
    return this.#peerModes.has('require') || this.#listenerModes.has('require');
  }

  /** Whether a UDP socket bound to that address can come to open flows; `undefined` stands for any address. */
  mayOpenFlows(address: string | undefined): boolean {
    return hasMobile(this.#peerModes, address);
  }

  /** As {@link mayOpenFlows}, before its port is known: whether it can come to have flows at all. */
  mayHaveFlows(address: string | undefined): boolean {
    return hasMobile(this.#peerModes, address) || hasMobile(this.#listenerModes, address);
  }

  /** What holds for a listener, by the address and port that `server.address()` tells. */
  listener({ address, port }: { readonly address: string; readonly port: number }): ListenerPolicy {
    const found = this.#listeners.length === 0 ? undefined : this.#findListener(address, port);
    const listener = found ?? this.#otherListeners;
    return isLoopbackAddress(address) ? listener.onLoopback : listener;
  }

  /** Whether `ip` may open sessions to that listener. */
  acceptsFrom(listener: ListenerPolicy, ip: string): boolean {
    if (listener.mobility === 'off') return false;
    if (listener.from === undefined) return true;
    const words = addressWords(ip);
    return words !== undefined && listener.from.some((prefix) => prefixMatches(prefix, words));
  }

  /** The configured peer behind a name or a canonical address, if there is one. */
  peer(host: string, port: number): ConfiguredPeer | undefined {
    if (this.#peers.size === 0) return undefined;
    return this.#peers.get(`${canonicalHostName(host)} ${port}`);
  }

  #findListener(address: string, port: number): CompiledListener | undefined {
    const words = addressWords(address);
    return this.#listeners.find(
      (rule) =>
        port >= rule.port.first &&
        port <= rule.port.last &&
        (rule.address === undefined || (words !== undefined && prefixMatches(rule.address, words))),
    );
  }
}

function socketOf(aarpd: AarpdSetting = { kind: 'socket', path: DEFAULT_AARPD_SOCKET }): string | undefined {
  return aarpd.kind === 'socket' ? aarpd.path : undefined;
}

function tableOf(addrsel: AddrselSetting = { kind: 'system' }): string | undefined {
  return addrsel.kind === 'table' ? addrsel.name : undefined;
}

function compileListener(
  address: Prefix | undefined,
  port: PortRange,
  mobility: Mobility,
  from: readonly Prefix[] | undefined,
): CompiledListener {
  return { address, port, mobility, from, onLoopback: { mobility: mobility === 'auto' ? 'off' : mobility, from } };
}

function hasMobile(modes: ReadonlySet<Mobility>, address: string | undefined): boolean {
  if (modes.has('prefer') || modes.has('require')) return true;
  return modes.has('auto') && (address === undefined || !isLoopbackAddress(address));
}

function settle(mobility: Mobility, address: string): Mobility {
  return mobility === 'auto' && (isLoopbackAddress(address) || isUnspecified(address)) ? 'off' : mobility;
}

/** Also in the spellings that are not canonical, as applications may give them. */
function isLoopbackAddress(address: string): boolean {
  if (isLoopback(address)) return true;
  // Any other spelling of ::1 and of ::ffff:127.x begins with a colon or a zero.
  if (!address.startsWith(':') && !address.startsWith('0')) return false;
  const found = addressWords(address);
  if (found === undefined) return false;
  const [first, second, third, fourth] = found.words;
  return found.family === 4 ? first >>> 24 === 127 : first === 0 && second === 0 && third === 0 && fourth === 1;
}
