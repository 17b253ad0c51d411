/** An aarpd in this process for one test file, at a path of its own, and whatever has to be closed behind a test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { type Daemon, openDaemon } from '../../../src/aarp/io/daemon/daemon.ts';
import { TableResolver } from './table-resolver.ts';

export class DaemonBed {
  /** Of the socket; another one for each test. */
  path = '';
  #directory = '';
  readonly #open: { close(): unknown }[] = [];

  constructor() {
    beforeEach(() => {
      this.#directory = mkdtempSync(join(tmpdir(), 'aarpd-'));
      this.path = join(this.#directory, 'aarpd.sock');
    });
    afterEach(async () => {
      for (const thing of this.#open.splice(0).reverse()) await thing.close();
      rmSync(this.#directory, { recursive: true });
    });
  }

  opened<T extends { close(): unknown }>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  async start(resolver: TableResolver = new TableResolver({})): Promise<Daemon> {
    const options = { software: 'mobisock/test', otherMetrics: () => [], warn: () => {} };
    return this.opened(await openDaemon({ listen: { path: this.path, mode: 0o600 }, resolver, ...options }));
  }
}
