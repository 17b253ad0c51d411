/**
 * mobisock/aarp: which host answers at an anycast address, and by which address of its own can it be talked with?
 *
 *     import { aarpResolve } from 'mobisock/aarp';
 *     const { unicast } = await aarpResolve('2001:db8::53');
 *
 * `aarpResolve` shares one resolver, and so one cache, in the process; `openResolver` makes one of one's own. A server
 * becomes a member of an anycast address by `openAnycastMember`. Free of side effects when imported. How it works, and
 * how long what is kept: docs/aarp.md.
 */
import { DEFAULT_AARPD_SOCKET } from './aarp/daemon/aarpd-socket.ts';
import { DaemonConnection } from './aarp/io/daemon/daemon-connection.ts';
import { DaemonResolver } from './aarp/io/daemon/daemon-resolver.ts';
import { EmbeddedResolver, type EmbeddedResolverOptions } from './aarp/io/embedded-resolver.ts';
import type { Resolution, Resolver } from './aarp/resolution.ts';

export { DEFAULT_AARPD_SOCKET } from './aarp/daemon/aarpd-socket.ts';
export { type AnycastMember, type AnycastMemberOptions, openAnycastMember } from './aarp/io/anycast-member.ts';
export { type Resolution, type Resolver, UnresolvedError, type UnresolvedReason } from './aarp/resolution.ts';
export { AARP_PORT } from './aarp/wire/aarp.ts';

export interface ResolverOptions extends EmbeddedResolverOptions {
  /** Path of aarpd's socket: it is asked wherever it answers. The other options are then for when it does not. */
  readonly aarpd?: string;
}

let shared: Resolver | undefined;

/**
 * The paper's `aarp_resolv()`: the unicast address behind `address`, or `address` itself where it is none of an anycast
 * group. From the cache where it is known; from aarpd where that runs. Takes 4.5 s at most.
 *
 * @throws (rejects with) UnresolvedError where nobody answers; UsageError where it is no address of one host.
 */
export async function aarpResolve(address: string): Promise<Resolution> {
  shared ??= openResolver({ aarpd: DEFAULT_AARPD_SOCKET });
  return await shared.resolve(address);
}

/** Ends the shared resolver; the next `aarpResolve` begins a new one. */
export function aarpClose(): void {
  shared?.close();
  shared = undefined;
}

/** @throws UsageError */
export function openResolver({ aarpd: path, ...embedded }: ResolverOptions = {}): Resolver {
  const fallback = (): Resolver => new EmbeddedResolver(embedded);
  return path === undefined ? fallback() : new DaemonResolver({ connection: new DaemonConnection(path), fallback });
}
