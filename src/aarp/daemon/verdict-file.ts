/**
 * The form in which aarpd keeps what it knows in a file: text, one verdict a line, and a last line by which a file that
 * was cut off is known.
 *
 *     aarpd-verdicts 1
 *     mobility [2001:db8::1]:443 plain 1790000000000
 *     cast fd00::53 anycast 2001:db8::7 1790000000000
 *     cast 2001:db8::9 unicast 2001:db8::9 1790000000000
 *     end 3
 *
 * The number is the wall time until which the verdict holds, milliseconds since 1970.
 */
import { isGroupAddress, isUnspecified } from '../../core/address.ts';
import { WireError } from '../../core/errors.ts';
import type { Resolution } from '../resolution.ts';
import { lineAddress, lineDestination, MAX_VERDICT_MS } from './daemon-protocol.ts';
import type { DestinationVerdict } from './verdict-store.ts';

/** A resolution, until when it holds by wall time. Only confirmed ones are kept. */
export type KeptResolution = Pick<Resolution, 'address' | 'kind' | 'unicast'> & { readonly until: number };

export interface KeptVerdicts {
  readonly destinations: readonly DestinationVerdict[];
  readonly resolutions: readonly KeptResolution[];
}

/** Twenty thousand of the longest lines: more than the store and the resolver hold. */
export const VERDICT_FILE_LIMIT_BYTES: number = 4 << 20;
const FIRST_LINE = 'aarpd-verdicts 1';

export function encodeVerdictFile({ destinations, resolutions }: KeptVerdicts): string {
  const lines = [
    ...destinations.map(({ destination, verdict, until }) => `mobility ${destination} ${verdict} ${Math.ceil(until)}`),
    ...resolutions.map(({ address, kind, unicast, until }) => `cast ${address} ${kind} ${unicast} ${Math.ceil(until)}`),
  ];
  return `${[FIRST_LINE, ...lines, `end ${lines.length}`].join('\n')}\n`;
}

/**
 * Those that still hold at `wallMs`. A verdict from a clock that was ahead holds no longer than a new one could.
 *
 * @throws WireError that names the line, whatever else the file is.
 */
export function decodeVerdictFile(bytes: Uint8Array, wallMs: number): KeptVerdicts {
  if (bytes.length > VERDICT_FILE_LIMIT_BYTES) throw new WireError(`larger than ${VERDICT_FILE_LIMIT_BYTES} bytes`);
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1').split('\n');
  if (lines[0] !== FIRST_LINE) throw new WireError(`line 1: expected "${FIRST_LINE}"`);
  const count = lines.length - 3;
  if (lines.at(-1) !== '' || lines.at(-2) !== `end ${count}`) {
    throw new WireError(`line ${Math.max(lines.length - 1, 2)}: expected the end, "end" and the count of verdicts`);
  }
  const destinations: DestinationVerdict[] = [];
  const resolutions: KeptResolution[] = [];
  for (const [i, line] of lines.slice(1, -2).entries()) {
    const found = decodeLine(line.split(' '), wallMs + MAX_VERDICT_MS);
    if (found === undefined) throw new WireError(`line ${i + 2}: no verdict`);
    if (found.until <= wallMs) continue;
    if ('destination' in found) destinations.push(found);
    else resolutions.push(found);
  }
  return { destinations, resolutions };
}

function decodeLine(words: readonly string[], latest: number): DestinationVerdict | KeptResolution | undefined {
  const time = words.at(-1) ?? '';
  if (!/^\d{1,15}$/.test(time)) return undefined;
  const until = Math.min(Number(time), latest);
  const [about, text = '', verdict, member = ''] = words;
  if (about === 'mobility' && words.length === 4 && (verdict === 'mobile' || verdict === 'plain')) {
    const destination = lineDestination(text);
    return destination === undefined ? undefined : { destination, verdict, until };
  }
  if (about !== 'cast' || words.length !== 5 || (verdict !== 'anycast' && verdict !== 'unicast')) return undefined;
  const address = hostOf(text);
  const unicast = hostOf(member);
  if (address === undefined || unicast === undefined || (verdict === 'unicast') !== (address === unicast))
    return undefined;
  return { address, kind: verdict, unicast, until };
}

/** An address that one host can have. */
function hostOf(text: string): string | undefined {
  const address = lineAddress(text);
  return address === undefined || isGroupAddress(address) || isUnspecified(address) ? undefined : address;
}
