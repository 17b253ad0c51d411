/**
 * How long a stream pauses in a move: from the moment when the kernel has the new network's route, as `ip monitor` saw
 * it, to the first byte that the application gets.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exchange } from './exchange.ts';
import type { Host } from './host.ts';
import type { Program } from './program.ts';
import type { Families } from './topology.ts';

export class MoveWatch {
  readonly #host: Host;
  readonly #monitor: Program;

  private constructor(host: Host, monitor: Program) {
    this.#host = host;
    this.#monitor = monitor;
  }

  static async start(host: Host): Promise<MoveWatch> {
    // Local time is what the monitor prints; this way it is UTC.
    const monitor = host.run('ip', ['-ts', 'monitor', 'route'], { env: { TZ: 'UTC' } });
    // A change that the monitor reports shows that it listens.
    let listens = false;
    const proof = monitor.line(/blackhole 192\.0\.2\.1/).then(() => {
      listens = true;
    });
    while (!listens) {
      await host.namespace.ip(['route add blackhole 192.0.2.1', 'route delete blackhole 192.0.2.1']);
      await Promise.race([proof, sleep(20)]);
    }
    return new MoveWatch(host, monitor);
  }

  /** Moves, and says when (since 1970, in ms) the first default route of the new network was there. */
  async move(network: string, options: { outageMs?: number; families?: Families } = {}): Promise<number> {
    await this.#host.move(network, options);
    // Also where it was printed before: only what this watch has returned is over.
    const usable = await this.#monitor.line(new RegExp(`^\\[(\\S+)\\] default via .* dev ${network}`));
    return parseStamp(usable[1] ?? '');
  }
}

/** Milliseconds since 1970 of the monitor's `2026-01-31T12:00:00.123456`, with the part that Date.parse() drops. */
function parseStamp(stamp: string): number {
  const seconds = 'YYYY-MM-DDTHH:MM:SS'.length;
  return Date.parse(`${stamp.slice(0, seconds)}Z`) + Number(stamp.slice(seconds)) * 1000;
}

export interface Pauses {
  readonly client: number[];
  readonly server: number[];
}

/** Notes for both ends how long after `usableAt` the first byte came. */
export async function notePauses(pauses: Pauses, usableAt: number, client: Exchange, server: Exchange): Promise<void> {
  const [[atClient = Number.NaN], [atServer = Number.NaN]] = await Promise.all([
    client.firstAfter(usableAt),
    server.firstAfter(usableAt),
  ]);
  pauses.client.push(atClient - usableAt);
  pauses.server.push(atServer - usableAt);
}

export function pauseText(pausesMs: readonly number[]): string {
  const sorted = [...pausesMs].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1);
  return `${at(0)} / ${at(0.5)} / ${at(1)} ms (least / median / most of ${sorted.length})`;
}
