/**
 * The vocabulary of the policy: what may be said in the environment and in the policy file, as tables and types.
 * docs/policy.md is the reference for people; a test keeps the two in step.
 */

import type { Prefix } from '../../core/prefix.ts';
import type { GroupName } from '../../l4mob/key-agreement.ts';
import type { SuiteName } from '../../l4mob/suite.ts';

export type { GroupName, SuiteName };

/**
 * - `off`: node's own socket, untouched.
 * - `auto`: mobile where the peer speaks the protocol; loopback is left alone.
 * - `prefer`: as `auto`, loopback included.
 * - `require`: mobile or not at all.
 */
export type Mobility = 'off' | 'auto' | 'prefer' | 'require';
export const MOBILITIES: readonly Mobility[] = ['off', 'auto', 'prefer', 'require'];

export const SUITE_NAMES: readonly SuiteName[] = [
  'hmac-sha256-128',
  'aes-128-gmac',
  'aes-128-gcm',
  'chacha20-poly1305',
];

export const GROUP_NAMES: readonly GroupName[] = ['x25519', 'modp2048', 'modp3072'];

/** Inclusive bounds that a limit may be set to. */
export interface LimitBounds {
  readonly least: number;
  readonly most: number;
}

/** The limits of `src/l4mob/limits.ts` that can be overridden; the defaults are there. */
export type LimitName =
  | 'sessions'
  | 'associations'
  | 'unconfirmedPerSource'
  | 'verdicts'
  | 'replayLimitBytes'
  | 'maxWindowBytes';

/** What they may be set to. The upper bounds stop slips of the pen; they are not advice. */
export const LIMIT_BOUNDS: Readonly<Record<LimitName, LimitBounds>> = {
  /** Sessions of this process, both roles. Each holds a socket, so file descriptors end before this bound. */
  sessions: { least: 1, most: 1_000_000 },
  /** Associations held for peers that opened sessions to us. */
  associations: { least: 1, most: 1_000_000 },
  /** Associations that one source address may hold before it has opened a session. */
  unconfirmedPerSource: { least: 1, most: 100_000 },
  /** Destinations whose verdict (aware or plain) is remembered. */
  verdicts: { least: 1, most: 1_000_000 },
  /** Bytes kept for sending again, per session. Fewer than 64 KiB would not hold the largest record. */
  replayLimitBytes: { least: 65_536, most: 1_073_741_824 },
  /** Largest receive window of a session. Not below the first window that sessions start with. */
  maxWindowBytes: { least: 524_288, most: 1_073_741_824 },
};

export type Limits = { readonly [K in LimitName]?: number };

/** Inclusive; a single port is a range of one. As a session port, `{ first: 0, last: 0 }` lets the system choose. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What a rule's `to` says. Names are in ASCII, lower case, without the final dot. */
export type Destination =
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  | { readonly kind: 'name'; readonly name: string }
  /** `*.example.org`, kept as `.example.org`. */
  | { readonly kind: 'suffix'; readonly suffix: string };

export interface OutgoingRule {
  readonly to?: Destination;
  readonly port?: PortRange;
  readonly mobility: Mobility;
}

export interface ListenerRule {
  readonly address?: Prefix;
  readonly port?: PortRange;
  readonly mobility?: Mobility;
  /** Who may open sessions; everyone where absent. */
  readonly from?: readonly Prefix[];
}

/** A peer whose session port is known beforehand, so that first contact needs no UDP. `host`: name or address. */
export interface ConfiguredPeer {
  readonly host: string;
  readonly port: number;
  readonly sessionPort: number;
}

/** A third host through which peers find each other again. `host`: name or address. */
export interface RendezvousSetting {
  readonly host: string;
  readonly port: number;
}

/** Where session events are written as JSON lines. */
export type EventsTarget = { readonly kind: 'stderr' } | { readonly kind: 'file'; readonly path: string };

/** The service that resolves anycast addresses for all processes of the host: by its socket, or not at all. */
export type AarpdSetting = { readonly kind: 'off' } | { readonly kind: 'socket'; readonly path: string };

/** Whose order and sources connections go by: the system's, or those of a policy table, by its name or path. */
export type AddrselSetting = { readonly kind: 'system' } | { readonly kind: 'table'; readonly name: string };

/** What was said, checked; whatever was not said is absent and left to the default of the part that it concerns. */
export interface PolicySettings {
  readonly mobility?: Mobility;
  /** In order of preference. */
  readonly suites?: readonly SuiteName[];
  /** In order of preference. */
  readonly groups?: readonly GroupName[];
  readonly sessionPort?: PortRange;
  readonly sessionTimeoutMs?: number;
  readonly headStartMs?: number;
  /** Empty data on datagram flows after so long without any; absent: never. */
  readonly natKeepAliveMs?: number;
  /** Destinations that can be anycast. */
  readonly anycast?: readonly Prefix[];
  readonly aarpd?: AarpdSetting;
  readonly addrsel?: AddrselSetting;
  readonly events?: EventsTarget;
  readonly rendezvous?: readonly RendezvousSetting[];
  readonly limits?: Limits;
  readonly rules?: readonly OutgoingRule[];
  readonly listeners?: readonly ListenerRule[];
  readonly peers?: readonly ConfiguredPeer[];
}
