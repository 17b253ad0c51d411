/**
 * The line protocol of aarpd: what its clients ask, and what it answers, over a stream socket of the local machine.
 *
 *     request   id SP verb *(SP argument) LF             7 resolve fd00::53
 *     reply     id SP "ok"    *(SP word) LF              7 ok anycast 2001:db8::1 confirmed 59000
 *               id SP "item"  *(SP word) LF              one of several, before the "ok" of the same id
 *               id SP "event" *(SP word) LF              after the "ok" of a watch, until the connection ends
 *               id SP "error" SP code SP message LF
 *
 * Printable ASCII, one space between words, at most {@link MAX_LINE_BYTES} with the LF; a CR before the LF is left out.
 * A person with `nc -U` can speak it. Requests may be sent before earlier ones are answered, and answers come in any
 * order: the id tells which. docs/aarpd.md is the reference.
 */
import { canonicalAddress, familyOf, formatTransportAddress } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import { parseHostPort } from '../../core/host-port.ts';

export const PROTOCOL_VERSION = 1;
/** Three times the longest request; what is longer is no request. */
export const MAX_LINE_BYTES = 512;
/** The longest that a verdict may be kept: who does not ask for a week has moved on, and so have networks. */
export const MAX_VERDICT_MS: number = 7 * 24 * 3_600_000;

/** Stable words; docs/aarpd.md says what each means. */
export const ERROR_WORDS = [
  'malformed',
  'too-long',
  'unknown-verb',
  'version',
  'silent',
  'unreachable',
  'busy',
  'stopping',
  'failed',
] as const;
export type ErrorWord = (typeof ERROR_WORDS)[number];

/** What a verdict is about: a destination as `192.0.2.1:443`, or an address. Canonical text. */
export type VerdictSubject =
  | { readonly about: 'mobility'; readonly subject: string }
  | { readonly about: 'cast'; readonly subject: string };
export type MobilityVerdict = 'mobile' | 'plain';
export type CastVerdict = 'anycast' | 'unicast';

export type Request = { readonly id: string } & (
  | { readonly verb: 'hello'; readonly version: number }
  | { readonly verb: 'resolve'; readonly address: string }
  | { readonly verb: 'failed'; readonly address: string; readonly unicast: string }
  /** All of the cache where no address is named. */
  | { readonly verb: 'flush'; readonly address?: string }
  | { readonly verb: 'list' | 'stats' }
  | { readonly verb: 'watch' }
  | { readonly verb: 'verdict-get'; readonly of: VerdictSubject }
  | {
      readonly verb: 'verdict-put';
      readonly of: VerdictSubject;
      readonly verdict: MobilityVerdict | CastVerdict;
      /** Milliseconds from now. */
      readonly ttlMs: number;
    }
);
export type Verb = Request['verb'];

export type Reply = { readonly id: string } & (
  | { readonly kind: 'ok' | 'item' | 'event'; readonly words: readonly string[] }
  | { readonly kind: 'error'; readonly code: ErrorWord; readonly message: string }
);

/** The id in answers to lines that have none. */
export const NO_ID = '-';
const ID = /^[A-Za-z0-9]{1,16}$/;
const TEXT = /^[\x20-\x7e]*$/;
/** IF_NAMESIZE without its final zero; the characters that interfaces are named with, or an index. */
const ZONE = /^[A-Za-z0-9_.-]{1,15}$/;

/** What the words behind each verb mean: as many as `usage` names, or one less where the last is in brackets. */
const VERBS: Readonly<Record<string, { readonly usage: string; parse(words: Words): RequestWithoutId }>> = {
  hello: { usage: 'VERSION', parse: (words) => ({ verb: 'hello', version: words.count('VERSION', 1, 999) }) },
  resolve: { usage: 'ADDRESS', parse: (words) => ({ verb: 'resolve', address: words.address('ADDRESS') }) },
  failed: {
    usage: 'ADDRESS UNICAST',
    parse: (words) => ({ verb: 'failed', address: words.address('ADDRESS'), unicast: words.address('UNICAST') }),
  },
  flush: {
    usage: '[ADDRESS]',
    parse: (words) => ({ verb: 'flush', ...(words.left > 0 && { address: words.address('ADDRESS') }) }),
  },
  list: { usage: '', parse: () => ({ verb: 'list' }) },
  stats: { usage: '', parse: () => ({ verb: 'stats' }) },
  watch: { usage: '', parse: () => ({ verb: 'watch' }) },
  'verdict get': { usage: 'KIND SUBJECT', parse: (words) => ({ verb: 'verdict-get', of: words.subject() }) },
  'verdict put': {
    usage: 'KIND SUBJECT VERDICT TTL',
    parse: (words) => {
      const of = words.subject();
      return { verb: 'verdict-put', of, verdict: words.verdict(of), ttlMs: words.count('TTL', 1, MAX_VERDICT_MS) };
    },
  },
};
/** What is said; the id belongs to a connection. */
export type RequestWithoutId = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;

/** A request, or what to answer to a line that is none. */
export type ParsedRequest =
  | { readonly ok: true; readonly request: Request }
  | { readonly ok: false; readonly reply: Reply };

