/** A watch in a process of its own inside a namespace, and what it has said so far. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { AddressChange, AddressWatch, AddressWatchOptions } from '../../src/host/address-watch.ts';
import type { LocalAddress } from '../../src/host/local-addresses.ts';
import type { ResolvedRoute } from '../../src/host/route-lookup.ts';
import type { Namespace } from './namespace.ts';

const CHILD = fileURLToPath(new URL('./address-watch-child.ts', import.meta.url));

interface WatchState extends Pick<AddressWatch, 'backend' | 'wakeup'> {
  readonly addresses: readonly LocalAddress[];
}

interface Line {
  readonly change?: AddressChange;
  readonly seenAtMs?: number;
  readonly state?: WatchState;
  readonly route?: ResolvedRoute | null;
}

export class WatchProcess {
  readonly child: ChildProcess;
  readonly #lines: Line[] = [];
  #wake: () => void = () => {};

  /** `idle`: does nothing but open the watch. `preload`: the text of a module that runs before anything else. */
  constructor(
    namespace: Namespace,
    options: AddressWatchOptions,
    { idle = false, preload = '' }: { readonly idle?: boolean; readonly preload?: string } = {},
  ) {
    const first = `data:text/javascript,${encodeURIComponent(preload)}`;
    const args = ['--import', first, '--import', 'tsx', CHILD, JSON.stringify(options), ...(idle ? ['idle'] : [])];
    this.child = namespace.spawn(process.execPath, args);
    const output = this.child.stdout;
    if (output === null) throw new Error('no pipe');
    createInterface({ input: output }).on('line', (line) => {
      this.#lines.push(JSON.parse(line));
      this.#wake();
    });
  }

  get changes(): AddressChange[] {
    return this.#lines.flatMap(({ change }) => (change === undefined ? [] : [change]));
  }

  /** The first change that satisfies, among those seen and those to come (the test's own time limit ends the wait). */
  async change(satisfies: (change: AddressChange) => boolean): Promise<Line & { change: AddressChange }> {
    return (await this.#line(({ change }) => change !== undefined && satisfies(change))) as Line & {
      change: AddressChange;
    };
  }

  added(ip: string): Promise<unknown> {
    return this.change((change) => change.added.some((address) => address.ip === ip));
  }

  removed(ip: string): Promise<unknown> {
    return this.change((change) => change.removed.some((address) => address.ip === ip));
  }

  async started(): Promise<WatchState> {
    return (await this.#line(({ state }) => state !== undefined)).state as WatchState;
  }

  /** The state now, and the route to `to`. */
  async ask(to = ''): Promise<{ state: WatchState; route: ResolvedRoute | null | undefined }> {
    const from = this.#lines.length;
    this.child.stdin?.write(`${to}\n`);
    const { state, route } = await this.#line(({ state }) => state !== undefined, from);
    return { state: state as WatchState, route };
  }

  /** Ends its input, upon which it closes its watch; gives the exit code. */
  async end(): Promise<number | null> {
    this.child.stdin?.end();
    return this.#exit();
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exit();
  }

  async #exit(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  async #line(satisfies: (line: Line) => boolean, from = 0): Promise<Line> {
    for (;;) {
      const found = this.#lines.slice(from).find(satisfies);
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
