/** Events that somebody reads from a pipe, however slowly. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventLines } from '../../src/socket/event-lines.ts';

interface Line {
  readonly event: string;
  readonly number?: number;
  readonly count?: number;
}

describe('event lines', () => {
  let directory: string;
  let pipe: number;
  let text: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mobisock-events-'));
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    text = '';
  });
  afterEach(() => {
    closeSync(pipe);
    rmSync(directory, { recursive: true });
  });

  /** What the pipe holds now. */
  function read(): Line[] {
    const chunk = Buffer.alloc(64 * 1024);
    try {
      for (;;) text += chunk.toString('latin1', 0, readSync(pipe, chunk));
    } catch (error) {
      expect(error).toMatchObject({ code: 'EAGAIN' });
    }
    const lines = text.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Line);
  }

  function write(count: number): EventLines {
    const lines = new EventLines(pipe, (error) => {
      throw error;
    });
    for (let number = 0; number < count; number++) lines.write({ event: 'session:move', number });
    return lines;
  }

  it('are there at once', () => {
    write(1);
    expect(read()).toEqual([{ event: 'session:move', number: 0 }]);
  });

  it('all come, in order, when their reader was behind', async () => {
    const count = 5_000; // more than a pipe holds
    write(count);
    await expect.poll(() => read().length, { timeout: 10_000 }).toBe(count);
    expect(read().map(({ number }) => number)).toEqual(Array.from({ length: count }, (_, number) => number));
  });

  it('say how many were lost because there was no end of it', async () => {
    const count = 60_000; // more than may wait
    write(count);
    await expect.poll(() => read().at(-1)?.event, { timeout: 10_000 }).toBe('events:lost');
    const lines = read();
    expect(lines.length - 1 + (lines.at(-1)?.count ?? 0)).toBe(count);
    expect(lines.slice(0, -1).every(({ number }, i) => number === i)).toBe(true);
  });

  it('end when they can be written no more, and say so once', () => {
    const errors: Error[] = [];
    const closed = openSync(directory, constants.O_RDONLY);
    const lines = new EventLines(closed, (error) => errors.push(error));
    lines.write({ event: 'session:open' });
    lines.write({ event: 'session:close' });
    closeSync(closed);
    expect(errors).toMatchObject([{ code: 'EBADF' }]);
  });
});
