/**
 * Event lines: text for whoever reads a file or a pipe, written at once, since after a crash the last line is wanted
 * most. A pipe whose reader is behind takes no more for a while: lines wait then, up to a limit, and what is beyond it
 * is counted in a line of its own.
 */
import { writeSync } from 'node:fs';
import { after } from '../host/clock.ts';

/** Some thousand lines: a server's flows when it moves. */
const MAX_WAITING_BYTES = 1 << 20;
const AGAIN_MS = 20;

export class EventLines {
  readonly #file: number;
  readonly #onError: (error: Error) => void;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lost = 0;
  #broken = false;
  #scheduled = false;

  /** `onError` is called once at most: nothing is written from then on. */
  constructor(file: number, onError: (error: Error) => void) {
    this.#file = file;
    this.#onError = onError;
  }

  write(value: object): void {
    if (this.#broken) return;
    const line = Buffer.from(`${JSON.stringify(value)}\n`);
    if (this.#waitingBytes + line.length > MAX_WAITING_BYTES) {
      this.#lost += 1;
      return;
    }
    this.#wait(line);
    if (!this.#scheduled) this.#flush();
  }

  #wait(line: Buffer): void {
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
  }

  #flush(): void {
    try {
      while (this.#waiting.length > 0) {
        this.#writeWaiting();
        if (this.#waiting.length > 0 || this.#lost === 0) continue;
        this.#wait(Buffer.from(`${JSON.stringify({ event: 'events:lost', at: Date.now(), count: this.#lost })}\n`));
        this.#lost = 0;
      }
    } catch (error) {
      if (isFull(error)) return this.#flushLater();
      this.#broken = true;
      this.#waiting = [];
      this.#onError(error as Error);
    }
  }

  /** As many bytes of all that waits as there is room for. */
  #writeWaiting(): void {
    const bytes = this.#waiting.length === 1 ? (this.#waiting[0] as Buffer) : Buffer.concat(this.#waiting);
    this.#waiting = [bytes];
    const rest = bytes.subarray(writeSync(this.#file, bytes));
    this.#waiting = rest.length === 0 ? [] : [rest];
    this.#waitingBytes = rest.length;
  }

  #flushLater(): void {
    this.#scheduled = true;
    const cancel = after(AGAIN_MS, () => again());
    const again = (): void => {
      cancel();
      process.off('exit', again);
      this.#scheduled = false;
      this.#flush();
    };
    process.on('exit', again);
  }
}

function isFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
