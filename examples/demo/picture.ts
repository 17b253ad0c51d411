/** The state of the demo as lines of text, at most 79 columns wide. Pure: screen.ts puts them on the terminal. */
import type { Download } from './download.ts';
import type { Place } from './stage.ts';
import type { Chapter, Story } from './story.ts';
import type { Colour, Style } from './style.ts';

const BAR_WIDTH = 34;
const TITLE_WIDTH = 15;
/** A download that got nothing for this long is shown as waiting. */
const NOTICEABLE_SILENCE_MS = 700;

export interface Scene {
  readonly notice: string | undefined;
  readonly place: Place | undefined;
  readonly offlineMs: number;
  readonly server: string;
  readonly downloads: readonly Download[];
  readonly story: Story;
}

export function paintScene(scene: Scene, style: Style): string[] {
  return [
    '',
    `  ${style.paint('bold', 'mobisock demo')}   one download, twice: with mobisock and without`,
    ...(scene.notice === undefined ? [] : [`  ${style.paint('yellow', scene.notice)}`]),
    '',
    `  ${networkLine(scene, style)}`,
    '',
    ...scene.downloads.flatMap((download) => [...downloadLines(download, style), '']),
    ...scene.story.chapters.map((chapter) => `  ${chapterText(chapter, style)}`),
  ];
}

export function chapterText({ atMs, tone, text }: Chapter, style: Style): string {
  const time = style.paint('gray', `${seconds(atMs).padStart(7)} `);
  const colour = ({ plain: undefined, good: 'green', bad: 'red', warning: 'yellow' } as const)[tone];
  return `${time} ${colour === undefined ? text : style.paint(colour, text)}`;
}

export function progressText(download: Download): string {
  const rate = `${megabytes(download.bytesPerSecond())}/s`;
  return `${download.title}: ${percent(download)}, ${megabytes(download.received)}, ${stateOf(download)?.text ?? rate}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function percent({ share }: Download): string {
  return `${Math.floor(share * 100)} %`;
}

function networkLine({ place, offlineMs, server }: Scene, style: Style): string {
  const title = 'client'.padEnd(TITLE_WIDTH);
  const far = style.paint('gray', `server ${server}`);
  if (place === undefined) {
    const near = style.paint('yellow', `no network, ${seconds(offlineMs)}`.padEnd(18));
    return `${title}${near} ${style.paint('yellow', style.cut)} ${far}`;
  }
  const near = `${place.network} ${place.address}`.padEnd(18);
  return `${title}${style.paint('cyan', near)} ${style.paint('cyan', style.link)} ${far}`;
}

function downloadLines(download: Download, style: Style): string[] {
  const state = stateOf(download);
  const colour = state?.colour ?? 'green';
  const rate = `${megabytes(download.bytesPerSecond())}/s`;
  const figures = `${percent(download).padStart(5)} ${megabytes(download.received).padStart(9)}`;
  const bar = style.bar(download.share, BAR_WIDTH, colour);
  const now = style.paint(colour, (state?.text ?? rate).padStart(11));
  const path = download.path.replace('>', style.arrow);
  return [
    `  ${style.paint('bold', download.title.padEnd(TITLE_WIDTH))}${bar} ${figures} ${now}`,
    `  ${' '.repeat(TITLE_WIDTH)}${style.paint('gray', path)}`,
  ];
}

/** Something other than plain progress, if there is. */
function stateOf({ verdict, silentMs, suspended }: Download): { text: string; colour: Colour } | undefined {
  if (verdict?.kind === 'complete') return { text: 'complete', colour: 'green' };
  if (verdict !== undefined) return { text: verdict.kind, colour: 'red' };
  if (suspended) return { text: 'waiting', colour: 'yellow' };
  if (silentMs > NOTICEABLE_SILENCE_MS) return { text: `silent ${Math.round(silentMs / 1000)} s`, colour: 'yellow' };
  return undefined;
}
