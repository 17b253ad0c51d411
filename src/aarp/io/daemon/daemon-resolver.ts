/**
 * Resolver through aarpd. Whatever aarpd does, callers get an answer: what it can't be asked, or does not answer in
 * time, is asked of the resolver in this process.
 */
import { canonicalAddress } from '../../../core/address.ts';
import type { Instant } from '../../../core/time.ts';
import { Alarm, monotonicNow } from '../../../host/clock.ts';
import { lineAddress, type Reply, replyMs } from '../../daemon/daemon-protocol.ts';
import { type Resolution, type Resolver, UnresolvedError } from '../../resolution.ts';
import type { DaemonConnection } from './daemon-connection.ts';

export interface DaemonResolverOptions {
  /** Closed with the resolver. */
  readonly connection: DaemonConnection;
  /** The resolver that is asked instead; made when it is first needed, and closed with this one. May throw. */
  fallback(): Resolver;
}

/** A known answer takes less than a millisecond, a probe some round trips; then this process asks for itself too. */
const PATIENCE_MS = 300;
/** Addresses asked about at a time. More go to the resolver in this process, which has limits of its own. */
const MAX_PENDING = 1_024;
/** Answers kept here, so that connects in a row cost nothing. The oldest goes first. */
const MAX_COPIES = 1_024;
/** However that is missed which ends a copy's life: what aarpd forgets, it tells. */
const COPY_MS = 10_000;

interface Pending {
  readonly id: string;
  readonly address: string;
  readonly askedAt: Instant;
  readonly promise: Promise<Resolution>;
  settle(outcome: Resolution | Promise<Resolution> | UnresolvedError): void;
}

export class DaemonResolver implements Resolver {
  readonly #options: DaemonResolverOptions;
  readonly #connection: DaemonConnection;
  #fallback: Resolver | undefined;
  #closed = false;
  /** By address, in the order of asking. */
  readonly #pending = new Map<string, Pending>();
  readonly #copies = new Map<string, { readonly resolution: Resolution; readonly at: Instant }>();
  readonly #alarm = new Alarm((now) => this.#losePatience(now));

  constructor(options: DaemonResolverOptions) {
    this.#options = options;
    this.#connection = options.connection;
    this.#connection.watch((words) => this.#forget(words));
    this.#alarm.unref();
  }

  async resolve(text: string): Promise<Resolution> {
    const address = lineAddress(text);
    if (this.#closed) throw new UnresolvedError(address ?? text, 'closed');
    if (address === undefined) return await this.#askHere(text);
    const known = this.cached(address) ?? this.#pending.get(address)?.promise;
    if (known !== undefined) return await known;
    return await (this.#ask(address) ?? this.#askHere(address));
  }

  cached(address: string): Resolution | undefined {
    const copy = this.#copies.get(address);
    if (copy === undefined) return this.#fallback?.cached(address);
    const ageMs = monotonicNow() - copy.at;
    if (ageMs < Math.min(COPY_MS, copy.resolution.ttlMs)) {
      return { ...copy.resolution, ttlMs: copy.resolution.ttlMs - ageMs };
    }
    this.#copies.delete(address);
    return this.#fallback?.cached(address);
  }

  failed(address: string, unicast: string): void {
    this.#copies.delete(address);
    this.#connection.tell({ verb: 'failed', address, unicast });
    this.#fallback?.failed(address, unicast);
  }

  flush(text?: string): void {
    const address = text === undefined ? undefined : canonicalAddress(text);
    if (address === undefined) this.#copies.clear();
    else this.#copies.delete(address);
    this.#connection.tell({ verb: 'flush', ...(address !== undefined && { address }) });
    this.#fallback?.flush(address);
  }

  close(): void {
    this.#closed = true;
    this.#copies.clear();
    for (const pending of [...this.#pending.values()]) {
      this.#remove(pending);
      pending.settle(new UnresolvedError(pending.address, 'closed'));
    }
    this.#connection.close();
    this.#fallback?.close();
  }

  async #askHere(address: string): Promise<Resolution> {
    this.#fallback ??= this.#options.fallback();
    return await this.#fallback.resolve(address);
  }

  /** Undefined where aarpd can't be asked now. */
  #ask(address: string): Promise<Resolution> | undefined {
    if (this.#pending.size >= MAX_PENDING) return undefined;
    const { promise, settle } = openQuestion();
    const id = this.#connection.ask(
      { verb: 'resolve', address },
      {
        onReply: (reply) => {
          this.#remove(pending);
          settle(this.#outcomeOf(reply, address));
        },
        onLost: () => {
          this.#remove(pending);
          settle(this.#askHere(address));
        },
      },
    );
    if (id === undefined) return undefined;
    const pending: Pending = { id, address, askedAt: monotonicNow(), promise, settle };
    this.#pending.set(address, pending);
    if (this.#pending.size === 1) {
      this.#connection.hold();
      this.#rearm();
    }
    return promise;
  }

  /** Copies of what aarpd has forgotten: somebody found a member dead, or the host has a new address. */
  #forget([what, address = '']: readonly string[]): void {
    if (what === 'added' || (what === 'flush' && address === '')) this.#copies.clear();
    else if (what === 'failed' || what === 'flush') this.#copies.delete(address);
  }

  #outcomeOf(reply: Reply, address: string): Resolution | Promise<Resolution> | UnresolvedError {
    if (reply.kind === 'ok') {
      const resolution = resolutionOf(address, reply.words);
      if (resolution !== undefined) return this.#copy(resolution);
    }
    const told = reply.kind === 'error' && (reply.code === 'silent' || reply.code === 'unreachable');
    return told ? new UnresolvedError(address, reply.code) : this.#askHere(address);
  }

  #copy(resolution: Resolution): Resolution {
    this.#copies.set(resolution.address, { resolution, at: monotonicNow() });
    if (this.#copies.size > MAX_COPIES) {
      for (const oldest of this.#copies.keys()) {
        this.#copies.delete(oldest);
        break;
      }
    }
    return resolution;
  }

  /** Those who have waited long enough are answered from here: aarpd waits for probes, or is not there at all. */
  #losePatience(now: Instant): void {
    const late = [...this.#pending.values()].filter(({ askedAt }) => askedAt + PATIENCE_MS <= now);
    const [first] = late;
    for (const pending of late) {
      this.#connection.forget(pending.id);
      this.#remove(pending);
      pending.settle(this.#askHere(pending.address));
    }
    if (first !== undefined) this.#connection.doubt(first.askedAt);
    this.#rearm();
  }

  #rearm(): void {
    const [next] = this.#pending.values();
    this.#alarm.set(next === undefined ? undefined : next.askedAt + PATIENCE_MS);
  }

  #remove({ address }: Pending): void {
    this.#pending.delete(address);
    if (this.#pending.size === 0) this.#connection.letGo();
  }
}

function resolutionOf(address: string, words: readonly string[]): Resolution | undefined {
  const [kind, member = '', trust, ttl] = words;
  const unicast = lineAddress(member);
  const ttlMs = replyMs(ttl);
  if ((kind !== 'anycast' && kind !== 'unicast') || unicast === undefined || ttlMs === undefined) return undefined;
  return { address, kind, unicast, confirmed: trust === 'confirmed', ttlMs };
}

function openQuestion(): Pick<Pending, 'promise' | 'settle'> {
  let settle: Pending['settle'] = () => {};
  const promise = new Promise<Resolution>((resolve, reject) => {
    settle = (outcome) => (outcome instanceof UnresolvedError ? reject(outcome) : resolve(outcome));
  });
  return { promise, settle };
}
