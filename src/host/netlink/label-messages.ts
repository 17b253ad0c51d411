/**
 * Address labels (linux/if_addrlabel.h): the kernel's part of the policy table of RFC 6724. Sans-IO.
 */
import { concatBytes } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import {
  decodeAttributes,
  encodeAttribute,
  encodeMessage,
  FLAG_ACKNOWLEDGE,
  FLAG_CREATE,
  FLAG_DUMP,
  FLAG_REPLACE,
  FLAG_REQUEST,
  numberBytes,
  readNumber,
} from './message.ts';

export const RTM_NEWADDRLABEL = 72;
export const RTM_DELADDRLABEL = 73;
export const RTM_GETADDRLABEL = 74;

const AF_INET6 = 10;
const LABEL_BODY_BYTES = 12;
const IFAL_ADDRESS = 1;
const IFAL_LABEL = 2;

export interface LabelMessage {
  readonly kind: 'label';
  readonly removed: boolean;
  /** 16 bytes. */
  readonly prefix: Uint8Array;
  readonly prefixLength: number;
  /** 0 for all interfaces. */
  readonly interfaceIndex: number;
  readonly label: number;
  /** How often the kernel's table has changed, when this was told. */
  readonly generation: number;
}

/** What a label is for. */
export type LabelKey = Pick<LabelMessage, 'prefix' | 'prefixLength' | 'interfaceIndex'>;

/** Asks for all labels. */
export function encodeLabelDump(sequence: number): Uint8Array {
  const body = new Uint8Array(LABEL_BODY_BYTES);
  body[0] = AF_INET6;
  return encodeMessage({ type: RTM_GETADDRLABEL, flags: FLAG_REQUEST | FLAG_DUMP, sequence, portId: 0, body });
}

/** Gives a prefix a label, whether it had one or not. */
export function encodeNewLabel(sequence: number, key: LabelKey, label: number): Uint8Array {
  const flags = FLAG_REQUEST | FLAG_ACKNOWLEDGE | FLAG_CREATE | FLAG_REPLACE;
  return encodeMessage({ type: RTM_NEWADDRLABEL, flags, sequence, portId: 0, body: labelBody(key, label) });
}

/** Takes a prefix's label away; the kernel says ESRCH where it has none. */
export function encodeDeletedLabel(sequence: number, key: LabelKey): Uint8Array {
  const flags = FLAG_REQUEST | FLAG_ACKNOWLEDGE;
  // The kernel wants a label here too, and doesn't look at it.
  return encodeMessage({ type: RTM_DELADDRLABEL, flags, sequence, portId: 0, body: labelBody(key, 0) });
}

/*
 * struct ifaddrlblmsg: family(1) reserved(1) prefix length(1) flags(1) index(4) sequence(4), then attributes.
 */
export function decodeLabel(body: Uint8Array, removed: boolean): LabelMessage {
  if (body.length < LABEL_BODY_BYTES) throw new WireError(`netlink label: ${body.length} bytes`);
  const attributes = decodeAttributes(body.subarray(LABEL_BODY_BYTES));
  const prefix = attributes.get(IFAL_ADDRESS);
  const label = attributes.get(IFAL_LABEL);
  const prefixLength = body[2] as number;
  if (prefix?.length !== 16 || prefixLength > 128) {
    throw new WireError(`netlink label: prefix of ${prefix?.length ?? 0} bytes, ${prefixLength} bits`);
  }
  if (label === undefined) throw new WireError('netlink label: none there');
  return {
    kind: 'label',
    removed,
    prefix: prefix.slice(),
    prefixLength,
    interfaceIndex: readNumber(body, 4, 'label interface'),
    label: readNumber(label, 0, 'label'),
    generation: readNumber(body, 8, 'label sequence'),
  };
}

function labelBody({ prefix, prefixLength, interfaceIndex }: LabelKey, label: number): Uint8Array {
  const header = new Uint8Array(LABEL_BODY_BYTES);
  header[0] = AF_INET6;
  header[2] = prefixLength;
  header.set(numberBytes(interfaceIndex), 4);
  return concatBytes(header, encodeAttribute(IFAL_ADDRESS, prefix), encodeAttribute(IFAL_LABEL, numberBytes(label)));
}
