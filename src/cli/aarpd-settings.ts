/**
 * What aarpd is told, by its options and by its configuration file: the same keys, the same shapes. What an option says
 * wins over the file, key by key. docs/aarpd.md is the reference for people.
 */

import { DEFAULT_AARPD_SOCKET } from '../aarp/daemon/aarpd-socket.ts';
import { lineAddress } from '../aarp/daemon/daemon-protocol.ts';
import { MAX_SERVED } from '../aarp/io/anycast-member.ts';
import { DEFAULT_DAEMON_LIMITS } from '../aarp/io/daemon/daemon-server.ts';
import { familyOf, isGroupAddress, type TransportAddress } from '../core/address.ts';
import { readJsonFile } from '../core/json-file.ts';
import type { JsonValue } from '../core/json-text.ts';
import { type Check, integer, list, Place, Problems, record, refuse, type Shape } from '../core/shape.ts';
import { readFileStart } from '../host/file-start.ts';
import type { RendezvousLimits } from '../l4mob/rendezvous/rendezvous-service.ts';
import { LISTEN_ADDRESS_FORM, parseListenAddress } from './command.ts';
import { RENDEZVOUS_BOUNDS } from './rendezvous-command.ts';

export interface RendezvousRole extends Partial<RendezvousLimits> {
  readonly listen: TransportAddress;
}

/** What holds once the defaults are put in. Roles that were not asked for are absent. */
export interface AarpdSettings {
  readonly socket: string;
  /** Permission bits. */
  readonly socketMode: number;
  /** Path of the cache file; absent: in memory only. */
  readonly cache?: string;
  readonly clients: number;
  /** Path of a file with the key of AARP datagrams. */
  readonly keyFile?: string;
  /** Anycast addresses to be a member of. */
  readonly serve?: readonly string[];
  readonly rendezvous?: RendezvousRole;
  readonly metrics?: TransportAddress;
}

/** Keys that hold from start to end: a reload tells that they take a restart. */
export const FIXED_KEYS: readonly (keyof AarpdSettings)[] = ['socket', 'socketMode', 'cache', 'clients', 'keyFile'];

/** Anything larger is another file given by mistake. */
const CONFIG_LIMIT_BYTES = 65_536;
/** Clients are descriptors; the bound stops slips of the pen. */
const MOST_CLIENTS = 100_000;
/**
 * The group may ask, others may not: whoever may ask may also say which destinations are plain, and that a member has
 * failed.
 */
const DEFAULT_SOCKET_MODE = 0o660;
/** Where systemd's StateDirectory=aarpd is. */
const DEFAULT_CACHE = '/var/lib/aarpd/verdicts';
/** With no slash it would be a file of that name in whatever the working directory is. */
const NO_CACHE = 'off';

const path: Shape<string> = (value, place, check) =>
  typeof value === 'string' && value.includes('/') && !value.includes('\0')
    ? value
    : refuse(value, 'a path with a slash in it', place, check);

const cache: Shape<string> = (value, place, check) =>
  value === NO_CACHE || (typeof value === 'string' && value.includes('/'))
    ? (value as string)
    : refuse(value, `a path with a slash in it, or ${NO_CACHE}`, place, check);

const socketMode: Shape<number> = (value, place, check) =>
  typeof value === 'string' && /^0?[0-7]{3}$/.test(value)
    ? Number.parseInt(value, 8)
    : refuse(value, 'permission bits such as "0660"', place, check);

const listenAddress: Shape<TransportAddress> = (value, place, check) =>
  parseListenAddress(String(value)) ?? refuse(value, LISTEN_ADDRESS_FORM, place, check);

/** Zone and all: it says on which interface the address is joined. */
const anycastAddress: Shape<string> = (value, place, check) => {
  const address = typeof value === 'string' ? lineAddress(value) : undefined;
  return address !== undefined && familyOf(address) === 6 && !isGroupAddress(address)
    ? address
    : refuse(value, 'an IPv6 address, with its interface or without, such as fd00::53%eth0', place, check);
};

const rendezvousLimits = Object.fromEntries(
  Object.entries(RENDEZVOUS_BOUNDS).map(([name, { least, most }]) => [name, integer(least, most)]),
) as Readonly<Record<keyof RendezvousLimits, Shape<number>>>;

const FIELDS = {
  socket: path,
  socketMode,
  cache,
  clients: integer(1, MOST_CLIENTS),
  keyFile: path,
  serve: list(anycastAddress, MAX_SERVED, 'unique'),
  rendezvous: record({ listen: listenAddress }, rendezvousLimits),
  metrics: listenAddress,
};
const settings = record({}, FIELDS);
type Said = NonNullable<ReturnType<typeof settings>>;

/** Which key each option sets, and how its text becomes the file's value. */
const OPTIONS = {
  socket: ['socket', (text: string) => text],
  'socket-mode': ['socketMode', (text: string) => text],
  cache: ['cache', (text: string) => text],
  clients: ['clients', Number],
  'key-file': ['keyFile', (text: string) => text],
  serve: ['serve', (text: string) => text.split(',').map((item) => item.trim())],
  rendezvous: ['rendezvous', (text: string) => new Map([['listen', text]])],
  metrics: ['metrics', (text: string) => text],
} as const satisfies Record<string, readonly [keyof AarpdSettings, (text: string) => JsonValue]>;

export const OPTION_NAMES: readonly string[] = Object.keys(OPTIONS);

/** @throws UsageError with every problem of both; system errors where the file can't be read. */
export function readAarpdSettings(
  options: Readonly<Record<string, string | undefined>>,
  configPath: string | undefined,
): AarpdSettings {
  const problems = new Problems();
  const check: Check = { problems, code: 'ERR_MOBISOCK_POLICY' };
  const fromFile = configPath === undefined ? {} : readConfig(configPath, check);
  const fromOptions: Record<string, unknown> = {};
  for (const [name, [key, read]] of Object.entries(OPTIONS)) {
    const text = options[name];
    if (text !== undefined) fromOptions[key] = FIELDS[key](read(text), new Place('', `--${name}`), check);
  }
  problems.throwIfAny();
  return withDefaults(fromFile, fromOptions);
}

function readConfig(configPath: string, check: Check): Said {
  // One byte more than allowed shows that the file is too large.
  const bytes = readFileStart(configPath, CONFIG_LIMIT_BYTES + 1);
  return readJsonFile(configPath, bytes, CONFIG_LIMIT_BYTES, settings, check) ?? {};
}

function withDefaults(fromFile: Said, fromOptions: Said): AarpdSettings {
  const { cache: cachePath, ...said } = { ...fromFile, ...fromOptions };
  const rendezvous = { ...fromFile.rendezvous, ...fromOptions.rendezvous };
  return {
    socket: DEFAULT_AARPD_SOCKET,
    socketMode: DEFAULT_SOCKET_MODE,
    clients: DEFAULT_DAEMON_LIMITS.clients,
    ...said,
    ...(cachePath !== NO_CACHE && { cache: cachePath ?? DEFAULT_CACHE }),
    ...('listen' in rendezvous && { rendezvous: rendezvous as RendezvousRole }),
  };
}
