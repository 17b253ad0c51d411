/**
 * Shapes: small checkers that turn a JSON value into a checked one and note every problem on the way, so that one run
 * shows all mistakes. No validation library: every process would load it at start-up, most have no policy file, and
 * the messages (what was found, what is allowed, the nearest known name) would be ours to write all the same.
 */
import { UsageError, type UsageErrorCode } from './errors.ts';
import type { JsonValue } from './json-text.ts';
import { nearestName } from './nearest-name.ts';

/** Where a value stands: `policy.json: rules[3].port`, or a variable's name. */
export class Place {
  readonly #source: string;
  readonly #path: string;
  constructor(source: string, path = '') {
    this.#source = source;
    this.#path = path;
  }
  key(name: string): Place {
    return new Place(this.#source, this.#path === '' ? name : `${this.#path}.${name}`);
  }
  item(index: number): Place {
    return new Place(this.#source, `${this.#path}[${index}]`);
  }
  /** An empty source is left out: variables need none. */
  toString(): string {
    return [this.#source, this.#path].filter((part) => part !== '').join(': ');
  }
}

/** Enough to mend a file in one go; a wrong file given by mistake should not scroll the terminal away. */
const SHOWN_LIMIT = 20;

/** Collects what is wrong and reports it all in one {@link UsageError}. */
export class Problems {
  readonly #lines: string[] = [];
  readonly #codes = new Set<UsageErrorCode>();
  #count = 0;

  add(place: Place, code: UsageErrorCode, what: string): void {
    this.#count++;
    this.#codes.add(code);
    if (this.#lines.length < SHOWN_LIMIT) this.#lines.push(`${place}: ${what}`);
  }

  /** ERR_MOBISOCK_ENVIRONMENT wins where both kinds were met: the environment is the nearer of the two. */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const code = this.#codes.has('ERR_MOBISOCK_ENVIRONMENT') ? 'ERR_MOBISOCK_ENVIRONMENT' : 'ERR_MOBISOCK_POLICY';
    if (this.#count === 1) throw new UsageError(this.#lines.join(), code);
    const hidden = this.#count - this.#lines.length;
    const lines = hidden === 0 ? this.#lines : [...this.#lines, `and ${hidden} more`];
    throw new UsageError(`${this.#count} problems:\n  ${lines.join('\n  ')}`, code);
  }
}

/** What a shape needs to know beside the value. */
export interface Check {
  readonly problems: Problems;
  readonly code: UsageErrorCode;
}

/** The checked value; undefined after a problem was noted. */
export type Shape<T> = (value: JsonValue, place: Place, check: Check) => T | undefined;

type Fields = Readonly<Record<string, Shape<unknown>>>;
type Checked<S> = S extends Shape<infer T> ? T : never;
export type Shaped<R extends Fields, O extends Fields> = { readonly [K in keyof R]: Checked<R[K]> } & {
  readonly [K in keyof O]?: Checked<O[K]>;
};

export function oneOf<T extends string>(words: readonly T[]): Shape<T> {
  return (value, place, check) => {
    const word = words.find((known) => known === value);
    if (word !== undefined) return word;
    const nearest = typeof value === 'string' ? nearestName(value, words) : undefined;
    return refuse(value, `one of ${words.join(', ')}${suggestion(nearest)}`, place, check);
  };
}

export function integer(least: number, most: number, what = 'a whole number'): Shape<number> {
  return (value, place, check) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? value
      : refuse(value, `${what} from ${least} to ${most}`, place, check);
}

/** A text that `parse` understands; its `problem` says what is expected instead. */
export function parsed<T extends object>(parse: (text: string) => T | { readonly problem: string }): Shape<T> {
  return (value, place, check) => {
    const result = parse(typeof value === 'string' ? value : '');
    return 'problem' in result ? refuse(value, String(result.problem), place, check) : (result as T);
  };
}

/** From one to `limit` items; with `unique`, none of them twice. */
export function list<T>(item: Shape<T>, limit: number, unique?: 'unique'): Shape<readonly T[]> {
  return (value, place, check) => {
    if (!Array.isArray(value)) return refuse(value, 'a list', place, check);
    if (value.length === 0) return refuse(value, 'at least one item', place, check);
    if (value.length > limit) return refuse(value, `at most ${limit} items`, place, check);
    const items: T[] = [];
    for (const [i, entry] of value.entries()) {
      const checked = item(entry, place.item(i), check);
      if (checked === undefined) continue;
      if (unique && items.includes(checked)) refuse(entry, 'each item once', place.item(i), check);
      items.push(checked);
    }
    return items;
  };
}

/** An object with these keys and no others. */
export function record<R extends Fields, O extends Fields>(required: R, optional: O): Shape<Shaped<R, O>> {
  const fields: Fields = { ...required, ...optional };
  const known = Object.keys(fields);
  return (value, place, check) => {
    if (!(value instanceof Map)) return refuse(value, 'an object', place, check);
    const out: Record<string, unknown> = {};
    for (const [key, entry] of value as ReadonlyMap<string, JsonValue>) {
      const shape = known.includes(key) ? fields[key] : undefined;
      if (shape === undefined) noteUnknown(key, known, place, check);
      else {
        const checked = shape(entry, place.key(key), check);
        if (checked !== undefined) out[key] = checked;
      }
    }
    for (const key of Object.keys(required)) {
      if (!value.has(key)) check.problems.add(place.key(key), check.code, 'missing');
    }
    return out as Shaped<R, O>;
  };
}

/** Notes the problem; returns what a shape returns after one. */
export function refuse(found: JsonValue, expected: string, place: Place, { problems, code }: Check): undefined {
  problems.add(place, code, `found ${describe(found)}, expected ${expected}`);
  return undefined;
}

/** `; did you mean "prefer"?`, or nothing. */
export function suggestion(nearest: string | undefined): string {
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}

function noteUnknown(key: string, known: readonly string[], place: Place, { problems, code }: Check): void {
  const hint = suggestion(nearestName(key, known));
  problems.add(place.key(key.slice(0, 60)), code, `unknown key, expected one of ${known.join(', ')}${hint}`);
}

function describe(value: JsonValue): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  return value instanceof Map ? 'an object' : String(value);
}
