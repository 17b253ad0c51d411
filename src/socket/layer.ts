/**
 * What the parts of the socket layer share: the policy, and the endpoint and node's internals, each made when first
 * needed, because most processes never need them.
 */
import type dgram from 'node:dgram';
import type { Resolver } from '../aarp/resolution.ts';
import { canonicalAddress } from '../core/address.ts';
import type { DatagramEndpoint } from '../l4mob/io/mobile-datagrams.ts';
import type { MobilityEndpoint } from '../l4mob/io/mobile-stream.ts';
import type { SharedVerdicts } from './connect/shared-verdicts.ts';
import { AnycastDestinations } from './dgram/anycast-destinations.ts';
import { type DgramState, dgramState } from './dgram/dgram-internals.ts';
import { MemberDebts } from './dgram/member-debts.ts';
import { debug } from './diagnostics.ts';
import { type SocketInternals, socketInternals } from './node-internals.ts';
import type { Policy } from './policy/policy.ts';

export type { Mobility } from './policy/policy.ts';

/** What an endpoint does for the socket layer. */
export type SocketEndpoint = MobilityEndpoint & DatagramEndpoint;

/** How long a session is tried before a plain connect starts beside it; design.md, first contact. */
export const HEAD_START_MS = 30;

/** Destinations of which it is kept whether they can be anycast. Few programs talk with more at a time. */
const MAX_SPELLINGS = 256;

export interface LayerOptions {
  readonly policy: Policy;
  /** Called once, at the first connect, listen or bind that needs it. */
  readonly endpoint: () => SocketEndpoint;
  readonly headStartMs?: number | undefined;
  readonly anycast?: AnycastOptions | undefined;
  /** Absent: as the system's lookup gives them. */
  readonly addressOrder?: AddressOrder | undefined;
  /** Absent: each process finds out by itself. */
  readonly sharedVerdicts?: SharedVerdicts | undefined;
}

/** In which order the addresses of a name are tried. */
export interface AddressOrder {
  order<Found extends { readonly address: string }>(found: readonly Found[]): Found[];
}

/** Which destinations can be anycast, and who knows the members behind them. */
export interface AnycastOptions {
  /** `address` in canonical text. */
  readonly mayBe: (address: string) => boolean;
  /** Called once, for the first such destination. */
  readonly resolver: () => Resolver;
}

export class Layer {
  readonly policy: Policy;
  readonly headStartMs: number;
  readonly addressOrder: AddressOrder | undefined;
  readonly sharedVerdicts: SharedVerdicts | undefined;
  /** False after the installation was taken back: everything passes through. */
  enabled = true;
  /** The UDP sockets that are mobile now. Their own number is the limit: each holds a descriptor. */
  readonly mobileDatagrams: Set<{ makePlain(): void }> = new Set();
  readonly memberDebts: MemberDebts = new MemberDebts();
  readonly anycastDestinations: AnycastDestinations = new AnycastDestinations(this.memberDebts);
  readonly #makeEndpoint: () => SocketEndpoint;
  readonly #anycast: AnycastOptions | undefined;
  readonly #spellings = new Map<string, boolean>();
  #endpoint: SocketEndpoint | undefined;
  #resolver: Resolver | undefined;
  #unresolving = false;
  #failed = false;

  constructor(options: LayerOptions) {
    this.policy = options.policy;
    this.headStartMs = options.headStartMs ?? options.policy.headStartMs ?? HEAD_START_MS;
    this.#makeEndpoint = options.endpoint;
    this.addressOrder = options.addressOrder;
    this.sharedVerdicts = options.sharedVerdicts;
    this.#anycast = options.anycast;
  }

  /** Undefined where it can't be made: said once, and everything stays plain. */
  endpoint(): SocketEndpoint | undefined {
    if (this.#endpoint === undefined && !this.#failed) {
      try {
        this.#endpoint = this.#makeEndpoint();
      } catch (error) {
        this.#fail(error instanceof Error ? error.message : String(error));
      }
    }
    return this.#endpoint;
  }

  /** The endpoint if there is one by now. */
  get madeEndpoint(): SocketEndpoint | undefined {
    return this.#endpoint;
  }

  /** Whether any destination at all can be anycast. */
  get knowsAnycast(): boolean {
    return this.#anycast !== undefined;
  }

  /**
   * In any spelling. Asked for every connect, of which most are to addresses that can't be: so what it takes to tell is
   * not done again for those asked about lately.
   */
  mayBeAnycast(address: string): boolean {
    if (this.#anycast === undefined) return false;
    let known = this.#spellings.get(address);
    if (known === undefined) {
      known = this.#anycast.mayBe(canonicalAddress(address) ?? address);
      if (this.#spellings.size >= MAX_SPELLINGS) this.#spellings.clear();
      this.#spellings.set(address, known);
    }
    return known;
  }

  /** Undefined for an address that can't be anycast: most, so this comes first. `address` in canonical text. */
  resolverFor(address: string): Resolver | undefined {
    if (this.#anycast === undefined || !this.enabled || !this.mayBeAnycast(address)) return undefined;
    if (this.#resolver === undefined && !this.#unresolving) {
      try {
        this.#resolver = this.#anycast.resolver();
      } catch (error) {
        this.#unresolving = true;
        const why = error instanceof Error ? error.message : String(error);
        process.emitWarning(`anycast addresses are not resolved in this process: ${why}`, 'MobisockWarning');
      }
    }
    return this.#resolver;
  }

  /** Nobody waits for it any more. */
  closeResolver(): void {
    this.#resolver?.close();
    this.#resolver = undefined;
  }

  internals(): SocketInternals | undefined {
    return this.#expected(socketInternals());
  }

  dgramState(socket: dgram.Socket): DgramState | undefined {
    return this.#expected(dgramState(socket));
  }

  #expected<Found>(found: Found | string): Found | undefined {
    if (typeof found !== 'string') return found;
    this.#fail(`this version of node is not as expected: ${found}`);
    return undefined;
  }

  #fail(why: string): void {
    if (this.#failed) return;
    this.#failed = true;
    debug('no mobility: %s', why);
    process.emitWarning(`no mobility in this process: ${why}`, { type: 'MobisockWarning', code: 'ERR_MOBISOCK_PLAIN' });
  }
}
