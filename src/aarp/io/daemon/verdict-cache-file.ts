/**
 * The verdicts of aarpd in a file: read once, written after changes, whole or not at all. A file that cannot be read as
 * what it should be is kept aside, never overwritten; a disk that is full costs nothing but the next restart.
 */
import { renameSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WireError } from '../../../core/errors.ts';
import { Alarm, monotonicNow, wallNow } from '../../../host/clock.ts';
import { readFileStart } from '../../../host/file-start.ts';
import { putFile } from '../../../host/replace-file.ts';
import type { DaemonCounters } from '../../daemon/daemon-counters.ts';
import {
  decodeVerdictFile,
  encodeVerdictFile,
  type KeptVerdicts,
  VERDICT_FILE_LIMIT_BYTES,
} from '../../daemon/verdict-file.ts';

/** Changes come in bursts; a crash costs the verdicts of this long, which are found out again. */
const WRITE_DELAY_MS = 2_000;
/** After a failure: a full disk stays full for a while. */
const RETRY_DELAY_MS = 60_000;
/** Whoever can read it learns with whom this host talks. */
const FILE_MODE = 0o600;

export interface VerdictCacheFileInit {
  readonly path: string;
  /** What is to be kept, now. */
  current(): KeptVerdicts;
  readonly counters: DaemonCounters;
  /** Called with what whoever runs the daemon should know. */
  warn(message: string): void;
}

export class VerdictCacheFile {
  readonly #init: VerdictCacheFileInit;
  readonly #alarm: Alarm;
  #changed = false;
  #writing: Promise<void> = Promise.resolve();
  #failing = false;

  constructor(init: VerdictCacheFileInit) {
    this.#init = init;
    this.#alarm = new Alarm(() => void this.save());
    this.#alarm.unref();
  }

  /** What the file has. Never throws: what is wrong is told, and then there is nothing. */
  load(): KeptVerdicts {
    const { path, warn } = this.#init;
    try {
      return decodeVerdictFile(readFileStart(path, VERDICT_FILE_LIMIT_BYTES + 1), wallNow());
    } catch (error) {
      const there = (error as NodeJS.ErrnoException).code !== 'ENOENT';
      if (error instanceof WireError) this.#keepAside(error);
      else if (there) warn(`${path}: cannot be read (${messageOf(error)}); the cache starts empty`);
      return { destinations: [], resolutions: [] };
    }
  }

  #keepAside({ message }: WireError): void {
    const { path, warn } = this.#init;
    const aside = `${path}.bad`;
    warn(`${path}: ${message}; the cache starts empty, and the file is kept as ${aside}`);
    try {
      renameSync(path, aside);
    } catch (error) {
      warn(`${path}: cannot be kept (${messageOf(error)})`);
    }
  }

  /** To be called after changes: writes them soon. */
  touch(): void {
    this.#changed = true;
    if (this.#alarm.deadline !== undefined) return;
    this.#alarm.set(monotonicNow() + (this.#failing ? RETRY_DELAY_MS : WRITE_DELAY_MS));
  }

  /** Writes now. Never rejects: a failure is told once, until it works again. */
  save(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Writes what is new. */
  async close(): Promise<void> {
    await this.save();
    this.#alarm.set(undefined);
  }

  async #write(): Promise<void> {
    if (!this.#changed) return;
    const { path, current, counters, warn } = this.#init;
    this.#changed = false;
    try {
      await mkdir(dirname(path), { recursive: true });
      // One name, so that crashes leave no more than one file behind.
      await putFile(path, { text: encodeVerdictFile(current()), mode: FILE_MODE, fresh: `${path}.new` });
    } catch (error) {
      counters.cacheWriteFailures += 1;
      if (!this.#failing) warn(`${path}: cannot be written (${messageOf(error)}); the cache is in memory only`);
      this.#failing = true;
      return this.touch();
    }
    counters.cacheWrites += 1;
    if (this.#failing) warn(`${path}: written again`);
    this.#failing = false;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
