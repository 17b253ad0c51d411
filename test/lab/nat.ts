/**
 * Network address translation at the router, in front of chosen networks: flows from such a network appear with its
 * public address (see topology.ts) and a source port from a range that no program picks by itself.
 *
 * rebind() is what a NAT does when it reboots or runs out of patience: all mappings are forgotten, and flows get ports
 * of the next range. What then happens to a running TCP flow differs between real NATs, so the test says which:
 * - `silent`: its packets are dropped without a word (nf_conntrack_tcp_loose=0 and `ct state invalid drop`);
 * - `reset`: they pass with a new source port, and the server, which knows no such flow, answers with a reset.
 * Running UDP flows go on with a new source port either way. Packets for a forgotten mapping are always dropped.
 */
import { UsageError } from '../../src/core/errors.ts';
import type { Namespace } from './namespace.ts';
import type { Families, Family, Network } from './topology.ts';

/** Below the ephemeral ports of Linux (from 32768), so that a translated port never equals the program's own. */
const FIRST_PORT = 20_000;
const PORTS_PER_RANGE = 500;
const RANGES = 24;

export interface NatOptions {
  /** Whose hosts are behind NAT. */
  readonly networks: readonly string[];
  /** With IPv6 too, where real networks rarely translate. Default: IPv4 only. */
  readonly families?: Families;
}

export interface RebindOptions {
  readonly established: 'silent' | 'reset';
}

export class Nat {
  readonly #router: Namespace;
  readonly #networks: ReadonlyMap<string, Network>;
  #options: NatOptions | undefined;
  #generation = 0;

  constructor(router: Namespace, networks: ReadonlyMap<string, Network>) {
    this.#router = router;
    this.#networks = networks;
  }

  /** Flows that began before keep their own addresses. */
  async enable(options: NatOptions): Promise<void> {
    this.#options = options;
    await this.#router.nft(this.#rules('reset'));
  }

  async disable(): Promise<void> {
    this.#options = undefined;
    await this.#router.nft(FLUSH);
  }

  async rebind(options: RebindOptions): Promise<void> {
    if (this.#options === undefined) throw new UsageError('rebind() without NAT; call enable() first');
    this.#generation = (this.#generation + 1) % RANGES;
    const loose = options.established === 'silent' ? 0 : 1;
    await this.#router.command(['sh', '-c', `echo ${loose} >/proc/sys/net/netfilter/nf_conntrack_tcp_loose`]);
    await this.#router.nft(this.#rules(options.established));
    for (const family of ['ipv4', 'ipv6']) await this.#router.command(['conntrack', '-F', '-f', family]);
  }

  /** The source ports that flows get from now on, both ends included. */
  portRange(): readonly [number, number] {
    const first = FIRST_PORT + this.#generation * PORTS_PER_RANGE;
    return [first, first + PORTS_PER_RANGE - 1];
  }

  #rules(established: RebindOptions['established']): string {
    const { networks = [], families = 'ipv4' } = this.#options ?? {};
    const range = this.portRange().join('-');
    const lines = [FLUSH];
    // Only what is in no flow or starts none: a loose tracker takes a packet from the middle of a flow as its start.
    if (established === 'silent') lines.push('add rule inet lab nat_guard_forward ct state invalid drop');
    for (const name of networks) {
      const network = this.#networks.get(name);
      if (network === undefined) throw new UsageError(`no network "${name}" to put behind NAT`);
      for (const family of ['ipv4', 'ipv6'] as const) {
        if (families !== 'both' && families !== family) continue;
        lines.push(...sourceRules(network, family, range));
      }
    }
    return lines.join('\n');
  }
}

const FLUSH =
  'flush chain inet lab nat_source\nflush chain inet lab nat_guard_forward\nflush chain inet lab nat_guard_input';

function sourceRules(network: Network, family: Family, range: string): string[] {
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  const address = network.publicAddress[family];
  const withPorts = family === 'ipv4' ? `${address}:${range}` : `[${address}]:${range}`;
  const leaving = `iifname "${network.name}" ${ip} saddr ${network.prefix[family]}`;
  return [
    `add rule inet lab nat_source ${leaving} meta l4proto { tcp, udp } snat ${ip} to ${withPorts}`,
    `add rule inet lab nat_source ${leaving} snat ${ip} to ${address}`,
    // Without a mapping the packet would be for the router itself, which would answer for a flow that isn't its own.
    `add rule inet lab nat_guard_input ${ip} daddr ${address} meta l4proto { tcp, udp } drop`,
  ];
}
