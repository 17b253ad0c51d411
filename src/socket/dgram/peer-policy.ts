/**
 * What the policy says to one UDP socket about its peers. Knows the names behind the addresses that the application had
 * looked up, since rules may be about names.
 */
import { isGroupAddress, type TransportAddress } from '../../core/address.ts';
import type { Initiative } from '../../l4mob/io/mobile-datagrams.ts';
import type { ListenerPolicy, OutgoingQuestion, Policy } from '../policy/policy.ts';
import { isDirectedBroadcast } from './directed-broadcast.ts';

/** Names remembered for a socket. Few programs send to as many; one forgotten counts as an address without a name. */
const NAMES = 256;

export class PeerPolicy {
  /** Set where the application has allowed broadcast. */
  broadcast = false;
  readonly #policy: Policy;
  readonly #socket: ListenerPolicy;
  /** By canonical address; the one looked up longest ago first. */
  #hosts: Map<string, string> | undefined;

  constructor(policy: Policy, socket: ListenerPolicy) {
    this.#policy = policy;
    this.#socket = socket;
  }

  lookedUp(host: string, ip: string): void {
    this.#hosts ??= new Map();
    this.#hosts.delete(ip);
    this.#hosts.set(ip, host);
    const [oldest] = this.#hosts.keys();
    if (oldest !== undefined && this.#hosts.size > NAMES) this.#hosts.delete(oldest);
  }

  hostOf(ip: string): string | undefined {
    return this.#hosts?.get(ip);
  }

  initiates(remote: TransportAddress, connected: boolean): Initiative {
    if (isGroupAddress(remote.ip) || (this.broadcast && isDirectedBroadcast(remote.ip))) return 'never';
    return this.#policy.datagrams(this.#question(remote), connected);
  }

  requires(remote: TransportAddress): boolean {
    return this.#policy.mayRequireFlows && this.#policy.requiresFlows(this.#question(remote), this.#socket);
  }

  accepts(ip: string): boolean {
    return this.#policy.acceptsFrom(this.#socket, ip);
  }

  #question({ ip, port }: TransportAddress): OutgoingQuestion {
    return { host: this.#hosts?.get(ip), address: ip, port };
  }
}
