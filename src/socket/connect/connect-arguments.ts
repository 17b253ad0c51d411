/** The arguments of `net.Socket.prototype.connect`, read only as far as a decision needs; node validates them. */
import net from 'node:net';

export interface ConnectTarget {
  readonly host: string;
  /** 4, 6, or 0 for a name. */
  readonly literal: number;
  readonly port: number;
  readonly options: ConnectOptions;
  /** Given to node in place of the options when a lookup has to be put in between. */
  rearranged(options: ConnectOptions): unknown[];
}

export type Lookup = (host: string, options: { all?: boolean }, callback: LookupCallback) => void;
export type LookupCallback = (this: unknown, error: Error | null, answer?: unknown, family?: unknown) => void;

/** What node's connect reads. */
const OPTION_NAMES = [
  'port',
  'path',
  'host',
  'localAddress',
  'localPort',
  'autoSelectFamily',
  'autoSelectFamilyAttemptTimeout',
  'lookup',
  'family',
  'hints',
] as const;

export type ConnectOptions = { readonly [K in (typeof OPTION_NAMES)[number]]?: unknown };

/** Undefined where it is node's business alone: a unix socket, or arguments that will throw. */
export function connectTarget(args: readonly unknown[]): ConnectTarget | undefined {
  const [first, second] = args;
  // Node's own callers pass an array [options, callback], marked with a symbol.
  const normalized = Array.isArray(first) ? first : undefined;
  const options = normalized === undefined ? optionsOf(first, second) : normalized[0];
  if (typeof options !== 'object' || options === null) return undefined;
  const { path, port, host, localPort, lookup, localAddress } = options as ConnectOptions;
  if (path || (localPort && portNumber(localPort) === undefined)) return undefined;
  const number = portNumber(port);
  if (number === undefined) return undefined;
  if (host && typeof host !== 'string') return undefined;
  if (lookup != null && typeof lookup !== 'function') return undefined;
  if (localAddress && (typeof localAddress !== 'string' || net.isIP(localAddress) === 0)) return undefined;
  const name = (host as string | undefined) || 'localhost';
  return {
    host: name,
    literal: net.isIP(name),
    port: number,
    options: options as ConnectOptions,
    rearranged: (changed) => {
      if (normalized === undefined) {
        const last = args.at(-1);
        return typeof last === 'function' ? [changed, last] : [changed];
      }
      const copy: unknown[] & Record<symbol, unknown> = [changed, normalized[1]] as never;
      for (const symbol of Object.getOwnPropertySymbols(normalized)) {
        copy[symbol] = (normalized as unknown as Record<symbol, unknown>)[symbol];
      }
      return [copy];
    },
  };
}

/** A copy of what node reads, inherited properties too. */
export function withLookup(options: ConnectOptions, lookup: Lookup): ConnectOptions {
  const copy: Record<string, unknown> = {};
  for (const name of OPTION_NAMES) if (name in options) copy[name] = options[name];
  copy.lookup = lookup;
  return copy as ConnectOptions;
}

function optionsOf(first: unknown, second: unknown): ConnectOptions | undefined {
  if (typeof first === 'object') return first ?? undefined;
  if (portNumber(first) === undefined) return undefined;
  return typeof second === 'string' ? { port: first, host: second } : { port: first };
}

/** As node: 0 is passed on, although nobody can be reached there. */
function portNumber(port: unknown): number | undefined {
  if (typeof port === 'string' && port.trim() === '') return undefined;
  if (typeof port !== 'number' && typeof port !== 'string') return undefined;
  const number = Number(port);
  return Number.isInteger(number) && number > 0 && number <= 65_535 ? number : undefined;
}
