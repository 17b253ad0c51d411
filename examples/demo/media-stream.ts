/**
 * One running media stream as the audience sees it, fed by the sender's JSON lines: what the receiver reports back to
 * it. `verdict` is undefined until the sender has ended.
 */
import type { Program } from '../../test/lab/index.ts';
import { followReports } from './reports.ts';

/** Reports come twice a second. */
const SILENT_AFTER_MS = 1200;
const HISTORY = 48;

export type MediaVerdict =
  | { readonly kind: 'finished'; readonly received: number; readonly sent: number }
  | { readonly kind: 'cut-off'; readonly reason: string };

interface Report {
  readonly sent?: number;
  readonly received?: number;
  readonly lost?: number;
  readonly twice?: number;
  readonly jitterMs?: number;
  readonly longestGapMs?: number;
  readonly done?: boolean;
  readonly error?: string;
}

export class MediaStream {
  readonly title: string;
  sent: number = 0;
  received: number = 0;
  lost: number = 0;
  twice: number = 0;
  jitterMs: number = 0;
  longestGapMs: number = 0;
  verdict: MediaVerdict | undefined;
  /** Packets that each report added, the latest last. */
  readonly history: number[] = [];
  readonly #program: Program;
  #heardAt: number = Date.now();

  constructor(title: string, program: Program) {
    this.title = title;
    this.#program = program;
    void this.#follow();
  }

  /** How long no report has come, once that is worth a word. */
  get silentMs(): number {
    const ms = Date.now() - this.#heardAt;
    return this.verdict === undefined && ms > SILENT_AFTER_MS ? ms : 0;
  }

  async #follow(): Promise<void> {
    const ending = await followReports<Report>(this.#program, (report) => this.#take(report));
    this.#end({ kind: 'cut-off', reason: ending });
  }

  #end(verdict: MediaVerdict): void {
    if (this.verdict !== undefined) return;
    this.verdict = verdict;
    // The receiver can't tell how long a silence was that never ended.
    if (verdict.kind === 'cut-off') this.longestGapMs = Math.max(this.longestGapMs, Date.now() - this.#heardAt);
  }

  #take(report: Report): void {
    if (report.received !== undefined) {
      this.#heardAt = Date.now();
      this.history.push(report.received - this.received);
      if (this.history.length > HISTORY) this.history.shift();
    }
    for (const field of ['sent', 'received', 'lost', 'twice', 'jitterMs', 'longestGapMs'] as const) {
      this[field] = report[field] ?? this[field];
    }
    if (report.done === true) this.#end({ kind: 'finished', received: this.received, sent: this.sent });
    if (report.error === 'no goodbye') this.#end({ kind: 'cut-off', reason: 'cut off: no more answers' });
  }
}
