/**
 * What aarpd answers: requests of all clients against one resolver and one store of verdicts. A resolution that is
 * known, by the resolver or from before a restart, is answered at once.
 */
import { wallNow } from '../../host/clock.ts';
import type { DaemonCounters } from '../daemon-counters.ts';
import {
  type ErrorWord,
  MAX_VERDICT_MS,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
  type VerdictSubject,
} from '../daemon-protocol.ts';
import { type Metric, samplesOf } from '../metrics.ts';
import { type Resolution, type Resolver, UnresolvedError, type UnresolvedReason } from '../resolution.ts';
import type { Verdict, VerdictStore } from '../verdict-store.ts';

export interface DaemonRequestsInit {
  readonly resolver: Resolver;
  readonly store: VerdictStore;
  readonly counters: DaemonCounters;
  /** What the daemon is, with its version: one word, for `hello`. */
  readonly software: string;
  /** Called after the store may have changed. */
  onVerdict(): void;
  /** Everything that `stats` tells. */
  metrics(): readonly Metric[];
}

/** One reply or several, or one that takes its time. */
export type Answer = Iterable<Reply> | Promise<Reply>;
export type AnsweredHere = Exclude<Request, { readonly verb: 'watch' }>;

/** How a resolver's refusal is told. */
const WORD_FOR: Readonly<Record<UnresolvedReason, ErrorWord>> = {
  silent: 'silent',
  unreachable: 'unreachable',
  busy: 'busy',
  closed: 'stopping',
};

export class DaemonRequests {
  readonly #init: DaemonRequestsInit;

  constructor(init: DaemonRequestsInit) {
    this.#init = init;
  }

  /** `watch` is not among them: it belongs to a connection. */
  answer(request: AnsweredHere): Answer {
    const { store } = this.#init;
    const { id } = request;
    switch (request.verb) {
      case 'hello':
        if (request.version === PROTOCOL_VERSION) return [ok(id, PROTOCOL_VERSION, this.#init.software)];
        return [{ id, kind: 'error', code: 'version', message: `version ${PROTOCOL_VERSION} is spoken here` }];
      case 'resolve':
        return this.#resolve(id, request.address);
      case 'failed':
        this.#failed(request.address, request.unicast);
        return [ok(id)];
      case 'flush':
        this.#flush(request.address);
        return [ok(id)];
      case 'list':
        return listed(id, store.current(wallNow()));
      case 'stats':
        return counted(id, this.#init.metrics());
      case 'verdict-get': {
        const verdict = store.get(wallNow(), request.of);
        return [verdict === undefined ? ok(id, 'unknown') : ok(id, verdict.verdict, ttlOf(verdict))];
      }
      case 'verdict-put': {
        const { of, verdict, ttlMs } = request;
        store.put({ ...of, verdict, until: wallNow() + ttlMs });
        this.#init.onVerdict();
        return [ok(id)];
      }
    }
  }

  #resolve(id: string, address: string): Answer {
    const { resolver, counters } = this.#init;
    const known = resolver.cached(address) ?? this.#remembered(address);
    if (known !== undefined) {
      counters.resolvedFromCache += 1;
      return [resolved(id, known)];
    }
    return resolver.resolve(address).then(
      (resolution) => {
        this.#remember(resolution);
        return resolved(id, resolution);
      },
      (error: unknown): Reply => {
        const code = error instanceof UnresolvedError ? WORD_FOR[error.reason] : 'failed';
        return { id, kind: 'error', code, message: error instanceof Error ? error.message : String(error) };
      },
    );
  }

  /** From before a restart, or what a client has said of it. */
  #remembered(address: string): Resolution | undefined {
    const verdict = this.#init.store.get(wallNow(), castOf(address));
    if (verdict === undefined) return undefined;
    const unicast = verdict.verdict === 'unicast' ? address : verdict.unicast;
    if (unicast === undefined) return undefined;
    return {
      address,
      kind: verdict.verdict === 'unicast' ? 'unicast' : 'anycast',
      unicast,
      confirmed: true,
      ttlMs: ttlOf(verdict),
    };
  }

  #remember({ address, kind, unicast, confirmed, ttlMs }: Resolution): void {
    if (!confirmed) return;
    const until = wallNow() + Math.min(ttlMs, MAX_VERDICT_MS);
    this.#init.store.put({ ...castOf(address), verdict: kind, ...(kind === 'anycast' && { unicast }), until });
    this.#init.onVerdict();
  }

  #failed(address: string, unicast: string): void {
    const { resolver, store } = this.#init;
    if (store.get(wallNow(), castOf(address))?.unicast === unicast) store.delete(castOf(address));
    resolver.failed(address, unicast);
    this.#init.onVerdict();
  }

  #flush(address: string | undefined): void {
    const { resolver, store } = this.#init;
    if (address === undefined) store.deleteAll('cast');
    else store.delete(castOf(address));
    resolver.flush(address);
    this.#init.onVerdict();
  }
}

function castOf(address: string): VerdictSubject {
  return { about: 'cast', subject: address };
}

function ttlOf({ until }: Verdict): number {
  return Math.ceil(until - wallNow());
}

function ok(id: string, ...words: readonly (string | number)[]): Reply {
  return { id, kind: 'ok', words: words.map(String) };
}

function resolved(id: string, { kind, unicast, confirmed, ttlMs }: Resolution): Reply {
  return ok(id, kind, unicast, confirmed ? 'confirmed' : 'unconfirmed', Math.ceil(ttlMs));
}

function* listed(id: string, verdicts: readonly Verdict[]): Iterable<Reply> {
  for (const verdict of verdicts) {
    const { about, subject, unicast } = verdict;
    const words = [about, subject, verdict.verdict, ...(unicast === undefined ? [] : [unicast]), ttlOf(verdict)];
    yield { id, kind: 'item', words: words.map(String) };
  }
  yield ok(id, verdicts.length);
}

function* counted(id: string, metrics: readonly Metric[]): Iterable<Reply> {
  const samples = metrics.flatMap(samplesOf);
  for (const [name, value] of samples) yield { id, kind: 'item', words: [name, String(value)] };
  yield ok(id, samples.length);
}
