/**
 * What aarpd does beside resolving: being a member of anycast addresses, being a rendezvous, showing its metrics. Each
 * role is opened and closed by itself, so that a new configuration touches those only that it changes.
 */
import { counter, gauge, type Metric } from '../aarp/daemon/metrics.ts';
import { type AnycastMember, openAnycastMember } from '../aarp/io/anycast-member.ts';
import { openMetricsServer } from '../aarp/io/daemon/metrics-server.ts';
import { formatTransportAddress } from '../core/address.ts';
import { openRendezvousService } from '../l4mob/io/rendezvous-service.ts';
import type { AarpdSettings } from './aarpd-settings.ts';

interface OpenRole {
  /** For the line that tells that it is ready. */
  readonly ready: string;
  metrics(): Metric[];
  close(): void;
}

interface RolesInit {
  readonly key: Uint8Array | undefined;
  /** What the metrics role shows. */
  allMetrics(): readonly Metric[];
  say(line: string): void;
}

/** What a role is given, as the settings say it; undefined where it is not wanted. */
const WANTED = {
  member: ({ serve }: AarpdSettings) => serve,
  rendezvous: ({ rendezvous }: AarpdSettings) => rendezvous,
  metrics: ({ metrics }: AarpdSettings) => metrics,
} as const;
type RoleName = keyof typeof WANTED;
const ROLE_NAMES = Object.keys(WANTED) as readonly RoleName[];

export class AarpdRoles {
  readonly #init: RolesInit;
  readonly #open = new Map<RoleName, { readonly settings: AarpdSettings; readonly role: OpenRole }>();

  constructor(init: RolesInit) {
    this.#init = init;
  }

  metrics(): Metric[] {
    return [...this.#open.values()].flatMap(({ role }) => role.metrics());
  }

  /**
   * Opens, closes and changes roles until they are as `settings` say. A role that cannot be had as it is wanted stays
   * as it was.
   *
   * @returns why, for each that can't.
   */
  async apply(settings: AarpdSettings): Promise<readonly unknown[]> {
    const failures: unknown[] = [];
    for (const name of ROLE_NAMES) {
      if (this.#isAsWanted(name, settings)) continue;
      const before = this.#open.get(name);
      // The port may be the same, so the one before has to go first.
      before?.role.close();
      this.#open.delete(name);
      const failure = await this.#start(name, settings);
      if (failure === undefined) continue;
      failures.push(failure);
      const again = before && (await this.#start(name, before.settings));
      if (again !== undefined) failures.push(again);
    }
    return failures;
  }

  close(): void {
    for (const { role } of this.#open.values()) role.close();
    this.#open.clear();
  }

  #isAsWanted(name: RoleName, settings: AarpdSettings): boolean {
    const open = this.#open.get(name);
    const wanted = WANTED[name];
    return JSON.stringify(wanted(settings)) === JSON.stringify(open && wanted(open.settings));
  }

  /** Gives the error where it can't be had. */
  async #start(name: RoleName, settings: AarpdSettings): Promise<unknown> {
    try {
      const role = await openRole(name, settings, this.#init);
      if (role === undefined) return undefined;
      this.#open.set(name, { settings, role });
      this.#init.say(role.ready);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}

async function openRole(name: RoleName, settings: AarpdSettings, init: RolesInit): Promise<OpenRole | undefined> {
  const { serve, rendezvous, metrics } = settings;
  switch (name) {
    case 'member':
      return serve === undefined ? undefined : await openMember(serve, init.key);
    case 'rendezvous':
      return rendezvous === undefined ? undefined : await openRendezvous(rendezvous);
    case 'metrics': {
      if (metrics === undefined) return undefined;
      const server = await openMetricsServer(metrics, init.allMetrics);
      return {
        ready: `metrics at http://${formatTransportAddress(server.address)}/metrics`,
        metrics: () => [],
        close: server.close,
      };
    }
  }
}

async function openMember(serves: readonly string[], key: Uint8Array | undefined): Promise<OpenRole> {
  const member: AnycastMember = await openAnycastMember({ serves, ...(key && { key }) });
  return {
    ready: `member of ${serves.join(', ')}, probes heard on udp ${formatTransportAddress(member.address)}`,
    metrics: () => [
      gauge('aarpd_member_addresses', 'Anycast addresses that this host is a member of.', serves.length),
      {
        ...counter('aarpd_member_probes_total', 'AARP probes, by what became of them.', 0),
        values: { label: 'outcome', by: { ...member.counters() } },
      },
    ],
    close: member.close,
  };
}

async function openRendezvous({ listen, ...limits }: NonNullable<AarpdSettings['rendezvous']>): Promise<OpenRole> {
  const service = await openRendezvousService({ address: listen.ip, port: listen.port, limits });
  return {
    ready: `rendezvous on udp ${formatTransportAddress(service.address)}`,
    metrics: () => [
      {
        ...counter('aarpd_rendezvous_events_total', 'Questions to the rendezvous, and what became of them.', 0),
        values: { label: 'event', by: { ...service.counters() } },
      },
      {
        ...gauge('aarpd_rendezvous_kept', 'Entries and waiting peers kept now.', 0),
        values: { label: 'what', by: { ...service.size() } },
      },
    ],
    close: service.close,
  };
}
