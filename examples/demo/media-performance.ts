/**
 * The demo of UDP: two media streams from a client that loses its network in the middle and gets another one, with
 * mobisock and without. Draws when there is a terminal, otherwise prints lines.
 */
import { dirname, join } from 'node:path';
import { MediaStream } from './media-stream.ts';
import { chapterText, seconds } from './picture.ts';
import type { Screen } from './screen.ts';
import { SessionEvents } from './session-events.ts';
import type { Stage } from './stage.ts';
import { Story } from './story.ts';
import type { Style } from './style.ts';

const STREAM_SECONDS = 12;
const LOSS_AT_MS = 4000;
const OUTAGE_MS = 2000;
const FRAME_MS = 80;
const LINE_MS = 1000;
const TITLE_WIDTH = 15;

const MEDIA_DIRECTORY: string = join(dirname(import.meta.dirname), 'media');

export class MediaPerformance {
  readonly #stage: Stage;
  readonly #style: Style;
  readonly #screen: Screen | undefined;
  readonly #story: Story;
  readonly #startedAt = Date.now();
  #act: 'before' | 'offline' | 'moved' = 'before';
  #events: SessionEvents | undefined;
  #streams: readonly MediaStream[] = [];

  constructor({ stage, style, screen }: { stage: Stage; style: Style; screen: Screen | undefined }) {
    this.#stage = stage;
    this.#style = style;
    this.#screen = screen;
    this.#story = new Story((chapter) => {
      if (screen === undefined) console.log(chapterText(chapter, style));
    });
  }

  async run(shim: string): Promise<readonly MediaStream[]> {
    await this.#start(shim);
    let lineAt = Date.now();
    while (this.#streams.some(({ verdict }) => verdict === undefined)) {
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
      for (const event of this.#events?.read() ?? []) {
        if (event.event === 'session:move') this.#story.tell('mobisock: the flow goes on from here', 'good');
      }
      await this.#direct();
      this.#screen?.draw(this.#paint());
      if (this.#screen !== undefined || Date.now() - lineAt < LINE_MS) continue;
      lineAt = Date.now();
      for (const stream of this.#streams) {
        if (stream.verdict === undefined) console.log(`          ${stream.title}: ${this.#figures(stream)}`);
      }
    }
    this.#screen?.finish();
    return this.#streams;
  }

  async #start(shim: string): Promise<void> {
    const receiver = join(MEDIA_DIRECTORY, 'receiver.mjs');
    const script = join(MEDIA_DIRECTORY, 'sender.mjs');
    const mobile = await this.#stage.startServer({ script: receiver, args: [], shim });
    const plain = await this.#stage.startServer({ script: receiver, args: [], shim: undefined });
    const events = join(this.#stage.directory, 'sender-events.jsonl');
    this.#events = new SessionEvents(events);
    const sender = (server: string, withShim: string | undefined): MediaStream => {
      const at = server.lastIndexOf(':');
      const [host, port] = [server.slice(0, at), server.slice(at + 1)];
      const args = ['--json', '--seconds', String(STREAM_SECONDS), host, port];
      const env: Record<string, string> = withShim === undefined ? {} : { MOBISOCK_EVENTS: events };
      const title = withShim === undefined ? 'without' : 'with mobisock';
      return new MediaStream(title, this.#stage.startClient({ script, args, shim: withShim, env }));
    };
    this.#streams = [sender(mobile, shim), sender(plain, undefined)];
    this.#story.tell(`${this.#whereabouts()}, both streams start`);
  }

  async #direct(): Promise<void> {
    const ms = Date.now() - this.#startedAt;
    if (this.#act === 'before' && ms >= LOSS_AT_MS) {
      this.#act = 'offline';
      await this.#stage.loseNetwork();
      this.#story.tell(this.#stage.loss, 'warning');
    } else if (this.#act === 'offline' && ms >= LOSS_AT_MS + OUTAGE_MS) {
      this.#act = 'moved';
      await this.#stage.gainNetwork();
      this.#story.tell(this.#whereabouts());
    }
  }

  #whereabouts(): string {
    const { place } = this.#stage;
    return place === undefined ? 'no network' : `${place.network}: ${place.address}`;
  }

  #paint(): string[] {
    return [
      '',
      `  ${this.#style.paint('bold', 'mobisock demo')}   one media stream over UDP, twice: with mobisock and without`,
      '',
      ...this.#streams.flatMap((stream) => [
        `  ${this.#style.paint('bold', stream.title.padEnd(TITLE_WIDTH))}${this.#style.spark(stream.history)}`,
        `  ${' '.repeat(TITLE_WIDTH)}${this.#figures(stream)}`,
        '',
      ]),
      ...this.#story.chapters.map((chapter) => `  ${chapterText(chapter, this.#style)}`),
    ];
  }

  #figures({ received, lost, jitterMs, silentMs, verdict }: MediaStream): string {
    const figures = `${received} received, ${lost} lost, jitter ${jitterMs} ms`;
    if (verdict?.kind === 'finished') return `${figures}, ${this.#style.paint('green', 'finished')}`;
    if (verdict !== undefined) return `${figures}, ${this.#style.paint('red', verdict.reason)}`;
    return silentMs === 0
      ? figures
      : `${figures}, ${this.#style.paint('yellow', `no report for ${seconds(silentMs)}`)}`;
  }
}
