/** What one check of `mobisock doctor` found, and how findings are printed. */

export interface Finding {
  /** One or two words. */
  readonly check: string;
  /** `note`: works, but less well than it could. `problem`: something does not work. */
  readonly state: 'ok' | 'note' | 'problem';
  /** What was seen. */
  readonly seen: string;
  /** What would change it; a command where there is one. */
  readonly remedy?: string;
}

export type Check = () => Finding | Promise<Finding>;

export function ok(check: string, seen: string): Finding {
  return { check, state: 'ok', seen };
}

export function note(check: string, seen: string, remedy?: string): Finding {
  return { check, state: 'note', seen, ...(remedy === undefined ? {} : { remedy }) };
}

export function problem(check: string, seen: string, remedy?: string): Finding {
  return { check, state: 'problem', seen, ...(remedy === undefined ? {} : { remedy }) };
}

const WIDTH = 18;

/** A line for what was seen, and one below it for the remedy. */
export function findingText({ check, state, seen, remedy }: Finding): string {
  const line = `${state.padEnd(8)} ${check.padEnd(WIDTH)} ${seen}`;
  return remedy === undefined ? line : `${line}\n${' '.repeat(WIDTH + 10)}-> ${remedy}`;
}

/** Resolves with what `begin` gives, or with `otherwise` after `limitMs`. */
export function within<T>(limitMs: number, otherwise: T, begin: (found: (value: T) => void) => void): Promise<T> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(otherwise), limitMs);
    begin((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}
