/**
 * What the network does to traffic on its way: loss, black holes, refusals, dead flows, rate limits; and exact counts
 * of what passed. Rules of the router's packet filter, each a handle that can be read and removed. A rule is in force
 * when the promise resolves.
 *
 * Delay and reordering are not made here: this kernel may lack netem, and the simulated network has both.
 */
import { isIP } from 'node:net';
import { UsageError } from '../../src/core/errors.ts';
import type { Namespace } from './namespace.ts';
import type { Network } from './topology.ts';

/** All given parts must hold; an empty match is all traffic that the router forwards. */
export interface TrafficMatch {
  /** A network's name, an address, or a prefix. */
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: 'tcp' | 'udp' | 'icmp' | 'icmpv6';
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export type Refusal = 'port-unreachable' | 'host-unreachable' | 'no-route' | 'admin-prohibited' | 'tcp-reset';

export interface Traffic {
  readonly packets: number;
  readonly bytes: number;
}

/** Marks flows that dropEstablished() has killed. */
const DEAD_FLOW_MARK = 1;
/** Enough for a burst of the rates that tests use; a smaller bucket would lose packets at the rate itself. */
const BUCKET_BYTES = 256 * 1024;

export class Condition {
  readonly #router: Namespace;
  readonly #chain: string;
  readonly #handle: number;

  constructor(router: Namespace, chain: string, handle: number) {
    this.#router = router;
    this.#chain = chain;
    this.#handle = handle;
  }

  /** What the rule has met so far: dropped, refused or counted. */
  async traffic(): Promise<Traffic> {
    const listing = await this.#router.command(['nft', '--handle', 'list', 'chain', 'inet', 'lab', this.#chain]);
    const line = listing.split('\n').find((each) => each.trimEnd().endsWith(`# handle ${this.#handle}`));
    const counter = /counter packets (\d+) bytes (\d+)/.exec(line ?? '');
    if (counter === null) throw new UsageError('this condition was removed, so it has no counts any more');
    return { packets: Number(counter[1]), bytes: Number(counter[2]) };
  }

  async remove(): Promise<void> {
    await this.#router.nft(`delete rule inet lab ${this.#chain} handle ${this.#handle}`);
  }
}

export class LinkConditions {
  readonly #router: Namespace;
  readonly #networks: ReadonlyMap<string, Network>;

  constructor(router: Namespace, networks: ReadonlyMap<string, Network>) {
    this.#router = router;
    this.#networks = networks;
  }

  /** Drops packets at random, independently of each other. */
  async lose(perMille: number, match: TrafficMatch = {}): Promise<Condition> {
    if (!Number.isInteger(perMille) || perMille < 1 || perMille > 1000) {
      throw new UsageError(`loss of ${perMille} per mille; expected a whole number from 1 to 1000`);
    }
    return await this.#add(
      'conditions',
      `${this.#expression(match)} numgen random mod 1000 < ${perMille} counter drop`,
    );
  }

  /** Drops everything that matches, without a word. */
  async blackhole(match: TrafficMatch): Promise<Condition> {
    return await this.#add('conditions', `${this.#expression(match)} counter drop`);
  }

  /** Answers with an ICMP error, or with a TCP reset. */
  async refuse(refusal: Refusal, match: TrafficMatch): Promise<Condition> {
    if (refusal !== 'tcp-reset') {
      return await this.#add('conditions', `${this.#expression(match)} counter reject with icmpx type ${refusal}`);
    }
    const tcp = this.#expression({ ...match, protocol: 'tcp' });
    return await this.#add('conditions', `${tcp} counter reject with tcp reset`);
  }

  /** Drops every packet, both ways, of flows that are known now; new flows pass. */
  async dropEstablished(): Promise<Condition> {
    const condition = await this.#add('conditions', `ct mark ${DEAD_FLOW_MARK} counter drop`);
    for (const family of ['ipv4', 'ipv6']) {
      // Its exit code says failure when there was no flow to update, so its message is the measure.
      const update = `conntrack -U -f ${family} --mark ${DEAD_FLOW_MARK} 2>&1 >/dev/null | grep 'have been updated'`;
      await this.#router.command(['sh', '-c', update]);
    }
    return condition;
  }

  /** A stateful firewall in front of a network: only answers to what its host has sent get in. */
  async blockInbound(network: string): Promise<Condition> {
    return await this.#add('conditions', `${this.#expression({ to: network })} ct state new counter drop`);
  }

  /** Counts what reaches the router to be forwarded, whatever then happens to it. */
  async count(match: TrafficMatch): Promise<Condition> {
    return await this.#add('watch', `${this.#expression(match)} counter`);
  }

  /** Removes all conditions and counts; rate limits stay. */
  async clear(): Promise<void> {
    await this.#router.nft('flush chain inet lab conditions\nflush chain inet lab watch');
  }

  /** Towards the host of the network. Replaces an earlier limit; undefined removes it. */
  async limitRate(network: string, megabitsPerSecond: number | undefined): Promise<void> {
    if (!this.#networks.has(network)) throw new UsageError(`no network "${network}" to limit`);
    const verb = megabitsPerSecond === undefined ? 'delete' : 'replace';
    const discipline =
      megabitsPerSecond === undefined
        ? []
        : ['tbf', 'rate', `${megabitsPerSecond}mbit`, 'burst', String(BUCKET_BYTES), 'latency', '50ms'];
    await this.#router.command(['tc', 'qdisc', verb, 'dev', network, 'root', ...discipline]);
  }

  async #add(chain: string, rule: string): Promise<Condition> {
    const echo = await this.#router.nft(`add rule inet lab ${chain} ${rule}`);
    const handle = /# handle (\d+)/.exec(echo)?.[1];
    if (handle === undefined) throw new UsageError(`nft did not tell the handle of "${rule}": ${echo}`);
    return new Condition(this.#router, chain, Number(handle));
  }

  #expression(match: TrafficMatch): string {
    const parts: string[] = [];
    if (match.from !== undefined) parts.push(this.#end(match.from, 'iifname', 'saddr'));
    if (match.to !== undefined) parts.push(this.#end(match.to, 'oifname', 'daddr'));
    const { protocol, sourcePort, destinationPort } = match;
    const ports = sourcePort !== undefined || destinationPort !== undefined;
    if (protocol !== undefined) parts.push(`meta l4proto ${protocol}`);
    else if (ports) parts.push('meta l4proto { tcp, udp }');
    if (sourcePort !== undefined) parts.push(`th sport ${sourcePort}`);
    if (destinationPort !== undefined) parts.push(`th dport ${destinationPort}`);
    return parts.join(' ');
  }

  #end(end: string, interfaceKey: string, addressKey: string): string {
    if (this.#networks.has(end)) return `${interfaceKey} "${end}"`;
    const version = isIP(end.split('/')[0] ?? '');
    if (version === 0) throw new UsageError(`"${end}" is neither a network of this laboratory nor an address`);
    return `${version === 4 ? 'ip' : 'ip6'} ${addressKey} ${end}`;
  }
}
