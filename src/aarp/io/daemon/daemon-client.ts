/**
 * One client of aarpd, on its connection. Its requests are read only as fast as it reads the answers and as they are
 * answered, so that nobody can make the daemon keep more than a little.
 *
 * Life-cycle: made with an accepted socket; ends when the client ends (what it has asked is answered first), when it is
 * dropped (see {@link DropReason}), or with `finish`.
 */
import type { Socket } from 'node:net';
import type { Instant } from '../../../core/time.ts';
import { monotonicNow } from '../../../host/clock.ts';
import type { DaemonCounters, DropReason } from '../../daemon/daemon-counters.ts';
import {
  formatReply,
  MAX_LINE_BYTES,
  NO_ID,
  parseRequest,
  type Reply,
  type Request,
} from '../../daemon/daemon-protocol.ts';
import { LineReader } from '../../daemon/line-reader.ts';
import type { AnsweredHere, DaemonRequests } from './daemon-requests.ts';

/** Questions of one client that wait for probes. A process that resolves more at once gets its answers in turn. */
const MAX_IN_FLIGHT = 64;
/** Bytes of answers that a client has not read, beyond which none of its requests is: some hundred answers. */
export const UNREAD_HIGH_BYTES = 32_768;
/** A watcher that does not read: events are not held back, so it is let go. Thousands of events. */
const UNREAD_LIMIT_BYTES = 262_144;
export class DaemonClient {
  readonly #socket: Socket;
  readonly #requests: DaemonRequests;
  readonly #counters: DaemonCounters;
  readonly #lines = new LineReader(MAX_LINE_BYTES);
  #inFlight = 0;
  /** Replies that wait until the client has read those before. */
  #replies: Iterator<Reply> | undefined;
  #watchId: string | undefined;
  /** The client has ended its side: no request comes any more. */
  #lastHeard = false;
  /** The daemon stops: nothing more is read, not even what is here already. */
  #finishing = false;
  #lineBegunAt: Instant | undefined;
  #unread = { bytesWritten: 0, since: undefined as Instant | undefined };
  #activeAt: Instant;

  constructor(socket: Socket, requests: DaemonRequests, counters: DaemonCounters) {
    this.#socket = socket;
    this.#requests = requests;
    this.#counters = counters;
    this.#activeAt = monotonicNow();
    this.#socket.on('data', (bytes: Buffer) => {
      this.#lines.push(bytes);
      this.#work();
    });
    this.#socket.on('drain', () => this.#work());
    this.#socket.on('end', () => {
      this.#lastHeard = true;
      this.#work();
    });
    this.#socket.once('close', () => this.#replies?.return?.());
    // 'close' follows, which is where the server lets go of the client.
    this.#socket.on('error', () => this.#socket.destroy());
  }

  /** When it last asked something; undefined while it waits for an answer. */
  get idleSince(): Instant | undefined {
    return this.#inFlight > 0 || this.#replies !== undefined ? undefined : this.#activeAt;
  }

  /** Tells a watcher; others are left alone. */
  tell(words: readonly string[]): void {
    if (this.#watchId === undefined) return;
    this.#write({ id: this.#watchId, kind: 'event', words });
    if (this.#socket.writableLength > UNREAD_LIMIT_BYTES) this.drop('slow-reader');
  }

  /** To be called now and then: lets go of a client that has stalled for so long. */
  check(now: Instant, stallMs: number): void {
    const partial = this.#lines.pendingBytes > 0 && !this.#blocked;
    this.#lineBegunAt = partial ? (this.#lineBegunAt ?? now) : undefined;
    const { bytesWritten, writableLength } = this.#socket;
    const read = bytesWritten - writableLength;
    if (writableLength === 0 || read !== this.#unread.bytesWritten) {
      this.#unread = { bytesWritten: read, since: writableLength === 0 ? undefined : now };
    }
    if (now - (this.#lineBegunAt ?? now) > stallMs) this.drop('half-line');
    else if (now - (this.#unread.since ?? now) > stallMs) this.drop('slow-reader');
  }

  /** Answers what it has been asked, and ends. */
  finish(): void {
    this.#finishing = true;
    this.#socket.pause();
    this.#endWhenAnswered();
  }

  drop(reason: DropReason): void {
    if (this.#socket.destroyed) return;
    this.#counters.clientsDropped[reason] += 1;
    this.#socket.destroy();
  }

  get #blocked(): boolean {
    return this.#replies !== undefined || this.#inFlight >= MAX_IN_FLIGHT || this.#socket.writableNeedDrain;
  }

  #work(): void {
    // One system call for the answers to what came by one.
    this.#socket.cork();
    this.#replyOn();
    while (!this.#blocked && !this.#finishing && !this.#socket.destroyed) {
      const line = this.#lines.next();
      if (line === undefined) break;
      this.#handle(line.text);
    }
    this.#socket.uncork();
    if (this.#blocked) this.#socket.pause();
    else if (!this.#finishing) this.#socket.resume();
    this.#endWhenAnswered();
  }

  #handle(text: string | undefined): void {
    if (text === undefined) {
      this.#write({
        id: NO_ID,
        kind: 'error',
        code: 'too-long',
        message: `a line has at most ${MAX_LINE_BYTES} bytes`,
      });
      return;
    }
    const parsed = parseRequest(text);
    this.#activeAt = monotonicNow();
    if (!parsed.ok) return this.#write(parsed.reply);
    this.#counters.requests[parsed.request.verb] += 1;
    this.#answer(parsed.request);
  }

  #answer(request: Request): void {
    if (request.verb === 'watch') return this.#watch(request.id);
    const answer = this.#requests.answer(request as AnsweredHere);
    if (!(answer instanceof Promise)) {
      this.#replies = answer[Symbol.iterator]();
      return this.#replyOn();
    }
    this.#inFlight += 1;
    void answer.then((reply) => {
      this.#inFlight -= 1;
      this.#write(reply);
      this.#work();
    });
  }

  #watch(id: string): void {
    if (this.#watchId !== undefined) {
      return this.#write({ id, kind: 'error', code: 'busy', message: `watched already, as ${this.#watchId}` });
    }
    this.#watchId = id;
    this.#write({ id, kind: 'ok', words: [] });
  }

  #replyOn(): void {
    while (this.#replies !== undefined && !this.#socket.writableNeedDrain) {
      const { value, done } = this.#replies.next();
      if (done === true) this.#replies = undefined;
      else this.#write(value);
    }
  }

  #write(reply: Reply): void {
    if (reply.kind === 'error') this.#counters.errors[reply.code] += 1;
    if (!this.#socket.destroyed && !this.#socket.writableEnded) this.#socket.write(formatReply(reply), 'latin1');
  }

  #endWhenAnswered(): void {
    if (!this.#finishing && !this.#lastHeard) return;
    if (this.#inFlight > 0 || this.#replies !== undefined || this.#socket.writableEnded) return;
    if (this.#finishing) this.#socket.end(() => this.#socket.destroy());
    // What is read but not yet handled waits until the answers before it have been read.
    else if (!this.#blocked) this.#socket.end();
  }
}
