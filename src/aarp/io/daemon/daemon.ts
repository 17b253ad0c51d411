/**
 * aarpd without its roles: one resolver and one cache of verdicts for all processes of a host. The command `aarpd` puts
 * the roles around it (src/cli/aarpd.ts).
 */
import { wallNow } from '../../../host/clock.ts';
import { DaemonCounters } from '../../daemon/daemon-counters.ts';
import { gauge, type Metric } from '../../daemon/metrics.ts';
import type { KeptVerdicts } from '../../daemon/verdict-file.ts';
import { VerdictStore } from '../../daemon/verdict-store.ts';
import { DaemonRequests, type RememberingResolver } from './daemon-requests.ts';
import { type DaemonServerOptions, openDaemonServer } from './daemon-server.ts';
import { VerdictCacheFile } from './verdict-cache-file.ts';

export interface DaemonOptions extends Pick<DaemonServerOptions, 'listen' | 'limits'> {
  /** Closed with the daemon. */
  readonly resolver: RememberingResolver;
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
  const current = (): KeptVerdicts => currentVerdicts(resolver, store);
  const file = path === undefined ? undefined : new VerdictCacheFile({ path, current, counters, warn });
  if (file !== undefined) remember(file.load(), resolver, store);
  const metrics = (): Metric[] => [
    ...counters.metrics(),
    gauge('aarpd_resolutions', 'Addresses of which something is known now.', resolver.list().length),
    gauge('aarpd_verdicts', 'Verdicts on destinations kept now.', store.size),
    ...server.metrics(),
    ...options.otherMetrics(),
  ];
  const requests = new DaemonRequests({
    resolver,
    store,
    counters,
    software,
    metrics,
    tell: (words) => server.tell(words),
    onChange: () => file?.touch(),
  });
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
      await file?.close();
      resolver.close();
    },
  };
}

function currentVerdicts(resolver: RememberingResolver, store: VerdictStore): KeptVerdicts {
  const wallMs = wallNow();
  const resolutions = resolver.list().filter(({ confirmed }) => confirmed);
  return {
    destinations: store.current(wallMs),
    resolutions: resolutions.map(({ ttlMs, ...resolution }) => ({ ...resolution, until: wallMs + ttlMs })),
  };
}

function remember(
  { destinations, resolutions }: KeptVerdicts,
  resolver: RememberingResolver,
  store: VerdictStore,
): void {
  const wallMs = wallNow();
  for (const verdict of destinations) store.put(verdict);
  for (const { until, ...resolution } of resolutions) {
    resolver.remember({ ...resolution, confirmed: true, ttlMs: until - wallMs });
  }
}
