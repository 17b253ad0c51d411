/**
 * Echo requests by the system's `ping`, which has the right to send them by its file. For hosts without ping sockets: a
 * process for each request, which ends with the reply or a second later.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { delimiter, join } from 'node:path';
import { kernelAddress } from '../core/address.ts';
import type { PingHandlers, PingPort } from './ping-port.ts';
import { systemError } from './system-error.ts';

/** Some MB each; what is beyond counts as lost, and is asked again later. */
const MAX_PROCESSES = 16;
const WAIT_SECONDS = 1;
/** Of iputils and of busybox: `24 bytes from fd00::1: icmp_seq=1 ...`, `... seq=0 ...`. */
const REPLY = /\bbytes from ([0-9a-f:.]+(?:%[\w.-]+)?)(?: \(.*\))?: (?:icmp_)?seq=/;
/** As iputils says it, before anything is on the wire; its exit status is then 2, which is for other mistakes too. */
const UNSENDABLE = /(?:Network is unreachable|No route to host|Cannot assign requested address|unknown iface)/i;

/** The path of the program, where there is one that may be run. */
export function findPingProgram(path: string = process.env.PATH ?? ''): string | undefined {
  return path
    .split(delimiter)
    .filter((directory) => directory !== '')
    .map((directory) => join(directory, 'ping'))
    .find(isExecutable);
}

export class PingProgram implements PingPort {
  readonly kind = 'program';
  readonly #program: string;
  readonly #handlers: PingHandlers;
  readonly #running = new Set<ChildProcess>();
  #closed = false;

  constructor(program: string, handlers: PingHandlers) {
    this.#program = program;
    this.#handlers = handlers;
  }

  send(to: string, payload: Uint8Array): void {
    if (this.#closed || this.#running.size >= MAX_PROCESSES) return;
    const pattern = ['-p', Buffer.from(payload).toString('hex'), '-s', String(payload.length)];
    const args = ['-6', '-n', '-c', '1', '-W', String(WAIT_SECONDS), ...pattern, to];
    // Its words are read: no translations.
    const env = { PATH: process.env.PATH, LC_ALL: 'C' };
    const child = spawn(this.#program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#running.add(child);
    child.unref();
    const output = { out: '', error: '' };
    collect(child.stdout, (text) => {
      output.out += text;
    });
    collect(child.stderr, (text) => {
      output.error += text;
    });
    child.once('error', (error: NodeJS.ErrnoException) => this.#end(child, payload, error));
    child.once('close', () => this.#end(child, payload, output));
  }

  close(): void {
    this.#closed = true;
    for (const child of this.#running) child.kill();
    this.#running.clear();
  }

  #end(child: ChildProcess, payload: Uint8Array, result: { out: string; error: string } | NodeJS.ErrnoException): void {
    if (!this.#running.delete(child) || this.#closed) return;
    if (result instanceof Error) {
      this.#handlers.onUnsendable(payload, result);
      return;
    }
    const [, from] = REPLY.exec(result.out) ?? [];
    const [unsendable] = UNSENDABLE.exec(result.error) ?? [];
    if (from !== undefined) this.#handlers.onReply(payload, kernelAddress(from));
    else if (unsendable !== undefined) {
      this.#handlers.onUnsendable(payload, systemError(-osConstants.errno.EHOSTUNREACH, 'ping'));
    }
  }
}

/** Enough for what one reply prints. */
const OUTPUT_LIMIT_CHARACTERS = 4_096;

function collect(stream: NodeJS.ReadableStream & { unref?(): void }, onText: (text: string) => void): void {
  let length = 0;
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    length += text.length;
    if (length <= OUTPUT_LIMIT_CHARACTERS) onText(text);
  });
  stream.unref?.();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