/** `line` is without its end. */
export function parseRequest(line: string): ParsedRequest {
  const [id = '', ...words] = line.split(' ');
  if (!ID.test(id)) return refused(NO_ID, 'malformed', 'expected an id of 1 to 16 letters and digits first');
  if (!TEXT.test(line)) return refused(id, 'malformed', 'expected printable ASCII');
  const name = words.splice(0, words[0] === 'verdict' ? 2 : 1).join(' ');
  const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
  if (verb === undefined) return refused(id, 'unknown-verb', `expected one of ${Object.keys(VERBS).join(', ')}`);
  const most = verb.usage === '' ? 0 : verb.usage.split(' ').length;
  const least = verb.usage.endsWith(']') ? most - 1 : most;
  if (words.length < least || words.length > most) {
    return refused(id, 'malformed', `expected ${`${name} ${verb.usage}`.trim()}`);
  }
  try {
    return { ok: true, request: { id, ...verb.parse(new Words(words)) } as Request };
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return refused(id, 'malformed', error.message);
  }
}

function refused(id: string, code: ErrorWord, message: string): ParsedRequest {
  return { ok: false, reply: { id, kind: 'error', code, message } };
}

/** One line with its LF. The values must be such that {@link parseRequest} takes them. */
export function formatRequest(request: Request): string {
  return `${request.id} ${requestWords(request).join(' ')}\n`;
}

function requestWords(request: Request): readonly (string | number)[] {
  switch (request.verb) {
    case 'hello':
      return ['hello', request.version];
    case 'resolve':
      return ['resolve', request.address];
    case 'failed':
      return ['failed', request.address, request.unicast];
    case 'flush':
      return request.address === undefined ? ['flush'] : ['flush', request.address];
    case 'list':
    case 'stats':
    case 'watch':
      return [request.verb];
    case 'verdict-get':
      return ['verdict get', request.of.about, request.of.subject];
    case 'verdict-put':
      return ['verdict put', request.of.about, request.of.subject, request.verdict, request.ttlMs];
  }
}

/** One line with its LF. What would not fit is cut off a message; words are ours, and too many are our mistake. */
export function formatReply(reply: Reply): string {
  if (reply.kind !== 'error') return `${[reply.id, reply.kind, ...reply.words].join(' ')}\n`;
  const line = `${reply.id} error ${reply.code} ${reply.message.replace(/[^\x20-\x7e]+/g, ' ')}`;
  return `${line.slice(0, MAX_LINE_BYTES - 1)}\n`;
}

/** One line without its end. @throws WireError */
export function parseReply(line: string): Reply {
  if (!TEXT.test(line)) throw new WireError('reply: not printable ASCII');
  const [id = '', kind, ...words] = line.split(' ');
  if (id !== NO_ID && !ID.test(id)) throw new WireError('reply: no id');
  if (kind === 'ok' || kind === 'item' || kind === 'event') return { id, kind, words };
  if (kind !== 'error') throw new WireError('reply: neither ok, item, event nor error');
  const code = ERROR_WORDS.find((word) => word === words[0]);
  if (code === undefined || words.length < 2) throw new WireError('reply: no known error with a message');
  return { id, kind, code, message: words.slice(1).join(' ') };
}

/** The milliseconds in a reply's word; undefined for anything else. */
export function replyMs(word: string | undefined): number | undefined {
  return word !== undefined && /^\d{1,12}$/.test(word) ? Number(word) : undefined;
}

/** Canonical text of an address with or without a zone, as it may stand in a line; undefined for anything else. */
export function lineAddress(text: string): string | undefined {
  const zone = text.indexOf('%');
  if (zone >= 0 && !ZONE.test(text.slice(zone + 1))) return undefined;
  const address = canonicalAddress(text);
  return zone >= 0 && address !== undefined && familyOf(address) === 4 ? undefined : address;
}

/** `192.0.2.1:443` or `[2001:db8::1]:443`, in canonical form; undefined for anything else. */
export function lineDestination(text: string): string | undefined {
  const { host = '', port = 0 } = parseHostPort(text) ?? {};
  const ip = lineAddress(host);
  return ip !== undefined && port > 0 ? formatTransportAddress({ ip, port }) : undefined;
}

/** The words behind a verb, taken one after another. @throws WireError */
class Words {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  get left(): number {
    return this.#words.length - this.#at;
  }

  address(name: string): string {
    const word = this.#next();
    return lineAddress(word) ?? this.#refuse(name, word, 'an address such as fd00::53');
  }

  count(name: string, least: number, most: number): number {
    const word = this.#next();
    const count = /^[1-9]\d{0,11}$/.test(word) ? Number(word) : Number.NaN;
    return count >= least && count <= most
      ? count
      : this.#refuse(name, word, `a whole number from ${least} to ${most}`);
  }

  subject(): VerdictSubject {
    const about = this.#next();
    if (about === 'cast') return { about, subject: this.address('SUBJECT') };
    if (about !== 'mobility') return this.#refuse('KIND', about, 'mobility or cast');
    const word = this.#next();
    const subject = lineDestination(word) ?? this.#refuse('SUBJECT', word, 'a destination such as [2001:db8::1]:443');
    return { about, subject };
  }

  verdict({ about }: VerdictSubject): MobilityVerdict | CastVerdict {
    const word = this.#next();
    if (about === 'mobility' && (word === 'mobile' || word === 'plain')) return word;
    if (about === 'cast' && (word === 'anycast' || word === 'unicast')) return word;
    return this.#refuse('VERDICT', word, about === 'mobility' ? 'mobile or plain' : 'anycast or unicast');
  }

  #next(): string {
    return this.#words[this.#at++] ?? '';
  }

  #refuse(name: string, found: string, expected: string): never {
    const shown = found.length > 60 ? `${found.slice(0, 60)}...` : found;
    throw new WireError(`${name}: found "${shown}", expected ${expected}`);
  }
}
