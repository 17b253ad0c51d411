/**
 * One running download as the audience sees it: how far, how fast, on which path, and whether it is still alive.
 * Fed by the client program's JSON lines, and by mobisock's events when it runs with mobisock.
 *
 * `verdict` is undefined until the download has ended or has been given up by the demo.
 */
import type { Program } from '../../test/lab/index.ts';
import { followReports } from './reports.ts';
import { endpointText, type SessionEvent, type SessionEvents } from './session-events.ts';

/** The rate shown is the mean of this long, so that the figure can be read. */
const RATE_WINDOW_MS = 1000;

export type Verdict =
  | { readonly kind: 'complete'; readonly sha256: string; readonly tookMs: number }
  | { readonly kind: 'failed'; readonly reason: string }
  | { readonly kind: 'stalled'; readonly silentMs: number };

interface Report {
  readonly received?: number;
  readonly total?: number;
  readonly done?: boolean;
  readonly sha256?: string;
  readonly ms?: number;
  readonly error?: string;
}

export class Download {
  readonly title: string;
  received: number = 0;
  total: number = 0;
  path: string;
  addresses: string[];
  longestSilenceMs: number = 0;
  gapMs: number | undefined;
  suspended: boolean = false;
  verdict: Verdict | undefined;
  readonly sessions: Set<string> = new Set();
  readonly #program: Program;
  readonly #events: SessionEvents | undefined;
  readonly #samples: { at: number; received: number }[] = [];
  #lastByteAt: number;

  constructor(init: {
    title: string;
    program: Program;
    path: string;
    address: string;
    events: SessionEvents | undefined;
  }) {
    this.title = init.title;
    this.path = init.path;
    this.addresses = [init.address];
    this.#program = init.program;
    this.#events = init.events;
    this.#lastByteAt = Date.now();
    void this.#follow();
  }

  /** 0 to 1. */
  get share(): number {
    return this.total === 0 ? 0 : this.received / this.total;
  }

  get silentMs(): number {
    return this.verdict === undefined ? Date.now() - this.#lastByteAt : 0;
  }

  bytesPerSecond(): number {
    const now = Date.now();
    while (this.#samples.length > 1 && now - (this.#samples[0]?.at ?? now) > RATE_WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (first === undefined || now - first.at < 100) return 0;
    return ((this.received - first.received) / (now - first.at)) * 1000;
  }

  /** New events of the session under this download, taken into account and passed on for the story. */
  pollEvents(): readonly SessionEvent[] {
    const events = this.#events?.read() ?? [];
    for (const event of events) {
      this.sessions.add(event.session);
      if (event.event === 'session:suspend') this.suspended = true;
      if (event.event === 'session:resume' || event.event === 'session:move') this.suspended = false;
      if (event.gapMs !== undefined) this.gapMs = Math.max(this.gapMs ?? 0, event.gapMs);
      if (event.event === 'session:close' || event.event === 'session:suspend') continue;
      if (event.local === undefined || event.remote === undefined) continue;
      this.path = `${endpointText(event.local)} > ${endpointText(event.remote)}`;
      if (this.addresses.at(-1) !== event.local.ip) this.addresses.push(event.local.ip);
    }
    return events;
  }

  giveUp(): void {
    this.#noteSilence(Date.now());
    this.verdict ??= { kind: 'stalled', silentMs: Date.now() - this.#lastByteAt };
  }

  async #follow(): Promise<void> {
    const ending = await followReports<Report>(this.#program, (report) => this.#take(report));
    const complaint = this.#program.stderr.split('\n').find((line) => line.includes('Error'));
    this.verdict ??= { kind: 'failed', reason: complaint ?? ending };
  }

  #take(report: Report): void {
    const now = Date.now();
    if (report.total !== undefined) this.total = report.total;
    if (report.received !== undefined && report.received > this.received) {
      this.#noteSilence(now);
      this.received = report.received;
      this.#lastByteAt = now;
    }
    this.#samples.push({ at: now, received: this.received });
    if (report.error !== undefined) this.verdict ??= { kind: 'failed', reason: report.error };
    if (report.done === true) {
      this.verdict ??= { kind: 'complete', sha256: report.sha256 ?? '', tookMs: report.ms ?? 0 };
    }
  }

  #noteSilence(now: number): void {
    this.longestSilenceMs = Math.max(this.longestSilenceMs, now - this.#lastByteAt);
  }
}
