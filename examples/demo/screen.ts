/**
 * Draws a block of lines over itself in a terminal: one write per frame, nothing is erased before it is replaced, so
 * nothing flickers. Lines are cut to the terminal's size, since a wrapped line would break the next frame.
 *
 * Life-cycle: draw() any number of times, finish() leaves the last frame standing and the cursor below it.
 */
const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
/** Terminals that know it show the frame in one go; others ignore it. */
const BEGIN_FRAME = '\x1b[?2026h';
const END_FRAME = '\x1b[?2026l';
const ERASE_LINE_END = '\x1b[K';
const ERASE_BELOW = '\x1b[J';
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are made of
const TOKEN = /\x1b\[[0-9;]*m|./gu;

export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #drawn = 0;
  #begun = false;
  readonly #restore = (): void => {
    this.#stream.write(SHOW_CURSOR);
  };

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  draw(lines: readonly string[]): void {
    if (!this.#begun) {
      this.#begun = true;
      process.once('exit', this.#restore);
      this.#stream.write(HIDE_CURSOR);
    }
    const { columns = 80, rows = 24 } = this.#stream;
    const shown = lines.slice(0, rows - 1).map((line) => cutToWidth(line, columns - 1));
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    const body = shown.map((line) => `${line}${ERASE_LINE_END}\n`).join('');
    this.#stream.write(`${BEGIN_FRAME}\r${up}${body}${ERASE_BELOW}${END_FRAME}`);
    this.#drawn = shown.length;
  }

  finish(): void {
    if (!this.#begun) return;
    process.off('exit', this.#restore);
    this.#restore();
  }
}

/** Keeps colour sequences, which take no room. */
export function cutToWidth(line: string, width: number): string {
  let used = 0;
  let cut = '';
  for (const [token] of line.matchAll(TOKEN)) {
    const visible = !token.startsWith('\x1b');
    if (visible && used === width) continue;
    if (visible) used += 1;
    cut += token;
  }
  return cut;
}
