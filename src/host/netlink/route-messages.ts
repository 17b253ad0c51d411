/**
 * The NETLINK_ROUTE messages that mobisock reads (links, addresses, routes: linux/rtnetlink.h, if_link.h, if_addr.h)
 * and the requests that it makes. Labels are in `label-messages.ts`. Sans-IO.
 */
import { addressBytes, addressText, type Family, familyOf } from '../../core/address.ts';
import { concatBytes } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { decodeLabel, type LabelMessage, RTM_DELADDRLABEL, RTM_NEWADDRLABEL } from './label-messages.ts';
import {
  decodeAttributes,
  encodeAttribute,
  encodeMessage,
  FLAG_DUMP,
  FLAG_REQUEST,
  MESSAGE_DONE,
  MESSAGE_ERROR,
  MESSAGE_OVERRUN,
  type NetlinkMessage,
  numberBytes,
  readNumber,
  readShort,
} from './message.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

/** RTMGRP_LINK, and addresses and routes of both families. */
export const WATCHED_GROUPS: number = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

const AF_UNSPEC = 0;
const AF_INET = 2;
const AF_INET6 = 10;

const LINK_BODY_BYTES = 16;
const ADDRESS_BODY_BYTES = 8;
const ROUTE_BODY_BYTES = 12;

const IFLA_IFNAME = 3;
const IFLA_EXT_MASK = 29;
/** Leaves some 300 bytes of counters out of each link. */
const RTEXT_FILTER_SKIP_STATS = 0x8;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_TEMPORARY = 0x01; // for IPv4 the same bit says "secondary"
const IFA_F_DAD_FAILED = 0x08;
const IFA_F_HOMEADDRESS = 0x10;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;
const SCOPE_LINK = 253;
const SCOPE_HOST = 254;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
/** Unicast, blackhole, unreachable, prohibit: the routes that decide where packets of ours go. */
const FORWARDING_ROUTE_TYPES: ReadonlySet<number> = new Set([1, 6, 7, 8]);
const RTM_F_CLONED = 0x200;

export interface LinkMessage {
  readonly kind: 'link';
  readonly removed: boolean;
  readonly index: number;
  readonly name: string;
  readonly up: boolean;
  /** Has carrier, as far as the kernel knows. */
  readonly running: boolean;
  /** ARPHRD_ of linux/if_arp.h: 1 for Ethernet. */
  readonly hardwareType: number;
}

export interface AddressMessage {
  readonly kind: 'address';
  readonly removed: boolean;
  readonly interfaceIndex: number;
  /** Canonical, without zone. */
  readonly ip: string;
  readonly prefixLength: number;
  readonly scope: 'global' | 'link' | 'host';
  readonly tentative: boolean;
  readonly dadFailed: boolean;
  readonly deprecated: boolean;
  readonly temporary: boolean;
  /** A home address of Mobile IPv6, as whoever configured it said. */
  readonly home: boolean;
}

export interface RouteMessage {
  readonly kind: 'route';
  readonly removed: boolean;
  /** False for the kernel's own entries (local, broadcast, multicast) and for cached ones. */
  readonly forwarding: boolean;
  readonly interfaceIndex: number | undefined;
  readonly sourceIp: string | undefined;
  /** The router that packets go to first; undefined on-link. */
  readonly gatewayIp: string | undefined;
}

/** The end of an answer. `errno` is positive, 0 for success. */
export interface EndMessage {
  readonly kind: 'end';
  readonly errno: number;
}

export type RouteNetlinkMessage =
  | LinkMessage
  | AddressMessage
  | RouteMessage
  | LabelMessage
  | EndMessage
  | { readonly kind: 'other' };

/** What a message says. A body that doesn't hold what its type promises is a {@link WireError}. */
export function decodeRouteMessage(message: NetlinkMessage): RouteNetlinkMessage {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return decodeLink(message.body, message.type === RTM_DELLINK);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return decodeAddress(message.body, message.type === RTM_DELADDR);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return decodeRoute(message.body, message.type === RTM_DELROUTE);
    case RTM_NEWADDRLABEL:
    case RTM_DELADDRLABEL:
      return decodeLabel(message.body, message.type === RTM_DELADDRLABEL);
    case MESSAGE_ERROR:
      return { kind: 'end', errno: -(readNumber(message.body, 0, 'netlink error') | 0) };
    case MESSAGE_DONE:
      // A dump that failed half-way says so here; the oldest kernels send no number.
      return { kind: 'end', errno: message.body.length < 4 ? 0 : -(readNumber(message.body, 0, 'netlink end') | 0) };
    case MESSAGE_OVERRUN:
      throw new WireError('netlink overrun');
    default:
      return { kind: 'other' };
  }
}

/** Asks for all links, without their counters. */
export function encodeLinkDump(sequence: number): Uint8Array {
  const body = concatBytes(
    new Uint8Array(LINK_BODY_BYTES),
    encodeAttribute(IFLA_EXT_MASK, numberBytes(RTEXT_FILTER_SKIP_STATS)),
  );
  return encodeMessage({ type: RTM_GETLINK, flags: FLAG_REQUEST | FLAG_DUMP, sequence, portId: 0, body });
}

