/**
 * The laboratory: real kernels in network namespaces, a router between them, programs inside. See topology.ts for the
 * plan, README.md for how a test uses it.
 *
 * Life-cycle: createLab() builds (a tenth of a second) and first removes what dead processes left; close() ends every
 * program and removes every namespace. The same happens, synchronously, when this process exits or is interrupted with
 * a laboratory open. After SIGKILL the next laboratory on the machine does it.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../src/core/errors.ts';
import { Capture, type CaptureOptions } from './capture.ts';
import { runCommand } from './command.ts';
import { Host } from './host.ts';
import { LinkConditions } from './link-conditions.ts';
import { killProcessesSync, type Namespace, nextLabName, removeNamespacesSync, sweepNamespaces } from './namespace.ts';
import { Nat } from './nat.ts';
import { openRealm, type Realm } from './realm.ts';
import {
  buildTopology,
  DEFAULT_HOSTS,
  type Families,
  type HostPlan,
  namespaceNames,
  planTopology,
  type Topology,
} from './topology.ts';

export interface LabOptions {
  /** Host name to the networks it can be on; default: client with wifi and lte, server with east and west. */
  readonly hosts?: HostPlan;
  /** Networks that each host is on at the start; default: its first. */
  readonly attached?: HostPlan;
  readonly families?: Families;
  /** Segmentation offload: faster, but a "packet" is then up to 64 KiB of TCP. Default: off. */
  readonly offload?: boolean;
  /** Packets with an address of one network leave through that network. Default: off, as on ordinary machines. */
  readonly sourceRouting?: boolean;
}

export class Lab {
  readonly name: string;
  readonly conditions: LinkConditions;
  readonly nat: Nat;
  readonly router: Namespace;
  /** For files of tests and programs; removed at close. */
  readonly directory: string;
  readonly #realm: Realm;
  readonly #topology: Topology;
  readonly #hosts = new Map<string, Host>();
  readonly #captures: Capture[] = [];
  #closed = false;

  constructor(realm: Realm, name: string, topology: Topology, options: LabOptions) {
    this.#realm = realm;
    this.#topology = topology;
    this.name = name;
    this.directory = join(tmpdir(), name);
    this.router = topology.router;
    this.conditions = new LinkConditions(topology.router, topology.networks);
    this.nat = new Nat(topology.router, topology.networks);
    for (const [host, namespace] of topology.hosts) {
      const networks = new Map([...topology.networks].filter(([, network]) => network.host === host));
      const sourceRouting = options.sourceRouting ?? false;
      this.#hosts.set(host, new Host({ name: host, namespace, router: topology.router, networks, sourceRouting }));
    }
  }

  get client(): Host {
    return this.host('client');
  }

  get server(): Host {
    return this.host('server');
  }

  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new UsageError(`no host "${name}", only ${[...this.#hosts.keys()].join(', ')}`);
    return host;
  }

  /** False without root: tcpdump, as packaged, insists on changing its user, which a user namespace forbids. */
  get canCapture(): boolean {
    return this.#realm.kind === 'root';
  }

  /** Starts to record the packets of one network, at the router. */
  async capture(network: string, options?: CaptureOptions): Promise<Capture> {
    if (!this.canCapture) throw new UsageError('captures need root; see canCapture', 'ERR_MOBISOCK_ENVIRONMENT');
    if (!this.#topology.networks.has(network)) throw new UsageError(`no network "${network}" to capture`);
    const capture = await Capture.start(this.router, network, this.directory, options);
    this.#captures.push(capture);
    return capture;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    // A runaway child may hold a program's output open, and the program counts as running until it is closed.
    killProcessesSync(this.#realm, namespaceNames(this.#topology));
    await Promise.all([...this.#hosts.values()].map((host) => host.stopAll()));
    this.closeSync();
  }

  /** For exit handlers; close() is the way otherwise, since it waits until the programs have ended. */
  closeSync(): void {
    if (this.#closed) return;
    this.#closed = true;
    openLabs.delete(this);
    for (const host of this.#hosts.values()) host.killAll();
    for (const capture of this.#captures) capture.kill();
    killProcessesSync(this.#realm, namespaceNames(this.#topology));
    removeNamespacesSync(this.#realm, namespaceNames(this.#topology));
    rmSync(this.directory, { recursive: true, force: true });
    this.#realm.close();
    if (openLabs.size === 0) unguardExit();
  }
}

export async function createLab(options: LabOptions = {}): Promise<Lab> {
  const realm = await openRealm();
  sweepNamespaces(realm);
  const name = nextLabName();
  const plan = {
    labName: name,
    hosts: options.hosts ?? DEFAULT_HOSTS,
    offload: options.offload ?? false,
    sourceRouting: options.sourceRouting ?? false,
  };
  const topology = planTopology(realm, plan);
  const lab = new Lab(realm, name, topology, options);
  if (openLabs.size === 0) guardExit();
  openLabs.add(lab);
  try {
    mkdirSync(lab.directory, { recursive: true });
    await buildTopology(topology, plan, (lines) => runCommand(realm.enter(['ip', '-batch', '-']), lines));
    await Promise.all(
      Object.entries(plan.hosts).map(async ([host, networks]) => {
        const attached = options.attached?.[host] ?? networks.slice(0, 1);
        for (const network of attached) await lab.host(host).attach(network, options.families);
      }),
    );
    return lab;
  } catch (error) {
    lab.closeSync();
    throw error;
  }
}

const openLabs = new Set<Lab>();
const FATAL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

function closeOpenLabs(): void {
  for (const lab of [...openLabs]) lab.closeSync();
}

function closeAndDie(signal: NodeJS.Signals): void {
  closeOpenLabs();
  // Others who listen decide themselves whether the process ends.
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}

function guardExit(): void {
  process.on('exit', closeOpenLabs);
  for (const signal of FATAL_SIGNALS) process.on(signal, closeAndDie);
}

function unguardExit(): void {
  process.off('exit', closeOpenLabs);
  for (const signal of FATAL_SIGNALS) process.off(signal, closeAndDie);
}
