/**
 * Records the packets of one network at the router's end of the link into a pcap file, and counts them by tcpdump
 * expression. For "nothing extra on the wire"; a plain count of forwarded packets is cheaper with
 * LinkConditions.count().
 *
 * Life-cycle: startCapture() resolves when packets are being recorded; counts and texts cover all that passed before
 * the call; stop() ends the recording, the file lives until the laboratory closes.
 */
import { join } from 'node:path';
import type { Namespace } from './namespace.ts';
import { Program } from './program.ts';

/** Headers of anything with options, and the first bytes of the payload. */
const SNAP_BYTES = 256;

export interface CaptureOptions {
  /** A tcpdump expression; default: everything. */
  readonly filter?: string;
  readonly snapBytes?: number;
}

export class Capture {
  readonly file: string;
  readonly #router: Namespace;
  readonly #recorder: Program;
  #stopped = false;

  private constructor(router: Namespace, recorder: Program, file: string) {
    this.#router = router;
    this.#recorder = recorder;
    this.file = file;
  }

  static async start(
    router: Namespace,
    network: string,
    directory: string,
    options: CaptureOptions = {},
  ): Promise<Capture> {
    captures += 1;
    const file = join(directory, `${network}-${captures}.pcap`);
    const argv = [
      'tcpdump',
      '-i',
      network,
      '-n',
      '-U',
      '--immediate-mode',
      '-s',
      String(options.snapBytes ?? SNAP_BYTES),
    ];
    // tcpdump would drop to a user that can't write here.
    argv.push('-Z', 'root', '-w', file, ...(options.filter === undefined ? [] : [options.filter]));
    const title = `capture of ${network}`;
    const recorder = new Program(router.enter(argv), { title, env: process.env, directory });
    await recorder.line(/listening on/, { stream: 'stderr' });
    return new Capture(router, recorder, file);
  }

  /** Packets recorded that match, say 'udp port 53'. */
  async count(filter = ''): Promise<number> {
    return (await this.packets(filter)).length;
  }

  /** tcpdump's line for each packet that matches. */
  async packets(filter = ''): Promise<string[]> {
    await this.#catchUp();
    const listing = await this.#router.command(['tcpdump', '-Z', 'root', '-n', '-r', this.file, filter]);
    return listing.split('\n').filter((line) => line !== '');
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    await this.#catchUp();
    this.#stopped = true;
    await this.#recorder.stop('SIGINT');
  }

  kill(): void {
    this.#recorder.kill('SIGKILL');
  }

  /** Until the recorder has written all that the kernel gave it: on SIGUSR1 it reports both numbers. */
  async #catchUp(): Promise<void> {
    while (!this.#stopped) {
      this.#recorder.kill('SIGUSR1');
      const report = await this.#recorder.line(/(\d+) packets? captured, (\d+) packets? received by filter/, {
        stream: 'stderr',
      });
      if (report[1] === report[2]) return;
    }
  }
}

let captures = 0;
