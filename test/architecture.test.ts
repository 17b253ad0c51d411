/**
 * The house, as docs/architecture.md draws it: who may import whom, what protocol cores must not touch, and that the
 * reference pages name everything they should.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ENVIRONMENT_NAMES } from '../src/socket/policy/environment.ts';
import { LIMIT_BOUNDS } from '../src/socket/policy/settings.ts';
import { type ImportedModule, importsOf, readSource, type SourceText } from './source-text.ts';

const ROOT = new URL('../', import.meta.url);
const FEATURES = ['l4mob', 'aarp', 'addrsel', 'update', 'group'];
/** The features that may be built on others, and on which; only through those features' `index.ts`. */
const BUILT_ON: Readonly<Record<string, readonly string[]>> = { update: ['l4mob', 'aarp'], group: ['l4mob', 'aarp'] };
/** What protocol cores may import beside source files. `node:module` loads the MODP package on first use only. */
const CORE_PACKAGES = /^(?:node:crypto|node:module|diffie-hellman|@noble\/(?:ciphers|hashes)\/.+)$/;
/** Computation only: no randomness, and no keys made with it. */
const CORE_CRYPTO =
  /^(?:createHash|hash|createHmac|hkdfSync|create(?:De)?[cC]ipheriv|timingSafeEqual|diffieHellman|createDiffieHellman|getDiffieHellman|createECDH|ECDH|create(?:Public|Private|Secret)Key|KeyObject|sign|verify)$/;
