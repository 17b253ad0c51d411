/**
 * `npm run demo`: a download over plain node:http whose client loses its address on the way and gets another two
 * seconds later, on another network. Once with mobisock, once without, side by side. Ends with 0 only when the first
 * is complete and right, and the second is not. 2 means that it could not be
 * played. `--loopback` plays it without network namespaces.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../../src/core/errors.ts';
import { labAvailable } from '../../test/lab/index.ts';
import { LabStage } from './lab-stage.ts';
import { LoopbackStage } from './loopback-stage.ts';
import { type Outcome, Performance } from './performance.ts';
import { Screen } from './screen.ts';
import type { Stage } from './stage.ts';
import { Style } from './style.ts';
import { summaryTable } from './summary.ts';

const SHIM_FILE = join(dirname(dirname(import.meta.dirname)), 'dist', 'index.js');

async function openStage(): Promise<Stage> {
  if (process.argv.includes('--loopback')) return await LoopbackStage.open('--loopback asks for it');
  const availability = await labAvailable();
  if (availability.available) return await LabStage.open();
  // The first clause says what is missing; the rest is for those who debug the laboratory.
  return await LoopbackStage.open(availability.reason.split(/[:\n]/)[0] ?? '');
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

async function demo(): Promise<number> {
  if (!existsSync(SHIM_FILE)) {
    console.error(`The demo runs the built package, and ${SHIM_FILE} is not there. Run "npm run build" first.`);
    return 2;
  }
  // Through process.exit(), so that the exit handlers of the stage and the screen clean up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  // A reader that goes away, as `| head` does, ends the demo and not with a stack.
  process.stdout.on('error', () => process.exit(1));
  const stage = await openStage();
  try {
    const style = Style.of(process.stdout);
    const screen = process.stdout.isTTY ? new Screen(process.stdout) : undefined;
    if (screen === undefined && stage.notice !== undefined) console.log(stage.notice);
    const outcome = await new Performance({ stage, style, screen }).run(pathToFileURL(SHIM_FILE).href);
    const { shown, sentence } = conclusion(outcome);
    console.log(`\n${summaryTable(outcome.downloads, style).join('\n')}\n\n  ${sentence}\n`);
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
