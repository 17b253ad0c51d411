/**
 * Anycast addresses, their members and the network between, in virtual time: a resolver core asks, and what members do
 * (answer from an address of theirs that works or not, from the anycast address itself, by AARP or not, die and come
 * back) and what the network does (loss, delay, doubled packets) follows the seed.
 */

import type { Answer } from '../../src/aarp/inquiry.ts';
import type { Probe, ProbeMethod } from '../../src/aarp/question.ts';
import type { Resolution } from '../../src/aarp/resolution.ts';
import { AnycastResolver, type ResolverEvent, type ResolverInit } from '../../src/aarp/resolver.ts';
import { toHex } from '../../src/core/bytes.ts';
import { SeededRandom } from '../sim/seeded-random.ts';
import { type Appointment, VirtualTime } from '../sim/virtual-time.ts';

export interface Member {
  /** Its addresses; the echo reply comes from the first. */
  readonly addresses: readonly string[];
  /** Those of them that can't be reached from here. */
  readonly dark?: readonly string[];
  /** Answers from the asked address itself, as with addresses on loopback. */
  readonly fromItself?: boolean;
  readonly speaksAarp?: boolean;
  readonly silent?: boolean;
  readonly lifetimeMs?: number;
  alive: boolean;
}

export interface Conditions {
  latencyMs: number;
  jitterMs: number;
  loss: number;
  duplication: number;
}

export interface Waiter {
  readonly address: string;
  readonly askedAt: number;
  readonly events: ResolverEvent[];
  answeredAt: number | undefined;
}

export class AnycastWorld {
  readonly time: VirtualTime = new VirtualTime();
  readonly random: SeededRandom;
  readonly resolver: AnycastResolver;
  readonly conditions: Conditions = { latencyMs: 5, jitterMs: 0, loss: 0, duplication: 0 };
  /** Anycast address to its members, the nearest first. */
  readonly members: Map<string, Member[]> = new Map();
  readonly waiters: Map<number, Waiter> = new Map();
  readonly probes: Probe[] = [];
  /** Runs after every input. */
  check: () => void = () => {};
  #alarm: Appointment | undefined;

  constructor(seed: number, init: Partial<ResolverInit> = {}) {
    this.random = new SeededRandom(seed);
    const methods: readonly ProbeMethod[] = ['echo', 'aarp'];
    this.resolver = new AnycastResolver({ random: this.random, methods, ...init });
  }

  serve(address: string, ...members: Partial<Member>[]): Member[] {
    const serving = members.map((member, i) => ({ addresses: [`2001:db8:1::${i + 1}`], alive: true, ...member }));
    this.members.set(address, serving);
    return serving;
  }

  resolve(address: string): Waiter {
    const caller = this.resolver.resolve(this.time.now, address);
    const waiter: Waiter = { address, askedAt: this.time.now, events: [], answeredAt: undefined };
    this.waiters.set(caller, waiter);
    this.drain();
    return waiter;
  }

  failed(address: string, unicast: string): void {
    this.resolver.failed(this.time.now, address, unicast);
    this.drain();
  }

  /** Lets time pass until the waiter has its answer. */
  answerOf(waiter: Waiter, limitMs = 10_000): ResolverEvent {
    this.time.run(() => waiter.events.length > 0, this.time.now + limitMs);
    const [event] = waiter.events;
    if (event === undefined) throw new Error(`${waiter.address}: no answer within ${limitMs} ms`);
    return event;
  }

  resolution(address: string): Resolution {
    const event = this.answerOf(this.resolve(address));
    if (event.type !== 'resolved') throw new Error(`${address}: ${event.reason}`);
    return event.resolution;
  }

  /** Whether a connection to that address would be made now. */
  accepts(ip: string): boolean {
    return [...this.members.values()].flat().some((member) => member.alive && reaches(member, ip));
  }

  /** How often an address was asked. */
  sayings(to: string, method: ProbeMethod = 'echo'): number {
    return this.probes.filter((probe) => probe.to === to && probe.method === method).length;
  }

  drain(): void {
    const { resolver, time } = this;
    for (let probe = resolver.pollProbe(); probe !== undefined; probe = resolver.pollProbe()) this.#send(probe);
    for (let event = resolver.pollEvent(); event !== undefined; event = resolver.pollEvent()) {
      const waiter = this.waiters.get(event.caller);
      if (waiter === undefined) throw new Error(`an answer for nobody: ${event.caller}`);
      waiter.events.push(event);
      waiter.answeredAt = time.now;
    }
    this.#alarm?.cancel();
    const next = resolver.pollTimeout();
    if (next !== undefined) {
      this.#alarm = time.at(next, () => {
        resolver.handleTimeout(time.now);
        this.drain();
      });
    }
    this.check();
  }

  #send(probe: Probe): void {
    this.probes.push(probe);
    const anycast = this.members.get(probe.to);
    const serving =
      anycast?.find(({ alive }) => alive) ??
      [...this.members.values()].flat().find((member) => member.alive && reaches(member, probe.to));
    const answer = serving === undefined ? undefined : answerOf(serving, probe, anycast !== undefined);
    if (answer === undefined) return;
    const { loss, duplication } = this.conditions;
    for (let copies = this.random.chance(duplication) ? 2 : 1; copies > 0; copies--) {
      if (this.random.chance(loss)) continue;
      this.time.after(this.#delayMs() + this.#delayMs(), () => {
        this.resolver.handleAnswer(this.time.now, probe.nonce, answer);
        this.drain();
      });
    }
    this.time.trace(`${probe.method} ${probe.to} ${toHex(probe.nonce)}`);
  }

  #delayMs(): number {
    const { latencyMs, jitterMs } = this.conditions;
    return latencyMs + jitterMs * this.random.fraction();
  }
}

function reaches({ addresses, dark = [] }: Member, ip: string): boolean {
  return addresses.includes(ip) && !dark.includes(ip);
}

function answerOf(member: Member, { method, to }: Probe, isAnycast: boolean): Answer | undefined {
  const { addresses, fromItself = false, speaksAarp = false, silent = false, lifetimeMs = 0 } = member;
  if (silent) return undefined;
  const from = !isAnycast || fromItself ? to : (addresses[0] as string);
  if (method === 'echo') return { method, from };
  return speaksAarp ? { method, from, members: addresses, lifetimeMs } : undefined;
}
