/**
 * Connection to aarpd: one a process, over which questions go without waiting for each other.
 *
 * Life-cycle: asked for -> connected -> gone (refused, ended, not understood, silent). What is asked a while after that
 * asks for it again; where somebody has to hear of events, it is made again without. It keeps the process alive only
 * while it is held.
 */
import { Socket } from 'node:net';
import { WireError } from '../../../core/errors.ts';
import type { Instant } from '../../../core/time.ts';
import { Alarm, monotonicNow } from '../../../host/clock.ts';
import { nativeConnect } from '../../../host/native.ts';
import {
  formatRequest,
  MAX_LINE_BYTES,
  PROTOCOL_VERSION,
  parseReply,
  type Reply,
  type Request,
  type RequestWithoutId,
} from '../../daemon/daemon-protocol.ts';
import { LineReader } from '../../daemon/line-reader.ts';

/** Who asked. One of the two is called, once, unless it was forgotten. */
export interface DaemonQuestion {
  onReply(reply: Reply): void;
  /** The connection is gone, and the answer with it. */
  onLost(): void;
}

export type DaemonEventListener = (words: readonly string[]) => void;

/** What takes no time is answered within this, or aarpd is as good as gone. */
const PATIENCE_MS = 300;
/** Between a connection that is gone and the next: doubled while none answers. A restart takes about a second. */
const RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;
/** Unanswered at a time. */
const MAX_QUESTIONS = 2_048;
const WATCH: Request = { id: 'watch', verb: 'watch' };
const HELLO: Request = { id: 'hello', verb: 'hello', version: PROTOCOL_VERSION };

export class DaemonConnection {
  readonly #path: string;
  #link: Link | undefined;
  #holders = 0;
  #retryAt: Instant = 0;
  #retryMs = RETRY_MS;
  readonly #retry = new Alarm(() => void this.#made());
  /** Since when aarpd owes an answer that takes no time. */
  #doubtedAt: Instant | undefined;
  readonly #doubt = new Alarm(() => this.#link?.close());
  #closed = false;
  #lastId = 0;
  readonly #questions = new Map<string, DaemonQuestion>();
  readonly #listeners = new Set<DaemonEventListener>();
  /** Of them, those for whom the connection is made again by itself. */
  readonly #steady = new Set<DaemonEventListener>();

  /** `path`: of aarpd's socket. */
  constructor(path: string) {
    this.#path = path;
    this.#retry.unref();
    this.#doubt.unref();
  }

  /** The question's id; undefined where aarpd can't be asked now. */
  ask(request: RequestWithoutId, question: DaemonQuestion): string | undefined {
    if (this.#doubtedAt !== undefined || this.#questions.size >= MAX_QUESTIONS) return undefined;
    const link = this.#made();
    if (link === undefined) return undefined;
    const id = this.#nextId();
    this.#questions.set(id, question);
    link.send({ id, ...request });
    return id;
  }

  /** Says something whose answer makes no difference. Lost where aarpd is not there. */
  tell(request: RequestWithoutId): void {
    this.#made()?.send({ id: this.#nextId(), ...request });
  }

  /** The answer is not wanted any more. */
  forget(id: string): void {
    this.#questions.delete(id);
  }

  /** `listener` hears of events while there is a connection; `steady`: and there is one whenever aarpd is there. */
  watch(listener: DaemonEventListener, steady: boolean = false): () => void {
    if (this.#listeners.size === 0) this.#link?.send(WATCH);
    this.#listeners.add(listener);
    if (steady) {
      this.#steady.add(listener);
      this.#made();
    }
    return () => {
      this.#listeners.delete(listener);
      this.#steady.delete(listener);
      if (this.#steady.size === 0) this.#retry.set(undefined);
    };
  }

  /** Keeps the process alive until it is let go. */
  hold(): void {
    this.#holders++;
    if (this.#holders === 1) this.#link?.ref();
  }

  letGo(): void {
    this.#holders--;
    if (this.#holders === 0) this.#link?.unref();
  }

  /** An answer takes long. Unless something was heard since then, aarpd has to show that it is there. */
  doubt(since: Instant): void {
    if (this.#link === undefined || this.#doubtedAt !== undefined || this.#link.heardAt >= since) return;
    this.#doubtedAt = monotonicNow();
    this.#doubt.set(this.#doubtedAt + PATIENCE_MS);
    this.#link.send(HELLO);
  }

  /** Idempotent. Whoever waits for an answer hears that it is lost. */
  close(): void {
    this.#closed = true;
    this.#link?.close();
    this.#listeners.clear();
    this.#steady.clear();
    this.#retry.set(undefined);
  }

  #nextId(): string {
    this.#lastId = (this.#lastId + 1) % 2 ** 32;
    return this.#lastId.toString(36);
  }

  /** The connection, made if it is time for it. */
  #made(): Link | undefined {
    if (this.#link !== undefined || this.#closed || monotonicNow() < this.#retryAt) return this.#link;
    const link = new Link(this.#path, {
      onReply: (reply) => this.#heard(reply),
      onGone: () => this.#lost(link),
    });
    this.#link = link;
    if (this.#holders > 0) link.ref();
    link.send(HELLO);
    if (this.#listeners.size > 0) link.send(WATCH);
    return link;
  }

  #heard(reply: Reply): void {
    this.#doubtedAt = undefined;
    this.#doubt.set(undefined);
    if (reply.id === HELLO.id) {
      if (reply.kind === 'error') this.#link?.close();
      else this.#retryMs = RETRY_MS;
    } else if (reply.kind === 'event') {
      for (const listener of [...this.#listeners]) listener(reply.words);
    } else {
      const question = this.#questions.get(reply.id);
      this.#questions.delete(reply.id);
      question?.onReply(reply);
    }
  }

  #lost(link: Link): void {
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#doubtedAt = undefined;
    this.#doubt.set(undefined);
    this.#retryAt = monotonicNow() + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    if (this.#steady.size > 0) this.#retry.set(this.#retryAt);
    const waiting = [...this.#questions.values()];
    this.#questions.clear();
    for (const question of waiting) question.onLost();
  }
}

interface LinkEvents {
  onReply(reply: Reply): void;
  /** Once, not inside a call of ours but `close`. */
  onGone(): void;
}

/** One connected socket, which is gone with the first thing that goes wrong. */
class Link {
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
