/**
 * Programs that know nothing of anycast, in the network with an anycast address: services at its members, and a client
 * that asks them who they are by all of node's ways to connect, with mobisock preloaded or without.
 */
import { join } from 'node:path';
import { BUILT_FILE, builtPackage } from '../built-package.ts';
import { certificate } from '../socket/certificate.ts';
import { ANYCAST, type AnycastNetwork, type MemberName } from './anycast-network.ts';
import type { Host } from './host.ts';
import type { Program } from './program.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');
const AARPD = join(BUILT_FILE, '..', 'cli', 'aarpd.js');
const FIRST_PORT = 7061;
/** What the certificates of the members are for, beside the anycast address. */
export const NAME = 'service.example';
/** In the order in which the services listen. */
export const PORTS = { net: 7061, http: 7062, https: 7063, tls: 7064, http2: 7065, udp: 7066 } as const;

export interface Use {
  /** Who answered. */
  readonly text?: string;
  /** Whom the program takes itself to talk with. */
  readonly peer?: string;
  /** Where a datagram came from, as the program sees it. */
  readonly from?: string;
  readonly localPort?: number;
  readonly sockets?: number;
  /** Where `sessions()` says that their paths lead. */
  readonly sessions?: readonly string[];
  readonly code?: string;
  readonly address?: string;
  readonly tookMs: number;
}

export interface UseReport extends BasicReport {
  readonly id?: number;
  readonly results?: readonly Use[];
  readonly datagrams?: number;
  readonly local?: { readonly ip: string };
  readonly remote?: { readonly ip: string };
}

export interface UseCommand {
  readonly way: string;
  readonly port: number;
  readonly host?: string;
  readonly times?: number;
  readonly lookup?: readonly string[];
  readonly nameServer?: string;
  /** A name that has a text record. */
  readonly ask?: string;
  readonly timeout?: number;
  readonly giveUpMs?: number;
  readonly localAddress?: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the preload is told: the anycast address, and that no aarpd is to be asked. */
export const ANYCAST_ENV: Environment = { MOBISOCK_ANYCAST: ANYCAST, MOBISOCK_AARPD: 'off' };

const { key: TEST_KEY, cert: TEST_CERTIFICATE } = certificate(NAME, ANYCAST);

/** A member's services; with the preload where `env` is given. */
export async function startServices(
  network: AnycastNetwork,
  name: MemberName,
  env?: Environment,
): Promise<ReportingProgram<UseReport>> {
  const args = [join(PROGRAMS, 'anycast-services.mjs'), name, String(FIRST_PORT)];
  const services = start(network.host(name), args, { TEST_KEY, ...env }, env !== undefined);
  await services.report('services');
  return services;
}

/** The client's program; with the preload where `env` is given. */
export async function startUser(host: Host, env?: Environment): Promise<AnycastUser> {
  const user = new AnycastUser(start(host, [join(PROGRAMS, 'anycast-use.mjs')], env ?? {}, env !== undefined));
  await user.program.report('ready');
  return user;
}

function start(host: Host, args: readonly string[], env: Environment, preload: boolean): ReportingProgram<UseReport> {
  const program = host.run('node', args, {
    nodeFlags: preload ? ['--import', builtPackage()] : [],
    // Whether a first contact is won on a busy machine is not the question here.
    env: {
      TEST_CERTIFICATE,
      TEST_MOBISOCK: builtPackage(),
      ...(preload && { MOBISOCK_EVENTS: 'stderr', MOBISOCK_HEAD_START: '5s' }),
      ...env,
    },
  });
  return new ReportingProgram<UseReport>(program);
}

export class AnycastUser {
  readonly program: ReportingProgram<UseReport>;
  #lastId = 0;

  constructor(program: ReportingProgram<UseReport>) {
    this.program = program;
  }

  async useAll(command: UseCommand): Promise<readonly Use[]> {
    this.#lastId += 1;
    const id = this.#lastId;
    this.program.tell(JSON.stringify({ id, host: ANYCAST, ...command }));
    return (await this.program.report('used', (report) => report.id === id)).results ?? [];
  }

  async use(command: UseCommand): Promise<Use> {
    const [result] = await this.useAll(command);
    if (result === undefined) throw new Error(`nothing came of ${JSON.stringify(command)}`);
    return result;
  }
}

/** The service of the host, with its socket in the laboratory's directory; `socket` is for MOBISOCK_AARPD. */
export async function startAarpd(host: Host, directory: string): Promise<{ program: Program; socket: string }> {
  const socket = join(directory, 'aarpd.sock');
  const program = host.run('node', [AARPD, '--socket', socket, '--cache', 'off']);
  await program.line(/^aarpd: ready on /);
  return { program, socket };
}
