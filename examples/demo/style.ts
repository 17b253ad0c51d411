/** Colours and signs, or plain ASCII without colours where the terminal asks for that. */
import { styleText } from 'node:util';

export type Colour = 'green' | 'red' | 'yellow' | 'cyan' | 'gray' | 'bold';

export class Style {
  readonly #colours: boolean;
  readonly #unicode: boolean;

  constructor(options: { colours: boolean; unicode: boolean }) {
    this.#colours = options.colours;
    this.#unicode = options.unicode;
  }

  static of(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): Style {
    const locale = env.LC_ALL || env.LC_CTYPE || env.LANG || '';
    return new Style({
      colours: stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb',
      unicode: process.platform !== 'linux' || /utf-?8/i.test(locale),
    });
  }

  paint(colour: Colour, text: string): string {
    // This module decides about colours, so styleText must not look at the stream again.
    return this.#colours ? styleText(colour, text, { validateStream: false }) : text;
  }

  bar(share: number, width: number, colour: Colour): string {
    const full = Math.min(width, Math.floor(share * width));
    const [done, rest] = this.#unicode ? ['━', '─'] : ['#', '.'];
    return this.paint(colour, done.repeat(full)) + this.paint('gray', rest.repeat(width - full));
  }

  /** Figures as columns, against the largest of them. */
  spark(figures: readonly number[]): string {
    const signs = this.#unicode ? ['_', '▁', '▂', '▃', '▄', '▅', '▆', '▇'] : ['_', '.', '.', '-', '-', '=', '=', '#'];
    const most = Math.max(1, ...figures);
    const column = (figure: number): string => signs[Math.round((figure / most) * (signs.length - 1))] ?? '';
    return figures.map((figure) => this.paint(figure === 0 ? 'red' : 'green', column(figure))).join('');
  }

  get arrow(): string {
    return this.#unicode ? '→' : '->';
  }

  get link(): string {
    return this.#unicode ? '────' : '----';
  }

  get cut(): string {
    return this.#unicode ? '─╳ ─' : '-X -';
  }
}
