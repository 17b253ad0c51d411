/**
 * A program of the laboratory that says what happens to it as JSON lines on its outputs (those of mobisock's events
 * included), and takes commands as lines on its input. Whoever waits, waits for a report, never for time to pass.
 */
import type { Program } from './program.ts';

export const REPORT_LIMIT_MS = 20_000;
/** Longer than any test: the wait ends with the program. */
const WHOLE_TEST_MS = 3_600_000;

export interface BasicReport {
  readonly event: string;
  /** Since 1970, in ms. */
  readonly at: number;
}

export class ReportingProgram<Report extends BasicReport> {
  readonly program: Program;
  readonly #unclaimed: Report[] = [];
  readonly #all: Report[] = [];
  readonly #wakers = new Set<() => void>();
  #following = 2;

  constructor(program: Program) {
    this.program = program;
    for (const stream of ['stdout', 'stderr'] as const) void this.#follow(stream);
  }

  tell(command: string): void {
    this.program.write(`${command}\n`);
  }

  /** The first report of that kind that no call has returned yet. */
  async report(
    event: string,
    where: (report: Report) => boolean = () => true,
    limitMs: number = REPORT_LIMIT_MS,
  ): Promise<Report> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      const index = this.#unclaimed.findIndex((report) => report.event === event && where(report));
      const [found] = index < 0 ? [] : this.#unclaimed.splice(index, 1);
      if (found !== undefined) return found;
      const leftMs = deadline - performance.now();
      if (this.#following === 0 || leftMs <= 0) {
        const why = leftMs <= 0 ? `said nothing of "${event}" for ${limitMs} ms` : `ended without "${event}"`;
        throw new Error(`${this.program.title} ${why}\n${this.transcript()}`);
      }
      await this.#change(leftMs);
    }
  }

  /** All reports of that kind so far, claimed or not. */
  reports(event: string): readonly Report[] {
    return this.#all.filter((report) => report.event === event);
  }

  transcript(): string {
    const tail = (text: string): string => text.trimEnd().split('\n').slice(-20).join('\n');
    return `stdout:\n${tail(this.program.stdout)}\nstderr:\n${tail(this.program.stderr)}`;
  }

  async #follow(stream: 'stdout' | 'stderr'): Promise<void> {
    try {
      for (;;) {
        const [line] = await this.program.line(/^\{.*\}$/, { stream, timeoutMs: WHOLE_TEST_MS });
        const report = JSON.parse(line) as Report;
        this.#all.push(report);
        this.#unclaimed.push(report);
        this.#wake();
      }
    } catch {
      // No further line: the program has ended.
    }
    this.#following -= 1;
    this.#wake();
  }

  #change(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(finish);
        resolve();
      };
      const timer = setTimeout(finish, limitMs);
      this.#wakers.add(finish);
    });
  }

  #wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }
}
