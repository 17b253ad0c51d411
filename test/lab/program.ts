/**
 * One program under test in a namespace: started, watched line by line, signalled by its own process group, collected.
 *
 * Life-cycle: constructed = started; `exit` settles once when the program has ended and all its output is here. The lab
 * that started it kills it at close. A program that could not be started has exit code null and says so in `stderr`.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { UsageError } from '../../src/core/errors.ts';

/** A chatty program must not eat the test's memory; the oldest lines go first. */
const KEPT_LINES = 50_000;
/** Generous: it only bounds a wait that would never end, and says what the program printed instead. */
const LINE_LIMIT_MS = 20_000;
/** How much of the output an error message repeats. */
const SHOWN_LINES = 30;

export interface ProgramExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface LineOptions {
  readonly stream?: 'stdout' | 'stderr';
  readonly timeoutMs?: number;
}

export class Program {
  readonly title: string;
  readonly pid: number | undefined;
  readonly exit: Promise<ProgramExit>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #stdout: LineLog;
  readonly #stderr: LineLog;
  #ended = false;

  constructor(argv: readonly string[], options: { title: string; env: NodeJS.ProcessEnv; directory: string }) {
    const [program = '', ...args] = argv;
    this.title = options.title;
    // Detached: an own process group, so that workers of the program get its signals and nobody else does.
    this.#child = spawn(program, args, {
      cwd: options.directory,
      env: options.env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.pid = this.#child.pid;
    this.#stdout = new LineLog(this.#child.stdout);
    this.#stderr = new LineLog(this.#child.stderr);
    this.#child.stdin.on('error', () => undefined);
    this.exit = new Promise((resolve) => {
      const settle = (end: ProgramExit): void => {
        this.#ended = true;
        this.#stdout.end();
        this.#stderr.end();
        resolve(end);
      };
      this.#child.once('close', (code, signal) => settle({ code, signal }));
      this.#child.once('error', (error) => {
        if (this.pid !== undefined) return;
        this.#stderr.append(`${String(error)}\n`);
        settle({ code: null, signal: null });
      });
    });
  }

  get stdout(): string {
    return this.#stdout.text();
  }

  get stderr(): string {
    return this.#stderr.text();
  }

  /**
   * The next line that matches, after the line that the previous call on the same stream returned. Lines printed
   * before the call count too, so there is no race between the program and the test.
   */
  async line(pattern: RegExp, options: LineOptions = {}): Promise<RegExpExecArray> {
    const log = options.stream === 'stderr' ? this.#stderr : this.#stdout;
    const limitMs = options.timeoutMs ?? LINE_LIMIT_MS;
    const match = await log.next(pattern, limitMs);
    if (typeof match !== 'string') return match;
    const outcome = match === 'ended' ? 'ended' : `was silent for ${limitMs} ms`;
    throw new UsageError(`${this.title} ${outcome} before a line matched ${pattern}\n${this.#recentOutput()}`);
  }

  /** To the program's whole process group. Does nothing when it has ended. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    if (this.#ended || this.pid === undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // It ended in between.
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<ProgramExit> {
    this.kill(signal);
    return await this.exit;
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  endInput(): void {
    this.#child.stdin.end();
  }

  #recentOutput(): string {
    const tail = (log: LineLog): string => log.text().trimEnd().split('\n').slice(-SHOWN_LINES).join('\n');
    return `stdout:\n${tail(this.#stdout)}\nstderr:\n${tail(this.#stderr)}`;
  }
}

class LineLog {
  readonly #lines: string[] = [];
  readonly #wakers = new Set<() => void>();
  #partial = '';
  /** How many lines were forgotten; line numbers count from the first line ever printed. */
  #forgotten = 0;
  #cursor = 0;
  #ended = false;

  constructor(stream: Readable) {
    stream.setEncoding('utf8').on('data', (text: string) => this.append(text));
  }

  append(text: string): void {
    const pieces = (this.#partial + text).split('\n');
    this.#partial = pieces.pop() ?? '';
    this.#lines.push(...pieces);
    const surplus = this.#lines.length - KEPT_LINES;
    if (surplus > 0) {
      this.#lines.splice(0, surplus);
      this.#forgotten += surplus;
    }
    this.#wake();
  }

  end(): void {
    if (this.#partial !== '') this.append('\n');
    this.#ended = true;
    this.#wake();
  }

  text(): string {
    return this.#lines.map((line) => `${line}\n`).join('') + this.#partial;
  }

  async next(pattern: RegExp, limitMs: number): Promise<RegExpExecArray | 'ended' | 'silent'> {
    const deadline = performance.now() + limitMs;
    let number = this.#cursor;
    for (;;) {
      number = Math.max(number, this.#forgotten);
      for (; number - this.#forgotten < this.#lines.length; number++) {
        pattern.lastIndex = 0;
        const match = pattern.exec(this.#lines[number - this.#forgotten] ?? '');
        if (match === null) continue;
        this.#cursor = number + 1;
        return match;
      }
      if (this.#ended) return 'ended';
      if (!(await this.#change(deadline - performance.now()))) return 'silent';
    }
  }

  #change(limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (changed: boolean): void => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve(changed);
      };
      const wake = (): void => finish(true);
      const timer = setTimeout(() => finish(false), Math.max(0, limitMs));
      this.#wakers.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#wakers]) wake();
  }
}
