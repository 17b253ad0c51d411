/**
 * A JSON file that people write: from bytes to a checked value, with every problem noted at its place.
 */
import { readJson } from './json-text.ts';
import { type Check, Place, type Shape } from './shape.ts';

/** `name` is for messages. Undefined where the file as a whole can't be used; the problems are noted in `check`. */
export function readJsonFile<T>(
  name: string,
  bytes: Uint8Array,
  limitBytes: number,
  shape: Shape<T>,
  check: Check,
): T | undefined {
  const file = new Place(name);
  const text = decodeTextFile(file, bytes, limitBytes, check);
  if (text === undefined) return undefined;
  const reading = readJson(text);
  if (!reading.ok) {
    const { line, column, found, expected } = reading;
    check.problems.add(file, check.code, `line ${line}, column ${column}: found ${found}, expected ${expected}`);
    return undefined;
  }
  for (const { path, line, column } of reading.duplicates) {
    check.problems.add(file.key(path), check.code, `key given twice (again at line ${line}, column ${column})`);
  }
  return shape(reading.value, file, check);
}

/** The text of a file of at most `limitBytes`, without a byte order mark; undefined after a problem was noted. */
export function decodeTextFile(file: Place, bytes: Uint8Array, limitBytes: number, check: Check): string | undefined {
  if (bytes.length > limitBytes) {
    check.problems.add(file, check.code, `larger than ${limitBytes} bytes`);
    return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    check.problems.add(file, check.code, 'not UTF-8');
    return undefined;
  }
}
