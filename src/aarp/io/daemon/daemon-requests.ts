/**
 * What aarpd answers: requests of all clients against one resolver and one store of verdicts. A resolution that is
 * known is answered at once.
 */
import { UsageError } from '../../../core/errors.ts';
import { wallNow } from '../../../host/clock.ts';
import type { DaemonCounters } from '../../daemon/daemon-counters.ts';
import {
  type ErrorWord,
  PROTOCOL_VERSION,
  type Reply,
  type Request,
  type VerdictSubject,
} from '../../daemon/daemon-protocol.ts';
import { type Metric, samplesOf } from '../../daemon/metrics.ts';
import type { DestinationVerdict, VerdictStore } from '../../daemon/verdict-store.ts';
import { type Resolution, type Resolver, UnresolvedError, type UnresolvedReason } from '../../resolution.ts';

/** A resolver whose memory can be looked at and added to. */
export interface RememberingResolver extends Resolver {
  list(): Resolution[];
  remember(resolution: Resolution): void;
}

export interface DaemonRequestsInit {
  readonly resolver: RememberingResolver;
  readonly store: VerdictStore;
  readonly counters: DaemonCounters;
  /** What the daemon is, with its version: one word, for `hello`. */
  readonly software: string;
  /** Called after what is known may have changed. */
  onChange(): void;
  /** Tells everybody who watches. */
  tell(words: readonly string[]): void;
  /** Everything that `stats` tells. */
  metrics(): readonly Metric[];
}

/** One reply or several, to be given back (`return()`) where not all are taken; or one that takes its time. */
export type Answer = Iterable<Reply> | Promise<Reply>;
export type AnsweredHere = Exclude<Request, { readonly verb: 'watch' }>;

/** Lists that clients are reading at a time: half a megabyte each. People ask for them. */
const MAX_LISTS = 8;

/** How a resolver's refusal is told. */
const WORD_FOR: Readonly<Record<UnresolvedReason, ErrorWord>> = {
  silent: 'silent',
  unreachable: 'unreachable',
  busy: 'busy',
  closed: 'stopping',
};

export class DaemonRequests {
  readonly #init: DaemonRequestsInit;
  #listsUnderWay = 0;

  constructor(init: DaemonRequestsInit) {
    this.#init = init;
  }

  /** `watch` is not among them: it belongs to a connection. */
  answer(request: AnsweredHere): Answer {
    try {
      return this.#answer(request);
    } catch (error) {
      // Text that is an address, but of no host: a group.
      if (error instanceof UsageError) return [errorReply(request.id, 'malformed', error)];
      throw error;
    }
  }

  #answer(request: AnsweredHere): Answer {
    const { resolver, onChange, tell } = this.#init;
    const { id } = request;
    switch (request.verb) {
      case 'hello':
        if (request.version === PROTOCOL_VERSION) return [ok(id, PROTOCOL_VERSION, this.#init.software)];
        return [{ id, kind: 'error', code: 'version', message: `version ${PROTOCOL_VERSION} is spoken here` }];
      case 'resolve':
        return this.#resolve(id, request.address);
      case 'failed':
        resolver.failed(request.address, request.unicast);
        tell(['failed', request.address, request.unicast]);
        onChange();
        return [ok(id)];
      case 'flush':
        resolver.flush(request.address);
        tell(request.address === undefined ? ['flush'] : ['flush', request.address]);
        onChange();
        return [ok(id)];
      case 'list':
        return this.#list(id);
      case 'stats':
        return counted(id, this.#init.metrics());
      case 'verdict-get':
        return [ok(id, ...this.#verdictOn(request.of))];
      case 'verdict-put':
        this.#put(request);
        onChange();
        return [ok(id)];
    }
  }

  #resolve(id: string, address: string): Answer {
    const { resolver, counters, onChange } = this.#init;
    const known = resolver.cached(address);
    if (known !== undefined) {
      counters.resolvedFromCache += 1;
      return [resolved(id, known)];
    }
    return resolver.resolve(address).then(
      (resolution) => {
        onChange();
        return resolved(id, resolution);
      },
      (error: unknown) => errorReply(id, wordFor(error), error),
    );
  }

  /** Each one under way holds what it lists. */
  *#list(id: string): Iterable<Reply> {
    if (this.#listsUnderWay >= MAX_LISTS) {
      yield { id, kind: 'error', code: 'busy', message: 'too many lists at a time' };
      return;
    }
    this.#listsUnderWay += 1;
    try {
      yield* listed(id, this.#init.resolver.list(), this.#init.store.current(wallNow()));
    } finally {
      this.#listsUnderWay -= 1;
    }
  }

  #verdictOn({ about, subject }: VerdictSubject): readonly (string | number)[] {
    const { resolver, store } = this.#init;
    if (about === 'mobility') {
      const found = store.get(wallNow(), subject);
      return found === undefined ? ['unknown'] : [found.verdict, ttlOf(found)];
    }
    const known = resolver.cached(subject);
    return known === undefined ? ['unknown'] : [known.kind, Math.ceil(known.ttlMs)];
  }

  /** Which member an anycast address has is for aarpd to find out: a client can only make it ask again. */
  #put({ of: { about, subject }, verdict, ttlMs }: Extract<Request, { readonly verb: 'verdict-put' }>): void {
    const { resolver, store } = this.#init;
    if (about === 'mobility') {
      store.put({ destination: subject, verdict: verdict === 'mobile' ? 'mobile' : 'plain', until: wallNow() + ttlMs });
    } else if (verdict === 'unicast') {
      resolver.remember({ address: subject, kind: 'unicast', unicast: subject, confirmed: true, ttlMs });
    } else if (resolver.cached(subject)?.kind === 'unicast') resolver.flush(subject);
  }
}

function ttlOf({ until }: DestinationVerdict): number {
  return Math.ceil(until - wallNow());
}

function wordFor(error: unknown): ErrorWord {
  if (error instanceof UnresolvedError) return WORD_FOR[error.reason];
  return error instanceof UsageError ? 'malformed' : 'failed';
}

function errorReply(id: string, code: ErrorWord, error: unknown): Reply {
  return { id, kind: 'error', code, message: error instanceof Error ? error.message : String(error) };
}

function ok(id: string, ...words: readonly (string | number)[]): Reply {
  return { id, kind: 'ok', words: words.map(String) };
}

function resolved(id: string, { kind, unicast, confirmed, ttlMs }: Resolution): Reply {
  return ok(id, kind, unicast, confirmed ? 'confirmed' : 'unconfirmed', Math.ceil(ttlMs));
}

function* listed(
  id: string,
  resolutions: readonly Resolution[],
  destinations: readonly DestinationVerdict[],
): Iterable<Reply> {
  for (const { address, kind, unicast, confirmed, ttlMs } of resolutions) {
    const trust = confirmed ? 'confirmed' : 'unconfirmed';
    yield { id, kind: 'item', words: ['cast', address, kind, unicast, trust, String(Math.ceil(ttlMs))] };
  }
  for (const found of destinations) {
    yield { id, kind: 'item', words: ['mobility', found.destination, found.verdict, String(ttlOf(found))] };
  }
  yield ok(id, resolutions.length + destinations.length);
}

function* counted(id: string, metrics: readonly Metric[]): Iterable<Reply> {
  const samples = metrics.flatMap(samplesOf);
  for (const [name, value] of samples) yield { id, kind: 'item', words: [name, String(value)] };
  yield ok(id, samples.length);
}
