/**
 * Network address translation at the router, in front of chosen networks: flows from such a network appear with its
 * public address (see topology.ts) and a source port from a range that no program picks by itself.
 *
 * rebind() is what a NAT does when it reboots or runs out of patience: all mappings are forgotten, and flows get ports
 * of the next range. What then happens to a running TCP flow differs between real NATs, so the test says which:
 * - `silent`: its packets are dropped without a word (nf_conntrack_tcp_loose=0 and `ct state invalid drop`);
 * - `reset`: they pass with a new source port, and the server, which knows no such flow, answers with a reset.
 * Running UDP flows go on with a new source port either way. Packets for a forgotten mapping are always dropped.
 *
 * forgetEvery() is a NAT that does it all the time, to UDP flows, each of which gets any port.
 */
import { UsageError } from '../../src/core/errors.ts';
import type { Namespace } from './namespace.ts';
import { Program } from './program.ts';
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
  /** Each flow gets any port of all ranges, whatever it had before. Default: one of the present range. */
  readonly randomPorts?: boolean;
}

/** A NAT that forgets, until it is stopped. */
export interface Forgetting {
  /** Until it has had something to forget so many times more. */
  times(count: number): Promise<void>;
  stop(): Promise<void>;
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

  /** Forgets all mappings of UDP over IPv4, again that long after it is done. To be used with `randomPorts`. */
  forgetEvery(ms: number): Forgetting {
    const script = `while :; do conntrack -D -p udp >/dev/null 2>&1 && echo forgotten; sleep ${ms / 1000}; done`;
    const argv = this.#router.enter(['sh', '-c', script]);
    const program = new Program(argv, { title: 'a NAT that forgets', env: process.env, directory: '/' });
    return {
      times: async (count) => {
        for (let time = 0; time < count; time++) await program.line(/^forgotten$/);
      },
      stop: async () => {
        await program.stop('SIGKILL');
      },
    };
  }

  /** Packets that came for a mapping that is forgotten, since the NAT was enabled or rebound. */
  async unmapped(): Promise<number> {
    const listing = await this.#router.command(['nft', 'list', 'chain', 'inet', 'lab', 'nat_guard_input']);
    return [...listing.matchAll(/counter packets (\d+)/g)].reduce((sum, [, packets]) => sum + Number(packets), 0);
  }

  /** The source ports that flows get from now on, both ends included. */
  portRange(): readonly [number, number] {
    if (this.#options?.randomPorts === true) return [FIRST_PORT, FIRST_PORT + RANGES * PORTS_PER_RANGE - 1];
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
        lines.push(...sourceRules(network, family, this.#options?.randomPorts ? `${range} fully-random` : range));
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
    // From outside the addresses behind a NAT lead nowhere.
    `add rule inet lab nat_guard_forward oifname "${network.name}" ct state new drop`,
    // Without a mapping the packet would be for the router itself, which would answer for a flow that isn't its own.
    `add rule inet lab nat_guard_input ${ip} daddr ${address} meta l4proto { tcp, udp } counter drop`,
  ];
}
