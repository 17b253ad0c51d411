/**
 * Reads what mobisock tells about its sessions: the file that MOBISOCK_EVENTS names, one JSON object per line. read()
 * returns what was added since the last call; a line still being written waits for the next.
 */
import { closeSync, openSync, readSync } from 'node:fs';

export interface SessionEvent {
  readonly event: `session:${'open' | 'move' | 'suspend' | 'resume' | 'close'}`;
  readonly at: number;
  readonly session: string;
  readonly local?: Endpoint;
  readonly remote?: Endpoint;
  readonly gapMs?: number;
}

export interface Endpoint {
  readonly ip: string;
  readonly port: number;
}

/** Events come a few at a time; what does not fit is read by the next call. */
const READ_BYTES = 64 * 1024;

export class SessionEvents {
  readonly #file: string;
  #offset = 0;

  constructor(file: string) {
    this.#file = file;
  }

  read(): SessionEvent[] {
    const text = this.#readComplete();
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as SessionEvent]));
  }

  #readComplete(): string {
    const buffer = Buffer.alloc(READ_BYTES);
    let length = 0;
    try {
      const descriptor = openSync(this.#file, 'r');
      length = readSync(descriptor, buffer, 0, READ_BYTES, this.#offset);
      closeSync(descriptor);
    } catch {
      return ''; // The program has not opened it yet.
    }
    const complete = buffer.subarray(0, length).lastIndexOf(10) + 1;
    this.#offset += complete;
    return buffer.toString('utf8', 0, complete);
  }
}

export function endpointText({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}
