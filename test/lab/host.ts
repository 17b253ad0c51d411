/**
 * A host of the laboratory: it moves between its networks and runs programs. Links come up first, then
 * addresses, then routes, within a few milliseconds, so the program under test sees what the kernel of a roaming machine
 * shows.
 */
import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError } from '../../src/core/errors.ts';
import type { Namespace } from './namespace.ts';
import { Program } from './program.ts';
import type { Families, Family, Network } from './topology.ts';

/** Networks attached at the same time share one routing table; the earlier one of the plan is preferred. */
const ROUTE_METRIC_STEP = 100;

export interface RunOptions {
  /** Added to this process's environment, without its NODE_OPTIONS; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Placed before `args`, say `['--import', shim]`. */
  readonly nodeFlags?: readonly string[];
  readonly directory?: string;
}

export class Host {
  readonly name: string;
  readonly namespace: Namespace;
  readonly #networks: ReadonlyMap<string, Network>;
  readonly #sourceRouting: boolean;
  readonly #router: Namespace;
  readonly #programs: Program[] = [];
  readonly #attached = new Map<string, Families>();

  constructor(init: {
    name: string;
    namespace: Namespace;
    router: Namespace;
    networks: ReadonlyMap<string, Network>;
    sourceRouting: boolean;
  }) {
    this.name = init.name;
    this.namespace = init.namespace;
    this.#router = init.router;
    this.#networks = init.networks;
    this.#sourceRouting = init.sourceRouting;
  }

  /** Names of the networks that the host is on now. */
  get attached(): readonly string[] {
    return [...this.#attached.keys()];
  }

  address(network: string, family: Family = 'ipv4'): string {
    return this.network(network).hostAddress[family];
  }

  network(name: string): Network {
    const network = this.#networks.get(name);
    if (network === undefined) {
      throw new UsageError(
        `host "${this.name}" has no network "${name}", only ${[...this.#networks.keys()].join(', ')}`,
      );
    }
    return network;
  }

  /** Link up, addresses, default routes. On a network that is already attached it replaces the addresses. */
  async attach(name: string, families: Families = 'both'): Promise<void> {
    const network = this.network(name);
    const replaced = this.#detachLines(network);
    if (replaced.length > 0) await this.namespace.ip(replaced);
    await this.#raise(network);
    await this.#gain(network, families);
    this.#attached.set(name, families);
  }

  /** Addresses, routes and link gone, as when Wi-Fi is lost. Without a name: all networks. */
  async detach(name?: string): Promise<void> {
    const names = name === undefined ? this.attached : [name];
    await this.namespace.ip(names.flatMap((lost) => this.#detachLines(this.network(lost))));
    for (const gone of names) this.#attached.delete(gone);
  }

  /** Break before make: all networks are lost, for `outageMs` there is none, then the new one is there. */
  async move(name: string, options: { outageMs?: number; families?: Families } = {}): Promise<void> {
    const network = this.network(name);
    const lost = this.attached.flatMap((left) => this.#detachLines(this.network(left)));
    const families = options.families ?? 'both';
    if (options.outageMs === undefined && !this.#attached.has(name)) {
      await this.#raise(network);
      await this.#gain(network, families, lost);
    } else {
      if (lost.length > 0) await this.namespace.ip(lost);
      this.#attached.clear();
      await Promise.all([this.#raise(network), sleep(options.outageMs ?? 0)]);
      await this.#gain(network, families);
    }
    this.#attached.clear();
    this.#attached.set(name, families);
  }

  /** A further address on an attached network; it must lie in the network's prefix to be reachable. */
  async addAddress(network: string, address: string): Promise<void> {
    await this.namespace.ip([addressLine('add', address, this.network(network).name)]);
  }

  async removeAddress(network: string, address: string): Promise<void> {
    await this.namespace.ip([addressLine('delete', address, this.network(network).name)]);
  }

  /** Starts a program; `node` means this very node, or the one that MOBISOCK_TEST_NODE names. */
  run(program: string, args: readonly string[] = [], options: RunOptions = {}): Program {
    const executable = program === 'node' ? (process.env.MOBISOCK_TEST_NODE ?? process.execPath) : program;
    const directory = options.directory ?? process.cwd();
    const argv = [executable, ...(options.nodeFlags ?? []), ...args];
    // NODE_OPTIONS would bring the test runner's own hooks into the program.
    const env: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: undefined, ...options.env };
    const title = `${this.name}: ${[program, ...args].join(' ')}`;
    const started = new Program(this.namespace.enter(argv, directory), { title, env, directory });
    this.#programs.push(started);
    return started;
  }

  killAll(): void {
    for (const program of this.#programs) program.kill('SIGKILL');
  }

  async stopAll(): Promise<void> {
    this.killAll();
    await Promise.all(this.#programs.map((program) => program.exit));
  }

  /**
   * The link, without addresses, until it carries packets both ways: as with real links, which associate before they
   * get an address. Otherwise the first ARP reply may be lost, and the kernel asks again after a whole second.
   */
  async #raise({ name }: Network): Promise<void> {
    await this.namespace.ip([`link set ${name} up`]);
    const carries = async (end: Namespace): Promise<boolean> =>
      (await end.command(['ip', '-o', 'link', 'show', 'dev', name])).includes('state UP');
    while (!(await Promise.all([carries(this.namespace), carries(this.#router)])).every(Boolean)) await sleep(1);
  }

  /**
   * Addresses, then default routes; `lost` goes in the same step as the addresses come. An IPv6 address is announced a
   * little before the kernel takes packets for it, and a neighbour's answer that comes in between costs a second too.
   */
  async #gain(network: Network, families: Families, lost: readonly string[] = []): Promise<void> {
    const { name, number } = network;
    const addresses = each(families).map((family) => addressLine('add', network.hostAddress[family], name));
    const routes = each(families).flatMap((family) => {
      const everywhere = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
      const route = `route add ${everywhere} via ${network.routerAddress[family]} dev ${name}`;
      return [
        `${route} metric ${number * ROUTE_METRIC_STEP}`,
        ...(this.#sourceRouting ? [`${route} table ${number}`] : []),
      ];
    });
    const takesPackets = `ip -6 route show table local | grep -q '^local ${network.hostAddress.ipv6} '`;
    const script = [
      `ip -batch - <<'END'\n${[...lost, ...addresses].join('\n')}\nEND`,
      ...(families === 'ipv4' ? [] : [`until ${takesPackets}; do :; done`]),
      `ip -batch - <<'END'\n${routes.join('\n')}\nEND`,
    ];
    await this.namespace.command(['sh', '-e'], `${script.join('\n')}\n`);
  }

  #detachLines(network: Network): string[] {
    if (!this.#attached.has(network.name)) return [];
    return [`address flush dev ${network.name}`, `link set ${network.name} down`];
  }
}

function each(families: Families): readonly Family[] {
  return families === 'both' ? ['ipv4', 'ipv6'] : [families];
}

function addressLine(verb: 'add' | 'delete', address: string, device: string): string {
  if (!isIPv6(address)) return `address ${verb} ${address}/24 dev ${device}`;
  return `address ${verb} ${address}/64 dev ${device}${verb === 'add' ? ' nodad' : ''}`;
}
