/**
 * Source text without what is no code: enough of a scanner to look for imports and names without being fooled by
 * comments, strings and regular expressions. (TypeScript 7 has no parser to call from here.)
 */

export interface SourceText {
  /** Comments blanked, strings kept. */
  readonly withStrings: string;
  /** Comments, strings and regular expressions blanked; the code inside `${}` stays. */
  readonly codeOnly: string;
}

export interface ImportedModule {
  readonly from: string;
  /** The names between the braces, without `type` ones; undefined for every other form. */
  readonly names: readonly string[] | undefined;
  readonly typeOnly: boolean;
}

export function readSource(text: string): SourceText {
  // UTF-16 units, so that positions agree with those of `text`.
  const withStrings = text.split('');
  const codeOnly = text.split('');
  const blank = (target: string[], from: number, to: number): void => {
    for (let i = from; i < to; i++) if (target[i] !== '\n') target[i] = ' ';
  };
  /** Depth of braces inside each `${` that is open. */
  const holes: number[] = [];
  let at = 0;
  const until = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    return match === null ? text.length : match.index + match[0].length;
  };
  const template = (): void => {
    const end = until(/(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/y);
    blank(codeOnly, at, end);
    if (text.slice(end - 2, end) === '${') holes.push(0);
    at = end;
  };
  while (at < text.length) {
    const character = text[at] as string;
    const pair = text.slice(at, at + 2);
    if (pair === '//' || pair === '/*') {
      const end = pair === '//' ? until(/[^\n]*/y) : until(/\/\*[\s\S]*?\*\//y);
      blank(withStrings, at, end);
      blank(codeOnly, at, end);
      at = end;
    } else if (character === "'" || character === '"') {
      const end = until(character === "'" ? /'(?:\\.|[^'\\\n])*'/y : /"(?:\\.|[^"\\\n])*"/y);
      blank(codeOnly, at, end);
      at = end;
    } else if (character === '`') {
      at++;
      template();
    } else if (character === '/' && regexMayStart(text.slice(0, at))) {
      const end = until(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y);
      blank(codeOnly, at, end);
      at = end;
    } else {
      const depth = holes.at(-1);
      if (depth !== undefined && character === '{') holes[holes.length - 1] = depth + 1;
      if (depth !== undefined && character === '}') {
        if (depth === 0) {
          holes.pop();
          at++;
          template();
          continue;
        }
        holes[holes.length - 1] = depth - 1;
      }
      at++;
    }
  }
  return { withStrings: withStrings.join(''), codeOnly: codeOnly.join('') };
}

/** Static and dynamic imports, re-exports and `require` calls. */
export function importsOf({ withStrings }: SourceText): ImportedModule[] {
  const found: ImportedModule[] = [];
  const statements = /^[ \t]*(?:import|export)\s+(type\s+)?(?:([^'"`;=()]*?)\s*\bfrom\s*)?['"]([^'"]+)['"]/gm;
  for (const [, type, clause = '', from = ''] of withStrings.matchAll(statements)) {
    const braces = /^\{([^}]*)\}$/.exec(clause.trim())?.[1];
    const names = braces
      ?.split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !name.startsWith('type '))
      .map((name) => name.split(/\s+as\s+/)[0] as string);
    found.push({ from, names, typeOnly: type !== undefined || names?.length === 0 });
  }
  const calls = /(?<!\btypeof\s*)\b(?:import|require|createRequire\([^)]*\))\s*\(\s*['"`]([^'"`]+)['"`]/g;
  for (const [, from = ''] of withStrings.matchAll(calls)) found.push({ from, names: undefined, typeOnly: false });
  return found;
}

/** A slash begins a regular expression where no value has just ended. */
function regexMayStart(before: string): boolean {
  return /(?:^|[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|of|in|do|else|void))\s*$/.test(before.slice(-40));
}
