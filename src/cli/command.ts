/**
 * What every command of `mobisock` is, and how they read their options alike.
 */
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { canonicalAddress, type TransportAddress } from '../core/address.ts';
import { UsageError } from '../core/errors.ts';
import { parseHostPort } from '../core/host-port.ts';

export interface Command {
  /** One line for the overview. */
  readonly summary: string;
  readonly help: string;
  /** Resolves when the command has ended, or a service of it runs. @throws UsageError for wrong options. */
  run(args: readonly string[]): Promise<void>;
}

/** Named options only, each with a text. @throws UsageError that names the option. */
export function readOptions<const Names extends readonly string[]>(
  args: readonly string[],
  names: Names,
): Partial<Record<Names[number], string>> {
  return readArguments(args, { options: names, switches: [], words: 0 }).options;
}

export interface Arguments<Option extends string, Switch extends string> {
  /** What is no option, in its order. */
  readonly words: readonly string[];
  /** Options with a text. */
  readonly options: Partial<Record<Option, string>>;
  /** Options without. */
  readonly switches: Partial<Record<Switch, boolean>>;
}

/** Options anywhere, and at most so many words. @throws UsageError that names what is wrong. */
export function readArguments<const Options extends readonly string[], const Switches extends readonly string[]>(
  args: readonly string[],
  known: { readonly options: Options; readonly switches: Switches; readonly words: number },
): Arguments<Options[number], Switches[number]> {
  const options: NonNullable<ParseArgsConfig['options']> = Object.fromEntries([
    ...known.options.map((name) => [name, { type: 'string' as const }]),
    ...known.switches.map((name) => [name, { type: 'boolean' as const }]),
  ]);
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options,
      strict: true,
      allowPositionals: known.words > 0,
    });
    const extra = positionals[known.words];
    if (extra !== undefined) throw new TypeError(`Unexpected argument '${extra}'`);
    const split = (type: string): object =>
      Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === type));
    return { words: positionals, options: split('string'), switches: split('boolean') };
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), 'ERR_MOBISOCK_USAGE', { cause });
  }
}

/** A whole number of an option. */
export function readCount(name: string, text: string, least: number, most: number): number {
  const count = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= least && count <= most) return count;
  throw new UsageError(`--${name}: found "${text}", expected a whole number from ${least} to ${most}`);
}

/** What {@link parseListenAddress} takes, for messages. */
export const LISTEN_ADDRESS_FORM = 'a port, or an address and a port such as 192.0.2.1:4474 or [2001:db8::1]:4474';

/** `4474`, `192.0.2.1:4474`, `[2001:db8::1]:4474`; all addresses where none is named. */
export function readListenAddress(name: string, text: string): TransportAddress {
  const address = parseListenAddress(text);
  if (address !== undefined) return address;
  throw new UsageError(`--${name}: found "${text}", expected ${LISTEN_ADDRESS_FORM}`);
}

export function parseListenAddress(text: string): TransportAddress | undefined {
  const { host = '', port } = parseHostPort(/^\d+$/.test(text) ? `[::]:${text}` : text) ?? {};
  const ip = canonicalAddress(host);
  return ip !== undefined && port !== undefined ? { ip, port } : undefined;
}
