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
import { EmbeddedResolver, type EmbeddedResolverOptions } from './aarp/io/embedded-resolver.ts';
import type { Resolution, Resolver } from './aarp/resolution.ts';

export { type AnycastMember, type AnycastMemberOptions, openAnycastMember } from './aarp/io/anycast-member.ts';
export type { EmbeddedResolverOptions as ResolverOptions } from './aarp/io/embedded-resolver.ts';
export { type Resolution, type Resolver, UnresolvedError, type UnresolvedReason } from './aarp/resolution.ts';
export { AARP_PORT } from './aarp/wire/aarp.ts';

let shared: Resolver | undefined;

/**
 * The paper's `aarp_resolv()`: the unicast address behind `address`, or `address` itself where it is none of an anycast
 * group. From the cache where it is known. Takes 4 s at most.
 *
 * @throws (rejects with) UnresolvedError where nobody answers; UsageError where it is no address of one host.
 */
export async function aarpResolve(address: string): Promise<Resolution> {
  shared ??= openResolver();
  return await shared.resolve(address);
}

/** Ends the shared resolver; the next `aarpResolve` begins a new one. */
export function aarpClose(): void {
  shared?.close();
  shared = undefined;
}

/** @throws UsageError */
export function openResolver(options: EmbeddedResolverOptions = {}): Resolver {
  return new EmbeddedResolver(options);
}