/** Asks for all addresses of both families. */
export function encodeAddressDump(sequence: number): Uint8Array {
  const body = new Uint8Array(ADDRESS_BODY_BYTES);
  return encodeMessage({ type: RTM_GETADDR, flags: FLAG_REQUEST | FLAG_DUMP, sequence, portId: 0, body });
}

/** Asks which way packets to `to` go. A zone is a number here: the index of the interface. */
export function encodeRouteRequest(sequence: number, to: string, interfaceIndex: number | undefined): Uint8Array {
  const address = addressBytes(to);
  if (address === undefined) throw new RangeError(`not an address: ${to}`);
  const header = new Uint8Array(ROUTE_BODY_BYTES);
  header[0] = familyOf(to) === 6 ? AF_INET6 : AF_INET;
  header[1] = address.length * 8;
  const body = concatBytes(
    header,
    encodeAttribute(RTA_DST, address),
    interfaceIndex === undefined ? new Uint8Array(0) : encodeAttribute(RTA_OIF, numberBytes(interfaceIndex)),
  );
  return encodeMessage({ type: RTM_GETROUTE, flags: FLAG_REQUEST, sequence, portId: 0, body });
}

/*
 * struct ifinfomsg: family(1) pad(1) device type(2) index(4) flags(4) change mask(4), then attributes.
 */
function decodeLink(body: Uint8Array, removed: boolean): RouteNetlinkMessage {
  const attributes = attributesAfter(body, LINK_BODY_BYTES, 'link');
  // Bridges report their ports under a family of their own: a "deleted" port is still a link.
  if (body[0] !== AF_UNSPEC) return { kind: 'other' };
  const flags = readNumber(body, 8, 'link flags');
  return {
    kind: 'link',
    removed,
    index: readNumber(body, 4, 'link index'),
    name: text(attributes.get(IFLA_IFNAME)),
    up: (flags & IFF_UP) !== 0,
    running: (flags & IFF_RUNNING) !== 0,
    hardwareType: readShort(body, 2, 'link type'),
  };
}

/*
 * struct ifaddrmsg: family(1) prefix length(1) flags(1) scope(1) index(4), then attributes.
 */
function decodeAddress(body: Uint8Array, removed: boolean): RouteNetlinkMessage {
  const attributes = attributesAfter(body, ADDRESS_BODY_BYTES, 'address');
  const family = familyFrom(body[0]);
  if (family === undefined) return { kind: 'other' };
  // On a point-to-point link IFA_ADDRESS is the other end.
  const address = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const wide = attributes.get(IFA_FLAGS);
  const flags = wide === undefined ? (body[2] as number) : readNumber(wide, 0, 'address flags');
  return {
    kind: 'address',
    removed,
    interfaceIndex: readNumber(body, 4, 'address interface'),
    ip: ipOf(address, family),
    prefixLength: body[1] as number,
    scope: scopeFrom(body[3] as number),
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & IFA_F_DAD_FAILED) !== 0,
    deprecated: (flags & IFA_F_DEPRECATED) !== 0,
    temporary: family === 6 && (flags & IFA_F_TEMPORARY) !== 0,
    home: (flags & IFA_F_HOMEADDRESS) !== 0,
  };
}

/*
 * struct rtmsg: family(1) destination length(1) source length(1) tos(1) table(1) protocol(1) scope(1) type(1)
 * flags(4), then attributes.
 */
function decodeRoute(body: Uint8Array, removed: boolean): RouteNetlinkMessage {
  const attributes = attributesAfter(body, ROUTE_BODY_BYTES, 'route');
  const family = familyFrom(body[0]);
  if (family === undefined) return { kind: 'other' };
  const cached = (readNumber(body, 8, 'route flags') & RTM_F_CLONED) !== 0;
  const output = attributes.get(RTA_OIF);
  const source = attributes.get(RTA_PREFSRC);
  const gateway = attributes.get(RTA_GATEWAY);
  return {
    kind: 'route',
    removed,
    forwarding: !cached && FORWARDING_ROUTE_TYPES.has(body[7] as number),
    interfaceIndex: output === undefined ? undefined : readNumber(output, 0, 'route interface'),
    sourceIp: source === undefined ? undefined : ipOf(source, family),
    gatewayIp: gateway === undefined ? undefined : ipOf(gateway, family),
  };
}

function attributesAfter(body: Uint8Array, headerBytes: number, what: string): Map<number, Uint8Array> {
  if (body.length < headerBytes) throw new WireError(`netlink ${what}: ${body.length} bytes`);
  return decodeAttributes(body.subarray(headerBytes));
}

function familyFrom(family: number | undefined): Family | undefined {
  if (family === AF_INET) return 4;
  return family === AF_INET6 ? 6 : undefined;
}

function ipOf(bytes: Uint8Array | undefined, family: Family): string {
  if (bytes?.length !== (family === 4 ? 4 : 16)) throw new WireError(`netlink address of ${bytes?.length ?? 0} bytes`);
  return addressText(bytes);
}

function scopeFrom(scope: number): AddressMessage['scope'] {
  if (scope === SCOPE_HOST) return 'host';
  return scope === SCOPE_LINK ? 'link' : 'global';
}

function text(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) throw new WireError('netlink link without a name');
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
