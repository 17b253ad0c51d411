/** What aarpd counts, and how each count is called outside: docs/aarpd.md. */
import type { ErrorWord, Verb } from './daemon-protocol.ts';
import { counter, type Metric } from './metrics.ts';

/** Why a client's connection was ended from this side. */
export type DropReason = 'slow-reader' | 'half-line' | 'idle' | 'stopping';

/** Every count only rises. */
export class DaemonCounters {
  clientsAccepted = 0;
  clientsRefused = 0;
  readonly clientsDropped: Record<DropReason, number> = { 'slow-reader': 0, 'half-line': 0, idle: 0, stopping: 0 };
  readonly requests: Record<Verb, number> = {
    hello: 0,
    resolve: 0,
    failed: 0,
    flush: 0,
    list: 0,
    stats: 0,
    watch: 0,
    'verdict-get': 0,
    'verdict-put': 0,
  };
  readonly errors: Record<ErrorWord, number> = {
    malformed: 0,
    'too-long': 0,
    'unknown-verb': 0,
    version: 0,
    silent: 0,
    unreachable: 0,
    busy: 0,
    stopping: 0,
    failed: 0,
  };
  /** Of the resolutions: answered without a probe. */
  resolvedFromCache = 0;
  addressEvents = 0;
  cacheWrites = 0;
  cacheWriteFailures = 0;

  metrics(): Metric[] {
    return [
      counter('aarpd_clients_accepted_total', 'Connections of clients.', this.clientsAccepted),
      counter('aarpd_clients_refused_total', 'Connections turned away, there were too many.', this.clientsRefused),
      {
        ...counter('aarpd_clients_dropped_total', 'Connections ended from this side, by reason.', 0),
        values: { label: 'reason', by: this.clientsDropped },
      },
      {
        ...counter('aarpd_requests_total', 'Requests understood, by verb.', 0),
        values: { label: 'verb', by: this.requests },
      },
      {
        ...counter('aarpd_errors_total', 'Error replies, by code.', 0),
        values: { label: 'code', by: this.errors },
      },
      counter('aarpd_resolved_from_cache_total', 'Resolutions answered without a probe.', this.resolvedFromCache),
      counter('aarpd_address_events_total', 'Changes of addresses, links and routes seen.', this.addressEvents),
      counter('aarpd_cache_writes_total', 'Times that the cache file was written.', this.cacheWrites),
      counter('aarpd_cache_write_failures_total', 'Times that it could not be.', this.cacheWriteFailures),
    ];
  }
}