const CORE_FORBIDDEN =
  /(?<![\w$#.])(?:setTimeout|setInterval|setImmediate|queueMicrotask|fetch|Date|performance|process)\b|\bMath\s*\.\s*random\b|\b(?:randomBytes|randomFill(?:Sync)?|randomInt|randomUUID|getRandomValues|generateKeyPair(?:Sync)?)\b|\bglobalThis\b/g;
const LINE_LIMIT = 500;

interface SourceFile extends SourceText {
  /** From the root: `src/core/bytes.ts`. */
  readonly path: string;
  readonly zone: Zone;
  readonly lines: number;
  readonly imports: readonly ImportedModule[];
}

type Zone =
  | { readonly kind: 'core' | 'host' | 'socket' | 'cli' | 'entry' }
  | { readonly kind: 'feature' | 'io'; readonly feature: string };

function zoneOf(path: string): Zone {
  const [, first = '', second] = path.split('/');
  if (FEATURES.includes(first)) return { kind: second === 'io' ? 'io' : 'feature', feature: first };
  if (first === 'core' || first === 'host' || first === 'socket' || first === 'cli') return { kind: first };
  // Files right in src/ are the package's entry points; a new folder has to find its place here first.
  if (second === undefined) return { kind: 'entry' };
  throw new Error(`${path}: no such room in the house`);
}

/** Why `from` must not import `target`, or undefined where it may. */
function objection(from: Zone, target: Zone, targetPath: string): string | undefined {
  const may = (...kinds: Zone['kind'][]): string | undefined =>
    kinds.includes(target.kind) ? undefined : `${from.kind} must not import ${target.kind}`;
  switch (from.kind) {
    case 'core':
      return may('core');
    case 'host':
      return may('core', 'host');
    case 'socket':
      return may('core', 'host', 'feature', 'io', 'socket');
    case 'cli':
      return may('core', 'host', 'feature', 'io', 'socket', 'cli');
    case 'entry':
      return undefined;
    case 'feature':
    case 'io': {
      if ((target.kind === 'feature' || target.kind === 'io') && target.feature !== from.feature) {
        const face = `src/${target.feature}/index.ts`;
        const allowed = BUILT_ON[from.feature]?.includes(target.feature) === true && targetPath === face;
        return allowed ? undefined : `${from.feature} must not import ${targetPath}`;
      }
      return from.kind === 'io' ? may('core', 'host', 'feature', 'io') : may('core', 'feature');
    }
  }
}

/** What the sans-IO rule has against one protocol core. */
function impurities({ imports, codeOnly, zone }: Pick<SourceFile, 'imports' | 'codeOnly' | 'zone'>): string[] {
  const found = [...codeOnly.matchAll(CORE_FORBIDDEN)].map(([name]) => `uses ${name}`);
  for (const { from, names, typeOnly } of imports) {
    if (from.startsWith('.') || typeOnly) continue;
    if (zone.kind === 'core' || !CORE_PACKAGES.test(from)) found.push(`imports ${from}`);
    else if (from === 'node:crypto') {
      if (names === undefined) found.push('imports node:crypto as a whole');
      for (const name of names ?? []) if (!CORE_CRYPTO.test(name)) found.push(`imports ${name} of node:crypto`);
    }
  }
  return found;
}

function load(path: string): SourceFile {
  const text = readFileSync(new URL(path, ROOT), 'utf8');
  const source = readSource(text);
  return { path, zone: zoneOf(path), lines: text.split('\n').length - 1, imports: importsOf(source), ...source };
}

function page(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

const files = readdirSync(new URL('src', ROOT), { recursive: true, encoding: 'utf8' })
  .map((path) => `src/${path.replaceAll('\\', '/')}`)
  .filter((path) => path.endsWith('.ts'))
  .sort()
  .map(load);
const isProtocolCore = ({ zone }: SourceFile): boolean => zone.kind === 'core' || zone.kind === 'feature';

describe('the house', () => {
  it('has files to look at', () => {
    expect(files.filter(isProtocolCore).length).toBeGreaterThan(5);
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(20);
  });

  it('imports in one direction', () => {
    const wrong = files.flatMap(({ path, zone, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('.'))
        .map(({ from }) => posix.join(posix.dirname(path), from))
        .filter((target) => target.startsWith('src/'))
        .map((target) => objection(zone, zoneOf(target), target))
        .filter((reason) => reason !== undefined)
        .map((reason) => `${path}: ${reason}`),
    );
    expect(wrong).toEqual([]);
  });

  it('imports nothing from outside src by path', () => {
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('.'))
        .map(({ from }) => posix.join(posix.dirname(path), from))
        .filter((target) => !target.startsWith('src/') && target !== 'package.json')
        .map((target) => `${path}: ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('keeps sockets, clocks, timers and randomness out of protocol cores', () => {
    const wrong = files
      .filter(isProtocolCore)
      .flatMap((file) => impurities(file).map((what) => `${file.path}: ${what}`));
    expect(wrong).toEqual([]);
  });

  it('has no default exports', () => {
    const wrong = files.filter(({ codeOnly }) => /^\s*export\s+default\b|\bas\s+default\b/m.test(codeOnly));
    // Stand in for modules of node's, which have one.
    expect(wrong.map(({ path }) => path)).toEqual(['src/dgram.ts', 'src/net.ts']);
  });

  it('has small rooms', () => {
    const wrong = files.filter(({ lines }) => lines > LINE_LIMIT);
    expect(wrong.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([]);
  });

  it('names files for what is in them, in kebab case', () => {
    const wrong = files
      .map(({ path }) => posix.basename(path))
      .filter((name) => /^(?:utils?|helpers?|misc)\.ts$|[^a-z0-9.-]/.test(name));
    expect(wrong).toEqual([]);
  });
});

describe('the reference pages', () => {
  it('docs/errors.md lists every code that src gives out', () => {
    const documented = codesIn(page('docs/errors.md'), /`(E[A-Z0-9_]+)`/g);
    const given = files.flatMap(({ withStrings }) => [
      ...codesIn(withStrings, /['"](ERR_MOBISOCK_[A-Z_]+)['"]/g),
      ...codesIn(withStrings, /\bcode\s*[:=]\s*['"](E[A-Z0-9_]+)['"]/g),
    ]);
    expect(given.length).toBeGreaterThan(3);
    expect(given.filter((code) => !documented.includes(code))).toEqual([]);
  });

  it('docs/errors.md lists no code of ours that src does not know', () => {
    const known = files.flatMap(({ withStrings }) => codesIn(withStrings, /['"](ERR_MOBISOCK_[A-Z_]+)['"]/g));
    const listed = codesIn(page('docs/errors.md'), /(ERR_MOBISOCK_[A-Z_]+)/g);
    expect(listed.filter((code) => !known.includes(code))).toEqual([]);
  });

  it('docs/policy.md documents every variable', () => {
    const text = page('docs/policy.md');
    const read = files.flatMap(({ withStrings }) =>
      codesIn(withStrings, /(?<![A-Z_])(MOBISOCK_[A-Z]+(?:_[A-Z]+)*)\b/g),
    );
    const wanted = [...new Set([...read, ...ENVIRONMENT_NAMES])].filter((name) => !name.startsWith('MOBISOCK_TEST_'));
    expect(wanted.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
    // The policy refuses what it does not know, so a variable read elsewhere has to be known there too.
    expect(wanted.filter((name) => !ENVIRONMENT_NAMES.includes(name))).toEqual([]);
  });

  it('docs/policy.md documents every limit', () => {
    const text = page('docs/policy.md');
    expect(Object.keys(LIMIT_BOUNDS).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

// biome-ignore-start lint/suspicious/noTemplateCurlyInString: source text as the scanner meets it
describe('the rules of this test', () => {
  const core = (text: string): string[] => {
    const source = readSource(text);
    return impurities({ ...source, imports: importsOf(source), zone: { kind: 'feature', feature: 'l4mob' } });
  };

  it.each([
    ["import { createSocket } from 'node:dgram';", ['imports node:dgram']],
    [
      "import {\n  createHash,\n  randomBytes as more,\n} from 'node:crypto';",
      ['uses randomBytes', 'imports randomBytes of node:crypto'],
    ],
    ["import * as crypto from 'node:crypto';", ['imports node:crypto as a whole']],
    ["const net = await import('node:net');", ['imports node:net']],
    ["const fs = require('fs');", ['imports fs']],
    ["const net = createRequire(import.meta.url)('node:net');", ['imports node:net']],
    ["export { connect } from 'node:net';", ['imports node:net']],
    ["import 'node:timers';", ['imports node:timers']],
    ['const text = `${Date.now()}`;', ['uses Date']],
    ['const id = Math.random();', ['uses Math.random']],
    ['process.env.HOME', ['uses process']],
    ['const half = a / b; setTimeout(run, 1 / 2);', ['uses setTimeout']],
    ['const quote = /[\'"`]/; setImmediate(run);', ['uses setImmediate']],
  ])('find what is wrong in %j', (text, expected) => {
    expect(core(text)).toEqual(expected);
  });

  it.each([
    "import type { Socket } from 'node:net';",
    "import { type Socket } from 'node:net';",
    "import { createHmac, type KeyObject } from 'node:crypto';",
    "type Net = typeof import('node:net');",
    "// import 'node:net'; Date.now()",
    "/* setTimeout\n import 'node:net' */",
    'const text = \'setTimeout(\' + "process.exit" + `Date ${a} Math.random()`;',
    'const pattern = /setTimeout|\\/Date.now/;',
    'this.#process(); session.process(); function setTimeoutMs() {}',
  ])('have nothing against %j', (text) => {
    expect(core(text)).toEqual([]);
  });

  it('know the direction', () => {
    const ask = (from: string, target: string): string | undefined => objection(zoneOf(from), zoneOf(target), target);
    const allowed: readonly [string, string][] = [
      ['src/core/a.ts', 'src/core/b.ts'],
      ['src/l4mob/a.ts', 'src/core/b.ts'],
      ['src/l4mob/wire/a.ts', 'src/l4mob/b.ts'],
      ['src/l4mob/io/a.ts', 'src/host/b.ts'],
      ['src/update/a.ts', 'src/l4mob/index.ts'],
      ['src/socket/a.ts', 'src/l4mob/io/b.ts'],
      ['src/cli/a.ts', 'src/socket/b.ts'],
      ['src/index.ts', 'src/socket/b.ts'],
    ];
    const refused: readonly [string, string][] = [
      ['src/core/a.ts', 'src/host/b.ts'],
      ['src/core/a.ts', 'src/l4mob/b.ts'],
      ['src/host/a.ts', 'src/l4mob/b.ts'],
      ['src/l4mob/a.ts', 'src/l4mob/io/b.ts'],
      ['src/l4mob/a.ts', 'src/host/b.ts'],
      ['src/l4mob/io/a.ts', 'src/socket/b.ts'],
      ['src/l4mob/a.ts', 'src/aarp/index.ts'],
      ['src/update/a.ts', 'src/l4mob/session.ts'],
      ['src/update/a.ts', 'src/addrsel/index.ts'],
      ['src/socket/a.ts', 'src/cli/b.ts'],
      ['src/socket/a.ts', 'src/index.ts'],
    ];
    expect(allowed.filter(([from, target]) => ask(from, target) !== undefined)).toEqual([]);
    expect(refused.filter(([from, target]) => ask(from, target) === undefined)).toEqual([]);
  });
});
// biome-ignore-end lint/suspicious/noTemplateCurlyInString: source text as the scanner meets it

function codesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, code]) => code as string);
}
