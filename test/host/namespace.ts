/**
 * An anonymous network namespace for a test: it lives as long as a process in it does, so nothing is left behind even
 * when the test run is killed. Root makes it directly, others through a user namespace where the host allows it.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

const WAYS = [
  { unshare: ['--net'], nsenter: ['--net'] },
  { unshare: ['--user', '--map-root-user', '--net'], nsenter: ['--user', '--preserve-credentials', '--net'] },
] as const;

const way = WAYS.find(({ unshare }) => spawnSync('unshare', [...unshare, 'ip', 'link']).status === 0);

/** True where namespaces can be had. In CI they must be. */
export const namespacesAvailable: boolean = way !== undefined;
if (!namespacesAvailable && process.env.CI === 'true') throw new Error('CI must allow network namespaces');

export class Namespace {
  readonly #holder: ChildProcess;
  readonly #enter: readonly string[];

  private constructor(holder: ChildProcess, enter: readonly string[]) {
    this.#holder = holder;
    this.#enter = enter;
  }

  static async create(): Promise<Namespace> {
    if (way === undefined) throw new Error('no network namespaces here');
    // cat ends when its input does: with us, at the latest.
    const holder = spawn('unshare', [...way.unshare, 'sh', '-c', 'echo ready; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    return new Namespace(holder, ['-t', String(holder.pid), ...way.nsenter]);
  }

  /** `ip` with arguments as one would type them. */
  ip(args: string, input = ''): void {
    execFileSync('nsenter', [...this.#enter, 'ip', ...args.split(' ')], {
      input,
      stdio: ['pipe', 'ignore', 'inherit'],
    });
  }

  /** As in `net.ipv6.conf.all.accept_dad=0`. */
  sysctl(setting: string): void {
    execFileSync('nsenter', [...this.#enter, 'sysctl', '-q', '-w', setting], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  spawn(command: string, args: readonly string[]): ChildProcess {
    return spawn('nsenter', [...this.#enter, command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  async close(): Promise<void> {
    this.#holder.kill('SIGKILL');
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) await once(this.#holder, 'exit');
  }
}
