/**
 * `npm run demo`: a download over plain node:http whose client loses its address on the way and gets another two
 * seconds later, on another network. Once with mobisock, once without, side by side. Ends with 0 only when the first
 * is complete and right, and the second is not. 2 means that it could not be played. `--loopback` plays it without
 * network namespaces. `npm run demo -- udp` shows a media stream over node:dgram instead.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { UsageError } from '../../src/core/errors.ts';
import { labAvailable } from '../../test/lab/index.ts';
import { LabStage } from './lab-stage.ts';
import { LoopbackStage } from './loopback-stage.ts';
import { MediaPerformance } from './media-performance.ts';
import { type Outcome, Performance } from './performance.ts';
import { Screen } from './screen.ts';
import type { Stage } from './stage.ts';
import { Style } from './style.ts';
import { mediaTable, summaryTable } from './summary.ts';

const SHIM_FILE = join(dirname(dirname(import.meta.dirname)), 'dist', 'index.js');

/** Undefined, and said why, where it can't be played. */
async function openStage(what: string): Promise<Stage | undefined> {
  const loopback = process.argv.includes('--loopback');
  const availability = loopback ? undefined : await labAvailable();
  if (availability?.available === true) return await LabStage.open();
  // The first clause says what is missing; the rest is for those who debug the laboratory.
  const reason = availability === undefined ? '--loopback asks for it' : availability.reason.split(/[:\n]/)[0];
  if (what === 'download') return await LoopbackStage.open(reason ?? '');
  console.error(`The demo of UDP needs network namespaces: ${reason}. "npm run demo" works without them.`);
  return undefined;
}

function conclusion({ downloads, moved }: Outcome): { shown: boolean; sentence: string } {
  const [withMobisock, without] = downloads.map(({ verdict }) => verdict?.kind);
  if (downloads[0]?.sessions.size === 0) {
    return { shown: false, sentence: 'mobisock opened no session, so it could not help: this is a failure.' };
  }
  if (!moved) return { shown: false, sentence: 'The downloads ended before the move: nothing is shown.' };
  if (withMobisock !== 'complete') {
    return { shown: false, sentence: 'The download with mobisock is not complete: this is a failure.' };
  }
  if (without === 'complete') {
    return { shown: false, sentence: 'The download without mobisock went on as well: nothing is shown.' };
  }
  return { shown: true, sentence: 'The session outlived its address.' };
}

interface Play {
  readonly stage: Stage;
  readonly style: Style;
  readonly screen: Screen | undefined;
}

interface Ending {
  readonly shown: boolean;
  readonly sentence: string;
  readonly table: readonly string[];
}

async function playDownload(play: Play, shim: string): Promise<Ending> {
  const outcome = await new Performance(play).run(shim);
  return { ...conclusion(outcome), table: summaryTable(outcome.downloads, play.style) };
}

async function playMedia(play: Play, shim: string): Promise<Ending> {
  const streams = await new MediaPerformance(play).run(shim);
  const [withMobisock, without] = streams.map(({ verdict }) => verdict?.kind);
  const table = mediaTable(streams, play.style);
  if (withMobisock !== 'finished') {
    return { shown: false, sentence: 'The stream with mobisock was cut off: this is a failure.', table };
  }
  if (without === 'finished') {
    return { shown: false, sentence: 'The stream without mobisock went on as well: nothing is shown.', table };
  }
  return { shown: true, sentence: 'The stream outlived its address.', table };
}

const USAGE = 'npm run demo [-- udp] [-- --loopback]';

async function demo(): Promise<number> {
  const { positionals } = parseArgs({ allowPositionals: true, options: { loopback: { type: 'boolean' } } });
  const [what = 'download', ...more] = positionals;
  if (!['download', 'udp'].includes(what) || more.length > 0) {
    console.error(`What to show is "download" or "udp", not "${positionals.join(' ')}": ${USAGE}`);
    return 2;
  }
  if (!existsSync(SHIM_FILE)) {
    console.error(`The demo runs the built package, and ${SHIM_FILE} is not there. Run "npm run build" first.`);
    return 2;
  }
  // Through process.exit(), so that the exit handlers of the stage and the screen clean up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  // A reader that goes away, as `| head` does, ends the demo and not with a stack.
  process.stdout.on('error', () => process.exit(1));
  const stage = await openStage(what);
  if (stage === undefined) return 2;
  try {
    const style = Style.of(process.stdout);
    const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
    if (screen === undefined && stage.notice !== undefined) console.log(stage.notice);
    const play = what === 'udp' ? playMedia : playDownload;
    const { shown, sentence, table } = await play({ stage, style, screen }, pathToFileURL(SHIM_FILE).href);
    console.log(`\n${table.join('\n')}\n\n  ${sentence}\n`);
    return shown ? 0 : 1;
  } catch (error) {
    // A program that did not start says why in the message; where the demo waited for it helps nobody.
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    return 2;
  } finally {
    await stage.close();
  }
}

process.exitCode = await demo();
