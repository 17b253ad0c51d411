/**
 * The laboratory with an anycast address in it: a client, a router, and members that the router prefers in this order.
 *
 *     client --wifi--+          +--one----- near
 *                    +- router -+--two----- middle
 *     client --lte---+          +--three--- far
 *
 * The members are in the kernel's sense members of {@link ANYCAST} (IPV6_JOIN_ANYCAST), or have it on their loopback
 * interfaces, as hosts with a routing daemon do. `withdraw` and `announce` are the routing protocol.
 */
import { join } from 'node:path';
import { BUILT_FILE } from '../built-package.ts';
import type { Host, Lab } from './index.ts';
import { createLab } from './index.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';

export const ANYCAST = 'fd77:100::53';
export const SERVICE_PORT = 7053;
const BUILT_AARP = join(BUILT_FILE, '..', 'aarp.js');
const MEMBERS = { near: 'one', middle: 'two', far: 'three' } as const;
export type MemberName = keyof typeof MEMBERS;
export const MEMBER_NAMES = Object.keys(MEMBERS) as MemberName[];

export interface AnycastReport extends BasicReport {
  readonly unicast?: string;
  readonly kind?: string;
  readonly confirmed?: boolean;
  readonly ttlMs?: number;
  readonly reason?: string;
  readonly code?: string;
  readonly message?: string;
  readonly text?: string;
  readonly joined?: readonly string[];
  readonly replies?: number;
}

export class AnycastNetwork {
  readonly lab: Lab;

  constructor(lab: Lab) {
    this.lab = lab;
  }

  static async create(): Promise<AnycastNetwork> {
    const hosts = { client: ['wifi', 'lte'], near: ['one'], middle: ['two'], far: ['three'] };
    const network = new AnycastNetwork(await createLab({ hosts }));
    for (const name of MEMBER_NAMES) await network.announce(name);
    return network;
  }

  close(): Promise<void> {
    return this.lab.close();
  }

  unicastOf(name: MemberName): string {
    return this.host(name).address(MEMBERS[name], 'ipv6');
  }

  host(name: MemberName): Host {
    return this.lab.host(name);
  }

  async announce(name: MemberName): Promise<void> {
    await this.lab.router.ip([`route add ${this.#route(name)}`]);
  }

  async withdraw(name: MemberName): Promise<void> {
    await this.lab.router.ip([`route del ${this.#route(name)}`]);
  }

  /** In the kernel's sense; it needs a prefix on the interface that has the address in it. */
  async joinMember(name: MemberName, options: object = {}): Promise<ReportingProgram<AnycastReport>> {
    const device = MEMBERS[name];
    const number = MEMBER_NAMES.indexOf(name) + 1;
    await this.host(name).namespace.ip([`address add fd77:100::${number}/64 dev ${device} nodad`]);
    return await this.startMember(name, { serves: [`${ANYCAST}%${device}`], ...options });
  }

  /** The address on the loopback interface. */
  async loopbackMember(name: MemberName, options: object = {}): Promise<ReportingProgram<AnycastReport>> {
    await this.host(name).namespace.ip([`address add ${ANYCAST}/128 dev lo nodad`]);
    return await this.startMember(name, { serves: [ANYCAST], ...options });
  }

  async startMember(name: MemberName, options: object): Promise<ReportingProgram<AnycastReport>> {
    const program = join(import.meta.dirname, 'programs', 'anycast-member.mjs');
    const args = [program, BUILT_AARP, JSON.stringify(options), name, String(SERVICE_PORT)];
    const member = new ReportingProgram<AnycastReport>(this.host(name).run('node', args));
    await member.report('serving');
    return member;
  }

  async startClient(options: object = {}): Promise<ReportingProgram<AnycastReport>> {
    const program = join(import.meta.dirname, 'programs', 'anycast-client.mjs');
    const run = this.lab.client.run('node', [program, BUILT_AARP, JSON.stringify(options)]);
    const client = new ReportingProgram<AnycastReport>(run);
    await client.report('ready');
    return client;
  }

  #route(name: MemberName): string {
    const metric = MEMBER_NAMES.indexOf(name) + 1;
    return `${ANYCAST}/128 via ${this.unicastOf(name)} dev ${MEMBERS[name]} metric ${metric}`;
  }
}

export async function resolve(client: ReportingProgram<AnycastReport>, address: string): Promise<AnycastReport> {
  client.tell(`resolve ${address}`);
  return await client.report('resolved');
}
