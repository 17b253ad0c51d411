/**
 * The plan of the laboratory: which hosts, which networks, which addresses, and the commands that build it.
 *
 * Every network is one veth pair between a host and the router, with the network's name at both ends:
 *
 *     client --wifi--+          +--east-- server
 *                    +- router -+
 *     client --lte---+          +--west-- server
 *
 * Network n is 10.77.n.0/24 and fd77:n::/64, the router .1, the host .2; behind NAT it appears as 10.77.(200+n).1 and
 * fd77:(200+n)::1. Duplicate address detection is off, so that an address works the moment it is added.
 */
import { UsageError } from '../../src/core/errors.ts';
import { Namespace } from './namespace.ts';
import type { Realm } from './realm.ts';

export type Family = 'ipv4' | 'ipv6';
export type Families = Family | 'both';

export interface Network {
  readonly name: string;
  readonly number: number;
  readonly host: string;
  readonly hostAddress: Readonly<Record<Family, string>>;
  readonly routerAddress: Readonly<Record<Family, string>>;
  readonly publicAddress: Readonly<Record<Family, string>>;
  readonly prefix: Readonly<Record<Family, string>>;
}

export type HostPlan = Readonly<Record<string, readonly string[]>>;

export const DEFAULT_HOSTS: HostPlan = { client: ['wifi', 'lte'], server: ['east', 'west'] };

/** The kernel's limit for an interface name without its terminating zero. */
const INTERFACE_NAME_LIMIT = 15;
/** Public addresses count from 200 in the same byte. */
const NETWORK_LIMIT = 50;

export function planNetworks(hosts: HostPlan): ReadonlyMap<string, Network> {
  const networks = new Map<string, Network>();
  for (const [host, names] of Object.entries(hosts)) {
    for (const name of names) {
      if (!/^[a-z][a-z0-9-]*$/.test(name) || name.length > INTERFACE_NAME_LIMIT || name === 'lo') {
        throw new UsageError(`network name "${name}" of host "${host}" cannot be an interface name`);
      }
      if (networks.has(name)) throw new UsageError(`network "${name}" has two hosts; each network has one`);
      const n = networks.size + 1;
      if (n > NETWORK_LIMIT) throw new UsageError(`more than ${NETWORK_LIMIT} networks in one laboratory`);
      networks.set(name, {
        name,
        number: n,
        host,
        hostAddress: { ipv4: `10.77.${n}.2`, ipv6: `fd77:${n}::2` },
        routerAddress: { ipv4: `10.77.${n}.1`, ipv6: `fd77:${n}::1` },
        publicAddress: { ipv4: `10.77.${200 + n}.1`, ipv6: `fd77:${200 + n}::1` },
        prefix: { ipv4: `10.77.${n}.0/24`, ipv6: `fd77:${n}::/64` },
      });
    }
  }
  return networks;
}

export interface Topology {
  readonly router: Namespace;
  readonly hosts: ReadonlyMap<string, Namespace>;
  readonly networks: ReadonlyMap<string, Network>;
}

export interface TopologyPlan {
  readonly labName: string;
  readonly hosts: HostPlan;
  readonly offload: boolean;
  readonly sourceRouting: boolean;
}

export function planTopology(realm: Realm, plan: TopologyPlan): Topology {
  const networks = planNetworks(plan.hosts);
  const hosts = new Map<string, Namespace>();
  for (const name of Object.keys(plan.hosts)) hosts.set(name, new Namespace(realm, `${plan.labName}-${name}`));
  return { router: new Namespace(realm, `${plan.labName}-router`), hosts, networks };
}

export function namespaceNames(topology: Topology): string[] {
  return [topology.router, ...topology.hosts.values()].map((namespace) => namespace.name);
}

/** One `ip -batch` for all namespaces and cables, then one shell in each namespace, all at the same time. */
export async function buildTopology(
  topology: Topology,
  plan: TopologyPlan,
  batch: (lines: string) => Promise<unknown>,
): Promise<void> {
  const { router, hosts, networks } = topology;
  const lines = namespaceNames(topology).map((name) => `netns add ${name}`);
  for (const network of networks.values()) {
    const host = hosts.get(network.host)?.name;
    lines.push(`link add ${network.name} netns ${host} type veth peer name ${network.name} netns ${router.name}`);
  }
  await batch(`${lines.join('\n')}\n`);
  await Promise.all([
    router.command(['sh', '-e'], routerScript([...networks.values()], plan)),
    ...[...hosts].map(([name, namespace]) => {
      const own = [...networks.values()].filter((network) => network.host === name);
      return namespace.command(['sh', '-e'], hostScript(own, plan));
    }),
  ]);
}

function commonScript(networks: readonly Network[], { offload }: TopologyPlan): string[] {
  return [
    'set_all() { for file in /proc/sys/net/$1/conf/*/$2; do echo $3 >$file; done; }',
    'set_all ipv6 accept_dad 0',
    'set_all ipv6 accept_ra 0',
    'set_all ipv6 router_solicitations 0',
    'set_all ipv4 rp_filter 0',
    // Error messages must come every time, or a test depends on the one before it.
    'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit',
    'echo 0 >/proc/sys/net/ipv6/icmp/ratelimit',
    // The whole range needs the real root; in a user namespace only group 0 exists.
    'echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range 2>/dev/null || echo 0 0 >/proc/sys/net/ipv4/ping_group_range',
    // With offloads one lost or counted "packet" is up to 64 KiB of TCP.
    ...(offload ? [] : networks.map(({ name }) => `ethtool -K ${name} tso off gso off gro off >/dev/null`)),
  ];
}

function hostScript(networks: readonly Network[], plan: TopologyPlan): string {
  // A rule whose table is empty, since the network is not attached, decides nothing; so the rules can stay.
  const rules = networks.flatMap(({ number, prefix }) => [
    `ip -4 rule add from ${prefix.ipv4} table ${number}`,
    `ip -6 rule add from ${prefix.ipv6} table ${number}`,
  ]);
  return [...commonScript(networks, plan), 'ip link set lo up', ...(plan.sourceRouting ? rules : []), ''].join('\n');
}

function routerScript(networks: readonly Network[], plan: TopologyPlan): string {
  const ip = ['link set lo up'];
  for (const { name, routerAddress, publicAddress } of networks) {
    ip.push(
      `link set ${name} up`,
      `address add ${routerAddress.ipv4}/24 dev ${name}`,
      `address add ${routerAddress.ipv6}/64 dev ${name} nodad`,
      `address add ${publicAddress.ipv4}/32 dev lo`,
      `address add ${publicAddress.ipv6}/128 dev lo nodad`,
    );
  }
  return [
    ...commonScript(networks, plan),
    'echo 1 >/proc/sys/net/ipv4/ip_forward',
    'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
    `ip -batch - <<'END'\n${ip.join('\n')}\nEND`,
    `nft -f - <<'END'\n${ROUTER_TABLE}\nEND`,
    '',
  ].join('\n');
}

/**
 * Chains in the order a packet meets them. `watch` only counts, before anything is dropped. `track` mentions connection
 * tracking so that flows are known from their first packet on, whenever a test starts to care.
 */
const ROUTER_TABLE = `
table inet lab {
  chain watch { type filter hook forward priority -20; }
  chain track { type filter hook forward priority -10; ct state new; }
  chain conditions { type filter hook forward priority 0; }
  chain nat_guard_forward { type filter hook forward priority 10; }
  chain nat_guard_input { type filter hook input priority 10; }
  chain nat_source { type nat hook postrouting priority 100; }
}`;
