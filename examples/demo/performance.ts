/**
 * The demo itself: starts both downloads on a stage, takes the network away, gives another, and watches until both
 * downloads have ended or are given up. Draws when there is a terminal, otherwise prints lines.
 */
import { dirname, join } from 'node:path';
import type { Program } from '../../test/lab/index.ts';
import { Download } from './download.ts';
import { chapterText, paintScene, progressText } from './picture.ts';
import type { Screen } from './screen.ts';
import { endpointText, type SessionEvent, SessionEvents } from './session-events.ts';
import type { Stage } from './stage.ts';
import { Story } from './story.ts';
import type { Style } from './style.ts';

const FILE_MEGABYTES = 240;
/** The network goes when both downloads are this far, or one has run ahead. */
const SHARE_BEFORE_LOSS = 0.25;
const SHARE_RUN_AHEAD = 0.5;
const OUTAGE_MS = 2000;
/** A download that gets nothing for this long with a network there is given up. */
const GIVE_UP_MS = 8000;
const FRAME_MS = 80;
const LINE_MS = 1000;

/** Four programs start at once here, perhaps on one core: the first contact gets more time than the usual 30 ms. */
const PATIENCE = { MOBISOCK_HEAD_START: '500' };

const DOWNLOAD_DIRECTORY: string = join(dirname(import.meta.dirname), 'download');

export interface Outcome {
  readonly downloads: readonly Download[];
  /** Whether the network was lost and found before both had ended. */
  readonly moved: boolean;
}

export class Performance {
  readonly #stage: Stage;
  readonly #style: Style;
  readonly #screen: Screen | undefined;
  readonly #story: Story;
  readonly #judged = new Set<Download>();
  #downloads: readonly Download[] = [];
  #server = '';
  #act: 'before' | 'offline' | 'moved' = 'before';
  #actSince = Date.now();

  constructor(init: { stage: Stage; style: Style; screen: Screen | undefined }) {
    this.#stage = init.stage;
    this.#style = init.style;
    this.#screen = init.screen;
    this.#story = new Story((chapter) => {
      if (this.#screen === undefined) console.log(chapterText(chapter, this.#style));
    });
  }

  async run(shim: string): Promise<Outcome> {
    await this.#start(shim);
    let lineAt = Date.now();
    while (this.#judged.size < this.#downloads.length) {
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
      for (const download of this.#downloads) {
        for (const event of download.pollEvents()) this.#tellEvent(event);
      }
      await this.#direct();
      this.#judge();
      this.#draw();
      if (this.#screen !== undefined || Date.now() - lineAt < LINE_MS) continue;
      lineAt = Date.now();
      for (const download of this.#running()) console.log(`          ${progressText(download)}`);
    }
    this.#screen?.finish();
    return { downloads: this.#downloads, moved: this.#act === 'moved' };
  }

  /** Both servers first, so that both downloads start at the same time. */
  async #start(shim: string): Promise<void> {
    const script = join(DOWNLOAD_DIRECTORY, 'server.mjs');
    const args = ['--megabytes', String(FILE_MEGABYTES)];
    const mobileServer = await this.#stage.startServer({ script, args, shim });
    const plainServer = await this.#stage.startServer({ script, args, shim: undefined });
    this.#server = mobileServer;
    const events = join(this.#stage.directory, 'client-events.jsonl');
    const mobile = this.#startClient(mobileServer, shim, { MOBISOCK_EVENTS: events, ...PATIENCE });
    const plain = this.#startClient(plainServer, undefined, {});
    const address = this.#stage.place?.address ?? '';
    const path = (server: string): string => `${address} > ${server}`;
    this.#downloads = [
      new Download({
        title: 'with mobisock',
        program: mobile,
        path: path(mobileServer),
        address,
        events: new SessionEvents(events),
      }),
      new Download({ title: 'without', program: plain, path: path(plainServer), address, events: undefined }),
    ];
    this.#story.tell(`${this.#whereabouts()}, both downloads start`);
  }

  #startClient(server: string, shim: string | undefined, env: Readonly<Record<string, string>>): Program {
    const script = join(DOWNLOAD_DIRECTORY, 'client.mjs');
    return this.#stage.startClient({ script, args: ['--json', `http://${server}/file`], shim, env });
  }

  /** Moves the play on when it is time. */
  async #direct(): Promise<void> {
    if (this.#act === 'before' && this.#farEnough()) {
      await this.#stage.loseNetwork();
      this.#enter('offline');
      this.#story.tell(this.#stage.loss, 'warning');
    } else if (this.#act === 'offline' && this.#actMs() >= OUTAGE_MS) {
      await this.#stage.gainNetwork();
      this.#enter('moved');
      this.#story.tell(this.#whereabouts());
    }
  }

  #judge(): void {
    for (const download of this.#running()) {
      const waitedMs = this.#act === 'offline' ? 0 : Math.min(download.silentMs, this.#actMs());
      if (waitedMs >= GIVE_UP_MS) download.giveUp();
    }
    for (const download of this.#downloads) {
      if (download.verdict === undefined || this.#judged.has(download)) continue;
      this.#judged.add(download);
      this.#tellVerdict(download);
    }
  }

  #draw(): void {
    if (this.#screen === undefined) return;
    const scene = {
      notice: this.#stage.notice,
      place: this.#stage.place,
      offlineMs: this.#act === 'offline' ? this.#actMs() : 0,
      server: this.#server,
      downloads: this.#downloads,
      story: this.#story,
    };
    this.#screen.draw(paintScene(scene, this.#style));
  }

  #running(): readonly Download[] {
    return this.#downloads.filter(({ verdict }) => verdict === undefined);
  }

  #farEnough(): boolean {
    const shares = this.#running().map(({ share }) => share);
    if (shares.length === 0) return false;
    return Math.min(...shares) >= SHARE_BEFORE_LOSS || Math.max(...shares) >= SHARE_RUN_AHEAD;
  }

  #enter(act: 'offline' | 'moved'): void {
    this.#act = act;
    this.#actSince = Date.now();
  }

  #actMs(): number {
    return Date.now() - this.#actSince;
  }

  #whereabouts(): string {
    const { place } = this.#stage;
    return place === undefined ? 'no network' : `${place.network}: ${place.address}`;
  }

  #tellEvent(event: SessionEvent): void {
    const from = event.local === undefined ? '' : ` from ${endpointText(event.local)}`;
    if (event.event === 'session:suspend') this.#story.tell('mobisock: no path, the session waits', 'warning');
    if (event.event === 'session:move') this.#story.tell(`mobisock: session moved${from}`, 'good');
    if (event.event !== 'session:resume') return;
    const gap = event.gapMs === undefined ? '' : `, gap ${Math.round(event.gapMs)} ms`;
    this.#story.tell(`mobisock: session resumed${from}${gap}`, 'good');
  }

  #tellVerdict({ title, verdict }: Download): void {
    if (verdict?.kind === 'complete') this.#story.tell(`${title}: complete, SHA-256 right`, 'good');
    if (verdict?.kind === 'failed') this.#story.tell(`${title}: failed, ${verdict.reason}`, 'bad');
    if (verdict?.kind !== 'stalled') return;
    this.#story.tell(`${title}: no byte for ${GIVE_UP_MS / 1000} s with a network there, given up`, 'bad');
  }
}
