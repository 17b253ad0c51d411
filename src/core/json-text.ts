/**
 * JSON as people write it into files: `JSON.parse` accepts a key twice, and whether its message says where the fault
 * is depends on node's version. This reader tells line and column of a syntax error, lists keys that are there twice,
 * and keeps objects as maps, so that no key is special. Strict RFC 8259: no comments, no trailing commas.
 */

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | ReadonlyMap<string, JsonValue>;

export interface TextPosition {
  /** Both from 1; columns count UTF-16 units, as editors do. */
  readonly line: number;
  readonly column: number;
}

export interface DuplicateKey extends TextPosition {
  /** As in `rules[3].port`. */
  readonly path: string;
}

export type JsonReading =
  | { readonly ok: true; readonly value: JsonValue; readonly duplicates: readonly DuplicateKey[] }
  | ({ readonly ok: false; readonly found: string; readonly expected: string } & TextPosition);

/** Deeper than any policy goes, shallow enough that recursion cannot exhaust the stack. */
const DEPTH_LIMIT = 16;

export function readJson(text: string): JsonReading {
  const reader = new JsonReader(text);
  try {
    return { ok: true, value: reader.document(), duplicates: reader.duplicates };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    const found =
      error.at < text.length ? JSON.stringify(String.fromCodePoint(text.codePointAt(error.at) ?? 0)) : 'the end';
    return { ok: false, found, expected: error.expected, ...positionOf(text, error.at) };
  }
}

class SyntaxFault extends Error {
  readonly at: number;
  readonly expected: string;
  constructor(at: number, expected: string) {
    super(expected);
    this.at = at;
    this.expected = expected;
  }
}

class JsonReader {
  readonly duplicates: DuplicateKey[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value('', 0);
    if (this.#peek() !== undefined) throw new SyntaxFault(this.#at, 'nothing more');
    return value;
  }

  #value(path: string, depth: number): JsonValue {
    const first = this.#peek();
    if ((first === '{' || first === '[') && depth === DEPTH_LIMIT) {
      throw new SyntaxFault(this.#at, `at most ${DEPTH_LIMIT} levels of nesting`);
    }
    if (first === '{') return this.#object(path, depth + 1);
    if (first === '[') return this.#array(path, depth + 1);
    if (first === '"') return this.#string();
    const token = this.#match(/true\b|false\b|null\b|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y);
    if (token === undefined) throw new SyntaxFault(this.#at, 'a value');
    return JSON.parse(token) as null | boolean | number;
  }

  #object(path: string, depth: number): ReadonlyMap<string, JsonValue> {
    const entries = new Map<string, JsonValue>();
    this.#at++;
    if (this.#skip('}')) return entries;
    do {
      if (this.#peek() !== '"') throw new SyntaxFault(this.#at, 'a key in double quotes');
      const start = this.#at;
      const key = this.#string();
      const inner = path === '' ? key : `${path}.${key}`;
      if (entries.has(key)) this.duplicates.push({ path: inner, ...positionOf(this.#text, start) });
      if (!this.#skip(':')) throw new SyntaxFault(this.#at, '":"');
      entries.set(key, this.#value(inner, depth));
    } while (this.#skip(','));
    if (!this.#skip('}')) throw new SyntaxFault(this.#at, '"," or "}"');
    return entries;
  }

  #array(path: string, depth: number): readonly JsonValue[] {
    const items: JsonValue[] = [];
    this.#at++;
    if (this.#skip(']')) return items;
    do items.push(this.#value(`${path}[${items.length}]`, depth));
    while (this.#skip(','));
    if (!this.#skip(']')) throw new SyntaxFault(this.#at, '"," or "]"');
    return items;
  }

  #string(): string {
    for (let i = this.#at + 1; i < this.#text.length; i++) {
      const character = this.#text[i] as string;
      if (character === '\\') i++;
      else if (character < ' ') throw new SyntaxFault(i, 'the closing quote of a string');
      else if (character === '"') {
        const start = this.#at;
        this.#at = i + 1;
        try {
          return JSON.parse(this.#text.slice(start, this.#at)) as string;
        } catch {
          throw new SyntaxFault(start, 'a string with valid escapes');
        }
      }
    }
    throw new SyntaxFault(this.#text.length, 'the closing quote of a string');
  }

  /** The next character that is no white space, without taking it. */
  #peek(): string | undefined {
    this.#match(/[ \t\r\n]*/y);
    return this.#text[this.#at];
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #match(sticky: RegExp): string | undefined {
    sticky.lastIndex = this.#at;
    const token = sticky.exec(this.#text)?.[0];
    this.#at += token?.length ?? 0;
    return token;
  }
}

function positionOf(text: string, at: number): TextPosition {
  const before = text.slice(0, at);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: at - lineStart + 1 };
}
