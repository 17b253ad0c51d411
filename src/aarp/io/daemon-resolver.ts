/**
 * Resolver through aarpd: one connection a process, made with the first question, over which questions go without
 * waiting for each other. Whatever aarpd does, callers get an answer: what it can't be asked, or does not answer in
 * time, is asked of the resolver in this process.
 *
 * Life-cycle of the connection: asked for -> connected -> gone (refused, ended, not understood, silent). A question that
 * comes a while after that asks for it again. It keeps the process alive only while somebody waits for an answer.
 */
import { Socket } from 'node:net';
import { canonicalAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { earliest, type Instant } from '../../core/time.ts';
import { Alarm, monotonicNow } from '../../host/clock.ts';
import { nativeConnect } from '../../host/native.ts';
import {
  formatRequest,
  lineAddress,
  MAX_LINE_BYTES,
  PROTOCOL_VERSION,
  parseReply,
  type Reply,
  type Request,
} from '../daemon-protocol.ts';
import { LineReader } from '../line-reader.ts';
import { type Resolution, type Resolver, UnresolvedError } from '../resolution.ts';

export interface DaemonResolverOptions {
  /** Of aarpd's socket. */
  readonly path: string;
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
/** Between a connection that is gone and the next: doubled while none answers. A restart takes about a second. */
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;
const WATCH: Request = { id: 'watch', verb: 'watch' };
const HELLO: Request = { id: 'hello', verb: 'hello', version: PROTOCOL_VERSION };

interface Pending {
  readonly id: string;
  readonly address: string;
  readonly askedAt: Instant;
  readonly promise: Promise<Resolution>;
  settle(outcome: Resolution | Promise<Resolution> | UnresolvedError): void;
}

export class DaemonResolver implements Resolver {
  readonly #options: DaemonResolverOptions;
  #fallback: Resolver | undefined;
  #link: DaemonLink | undefined;
  #retryAt: Instant = 0;
  #retryMs = RETRY_MS;
  #closed = false;
  /** Since when the daemon owes an answer that takes no time. */
  #doubtedAt: Instant | undefined;
  #lastId = 0;
  /** By id, in the order of asking. */
  readonly #pending = new Map<string, Pending>();
  readonly #pendingByAddress = new Map<string, Pending>();
  readonly #copies = new Map<string, { readonly resolution: Resolution; readonly at: Instant }>();
  readonly #alarm = new Alarm((now) => this.#losePatience(now));

  constructor(options: DaemonResolverOptions) {
    this.#options = options;
    this.#alarm.unref();
  }

  async resolve(text: string): Promise<Resolution> {
    const address = lineAddress(text);
    if (this.#closed) throw new UnresolvedError(address ?? text, 'closed');
    if (address === undefined) return await this.#askHere(text);
    const known = this.cached(address) ?? this.#pendingByAddress.get(address)?.promise;
    if (known !== undefined) return await known;
    const mayAsk = this.#pending.size < MAX_PENDING && this.#doubtedAt === undefined;
    const link = mayAsk ? this.#connection() : undefined;
    return await (link === undefined ? this.#askHere(address) : this.#ask(link, address));
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
    this.#connection()?.send({ id: this.#nextId(), verb: 'failed', address, unicast });
    this.#fallback?.failed(address, unicast);
  }

  flush(text?: string): void {
    const address = text === undefined ? undefined : canonicalAddress(text);
    if (address === undefined) this.#copies.clear();
    else this.#copies.delete(address);
    this.#connection()?.send({ id: this.#nextId(), verb: 'flush', ...(address !== undefined && { address }) });
    this.#fallback?.flush(address);
  }

  close(): void {
    const link = this.#link;
    this.#closed = true;
    this.#link = undefined;
    link?.close();
    this.#alarm.set(undefined);
    this.#copies.clear();
    for (const pending of this.#take()) pending.settle(new UnresolvedError(pending.address, 'closed'));
    this.#fallback?.close();
  }

  async #askHere(address: string): Promise<Resolution> {
    this.#fallback ??= this.#options.fallback();
    return await this.#fallback.resolve(address);
  }

  #nextId(): string {
    this.#lastId = (this.#lastId + 1) % 2 ** 32;
    return this.#lastId.toString(36);
  }

  /** The connection, made if it is time for it. */
  #connection(): DaemonLink | undefined {
    if (this.#link !== undefined || this.#closed || monotonicNow() < this.#retryAt) return this.#link;
    const link = new DaemonLink(this.#options.path, {
      onReply: (reply) => this.#heard(reply),
      onGone: () => this.#lost(link),
    });
    this.#link = link;
    link.send(HELLO);
    link.send(WATCH);
    return link;
  }

  #ask(link: DaemonLink, address: string): Promise<Resolution> {
    const id = this.#nextId();
    const askedAt = monotonicNow();
    const { promise, settle } = openQuestion();
    const pending: Pending = { id, address, askedAt, promise, settle };
    this.#pending.set(id, pending);
    this.#pendingByAddress.set(address, pending);
    if (this.#pending.size === 1) {
      link.ref();
      this.#rearm();
    }
    link.send({ id, verb: 'resolve', address });
    return promise;
  }

  #heard(reply: Reply): void {
    if (reply.id === HELLO.id) {
      if (reply.kind === 'error') this.#link?.close();
      else this.#retryMs = RETRY_MS;
      return;
    }
    if (reply.kind === 'event') return this.#forget(reply.words);
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return; // answered from here meanwhile
    this.#remove(pending);
    pending.settle(this.#outcomeOf(reply, pending.address));
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

  /**
   * Those who have waited long enough are answered from here. The daemon may be waiting for probes, or not be there at
   * all: it is asked something that takes no time, and given up if that is not answered either.
   */
  #losePatience(now: Instant): void {
    const late = [...this.#pending.values()].filter(({ askedAt }) => askedAt + PATIENCE_MS <= now);
    for (const pending of late) {
      this.#remove(pending);
      pending.settle(this.#askHere(pending.address));
    }
    const link = this.#link;
    if (link === undefined) return;
    const [first] = late;
    if (link.heardAt >= (this.#doubtedAt ?? now)) this.#doubtedAt = undefined;
    if (now - (this.#doubtedAt ?? now) >= PATIENCE_MS) return link.close();
    if (first !== undefined && this.#doubtedAt === undefined && link.heardAt < first.askedAt) {
      this.#doubtedAt = now;
      link.send(HELLO);
    }
    this.#rearm();
  }

  #rearm(): void {
    const [next] = this.#pending.values();
    const from = earliest(this.#doubtedAt, next?.askedAt);
    this.#alarm.set(from === undefined ? undefined : from + PATIENCE_MS);
  }

  #remove({ id, address }: Pending): void {
    this.#pending.delete(id);
    this.#pendingByAddress.delete(address);
    if (this.#pending.size === 0) this.#link?.unref();
  }

  #lost(link: DaemonLink): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#doubtedAt = undefined;
    this.#retryAt = monotonicNow() + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    for (const { address, settle } of this.#take()) settle(this.#askHere(address));
  }

  #take(): Pending[] {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#pendingByAddress.clear();
    return all;
  }
}

interface LinkEvents {
  onReply(reply: Reply): void;
  /** Once, not inside a call of ours but `close`. */
  onGone(): void;
}

/** The connection, which is gone with the first thing that goes wrong. */
class DaemonLink {
  /** When something was heard last. */
  heardAt: Instant = 0;
  readonly #socket = new Socket();
  readonly #lines = new LineReader(MAX_LINE_BYTES);
  readonly #events: LinkEvents;
  #gone = false;

  constructor(path: string, events: LinkEvents) {
    this.#events = events;
    this.#socket.on('data', (bytes: Buffer) => this.#hear(bytes));
    this.#socket.on('error', () => this.close()); // why it is gone makes no difference
    this.#socket.on('close', () => this.close());
    nativeConnect.call(this.#socket, { path });
    this.unref();
  }

  send(request: Request): void {
    if (this.#gone) return;
    // One system call for what is asked in one go.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(formatRequest(request), 'latin1');
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#socket.destroy();
    this.#events.onGone();
  }

  #hear(bytes: Buffer): void {
    this.heardAt = monotonicNow();
    this.#lines.push(bytes);
    for (let line = this.#lines.next(); line !== undefined && !this.#gone; line = this.#lines.next()) {
      const reply = line.text === undefined ? undefined : replyOf(line.text);
      if (reply === undefined) return this.close();
      this.#events.onReply(reply);
    }
  }
}

/** Undefined from whoever does not speak the protocol. */
function replyOf(line: string): Reply | undefined {
  try {
    return parseReply(line);
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function resolutionOf(address: string, words: readonly string[]): Resolution | undefined {
  const [kind, member = '', trust, ttl = ''] = words;
  const unicast = lineAddress(member);
  if ((kind !== 'anycast' && kind !== 'unicast') || unicast === undefined || !/^\d{1,12}$/.test(ttl)) return undefined;
  return { address, kind, unicast, confirmed: trust === 'confirmed', ttlMs: Number(ttl) };
}

function openQuestion(): Pick<Pending, 'promise' | 'settle'> {
  let settle: Pending['settle'] = () => {};
  const promise = new Promise<Resolution>((resolve, reject) => {
    settle = (outcome) => (outcome instanceof UnresolvedError ? reject(outcome) : resolve(outcome));
  });
  return { promise, settle };
}
