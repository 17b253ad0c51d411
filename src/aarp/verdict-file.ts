/**
 * The form in which aarpd keeps its verdicts in a file: text, one verdict a line, and a last line by which a file that
 * was cut off is known.
 *
 *     aarpd-verdicts 1
 *     mobility [2001:db8::1]:443 plain 1790000000000
 *     cast fd00::53 anycast 2001:db8::7 1790000000000
 *     cast fd00::54 anycast - 1790000000000
 *     cast 2001:db8::9 unicast - 1790000000000
 *     end 4
 *
 * The number is the wall time until which the verdict holds, milliseconds since 1970.
 */
import { WireError } from '../core/errors.ts';
import { lineAddress, lineDestination, MAX_VERDICT_MS } from './daemon-protocol.ts';
import type { Verdict } from './verdict-store.ts';

/** Twenty thousand of the longest lines: more than a store holds. */
export const VERDICT_FILE_LIMIT_BYTES: number = 4 << 20;
const FIRST_LINE = 'aarpd-verdicts 1';
const NO_MEMBER = '-';

export function encodeVerdictFile(verdicts: readonly Verdict[]): string {
  const lines = verdicts.map(({ about, subject, verdict, unicast, until }) =>
    [about, subject, verdict, ...(about === 'cast' ? [unicast ?? NO_MEMBER] : []), Math.ceil(until)].join(' '),
  );
  return `${[FIRST_LINE, ...lines, `end ${lines.length}`].join('\n')}\n`;
}

/**
 * Those that still hold at `wallMs`. A verdict from a clock that was ahead holds no longer than a new one could.
 *
 * @throws WireError that names the line, whatever else the file is.
 */
export function decodeVerdictFile(bytes: Uint8Array, wallMs: number): Verdict[] {
  if (bytes.length > VERDICT_FILE_LIMIT_BYTES) throw new WireError(`larger than ${VERDICT_FILE_LIMIT_BYTES} bytes`);
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').split('\n');
  if (lines[0] !== FIRST_LINE) throw new WireError(`line 1: expected "${FIRST_LINE}"`);
  const count = lines.length - 3;
  if (lines.at(-1) !== '' || lines.at(-2) !== `end ${count}`) {
    throw new WireError(`line ${Math.max(lines.length - 1, 2)}: expected the end, "end" and the count of verdicts`);
  }
  return lines
    .slice(1, -2)
    .map((line, i) => decodeVerdict(line, i + 2, wallMs))
    .filter(({ until }) => until > wallMs);
}

function decodeVerdict(line: string, number: number, wallMs: number): Verdict {
  const words = line.split(' ');
  const until = Math.min(
    /^\d{1,15}$/.test(words.at(-1) ?? '') ? Number(words.at(-1)) : Number.NaN,
    wallMs + MAX_VERDICT_MS,
  );
  const found = Number.isNaN(until) ? undefined : verdictOf(words.slice(0, -1));
  if (found === undefined) throw new WireError(`line ${number}: no verdict`);
  return { ...found, until };
}

function verdictOf([about, text = '', verdict, member, ...more]: readonly string[]):
  | Omit<Verdict, 'until'>
  | undefined {
  if (more.length > 0) return undefined;
  if (about === 'mobility' && member === undefined && (verdict === 'mobile' || verdict === 'plain')) {
    const subject = lineDestination(text);
    return subject === undefined ? undefined : { about, subject, verdict };
  }
  const subject = lineAddress(text);
  if (about !== 'cast' || subject === undefined || member === undefined) return undefined;
  if (member === NO_MEMBER)
    return verdict === 'anycast' || verdict === 'unicast' ? { about, subject, verdict } : undefined;
  const unicast = lineAddress(member);
  return verdict === 'anycast' && unicast !== undefined ? { about, subject, verdict, unicast } : undefined;
}
