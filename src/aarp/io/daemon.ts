/**
 * aarpd without its roles: one resolver and one cache of verdicts for all processes of a host. The command `aarpd` puts
 * the roles around it (src/cli/aarpd.ts).
 */
import { DaemonCounters } from '../daemon-counters.ts';
import { gauge, type Metric } from '../metrics.ts';
import type { Resolver } from '../resolution.ts';
import { VerdictStore } from '../verdict-store.ts';
import { DaemonRequests } from './daemon-requests.ts';
import { type DaemonServerOptions, openDaemonServer } from './daemon-server.ts';
import { VerdictCacheFile } from './verdict-cache-file.ts';

export interface DaemonOptions extends Pick<DaemonServerOptions, 'listen' | 'limits'> {
  /** Closed with the daemon. */
  readonly resolver: Resolver;
  /** Where verdicts are kept over a restart; in memory only where left out. */
  readonly cachePath?: string;
  /** One word, for `hello`. */
  readonly software: string;
  /** What roles beside it count. */
  otherMetrics(): readonly Metric[];
  /** Called with what whoever runs the daemon should know. */
  warn(message: string): void;
}

export interface Daemon {
  metrics(): Metric[];
  /** Takes no more requests, answers those that wait, and writes the cache. */
  close(): Promise<void>;
}

/** @throws UsageError, system errors: where the socket can't be had. */
export async function openDaemon(options: DaemonOptions): Promise<Daemon> {
  const { listen, limits, resolver, cachePath: path, software, warn } = options;
  const counters = new DaemonCounters();
  const store = new VerdictStore();
  const file = path === undefined ? undefined : new VerdictCacheFile({ path, store, counters, warn });
  await file?.load();
  const metrics = (): Metric[] => [
    ...counters.metrics(),
    gauge('aarpd_verdicts', 'Verdicts kept now.', store.size),
    ...server.metrics(),
    ...options.otherMetrics(),
  ];
  const requests = new DaemonRequests({ resolver, store, counters, software, metrics, onVerdict: () => file?.touch() });
  const server = await openDaemonServer({
    listen,
    requests,
    counters,
    ...(limits && { limits }),
  });
  return {
    metrics,
    close: async () => {
      await server.close();
      resolver.close();
      await file?.close();
    },
  };
}
