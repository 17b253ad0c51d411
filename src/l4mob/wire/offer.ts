/**
 * L4_OFFER: the responder answers, with everything agreed or with what is missing. Never larger than the L4_INIT that
 * it answers. docs/protocol.md, section "L4_OFFER".
 *
 *     +--------------------------------+        status 0, accepted:
 *     | signalling header, type 2      |        | nonce                        (32) |
 *     | attempt                   (8)  |        | group (2), share: len (2), share  |
 *     | status                    (1)  |        | suite                         (2) |
 *     +--------------------------------+        | initiator port, responder port    |
 *     status 1, cookie:  len (1), cookie        | session port                  (2) |
 *     status 2, group:   id (2)                 | association id                (8) |
 *     status 3, ports:   count (1), (2)...      | lifetime in seconds           (4) |
 *     status 4, refused: reason (1)             | addresses: count (1), addr...     |
 *
 * No MAC: both messages go into the keys whole, so OPEN shows whether they arrived as they were sent.
 */
import { readAddress, writeAddress } from '../../core/address.ts';
import { ByteWriter } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import { MAX_ADDRESSES, MAX_PORT_CANDIDATES } from '../limits.ts';
import type { PortPair } from '../port-pairs.ts';
import { ATTEMPT_BYTES, HANDSHAKE_NONCE_BYTES, MAX_COOKIE_BYTES, readIds, readPort, writeIds } from './init.ts';
import { MAX_SIGNAL_BYTES, readSignal, SIGNAL_HEADER_BYTES, SIGNAL_TYPE, writeSignalHeader } from './signal-header.ts';

export const ASSOCIATION_ID_BYTES = 8;

const STATUS = { accepted: 0, cookie: 1, group: 2, ports: 3, refused: 4 } as const;
const REFUSALS = ['policy', 'limit', 'no-suite', 'no-group'] as const;
export type OfferRefusal = (typeof REFUSALS)[number];

export interface AcceptedOffer {
  readonly status: 'accepted';
  readonly attempt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly groupId: number;
  readonly share: Uint8Array;
  readonly suiteId: number;
  readonly portPair: PortPair;
  readonly sessionPort: number;
  readonly associationId: Uint8Array;
  readonly lifetimeSeconds: number;
  readonly addresses: readonly string[];
}

export type Offer =
  | AcceptedOffer
  | { readonly status: 'cookie'; readonly attempt: Uint8Array; readonly cookie: Uint8Array }
  | { readonly status: 'group'; readonly attempt: Uint8Array; readonly groupId: number }
  | { readonly status: 'ports'; readonly attempt: Uint8Array; readonly ports: readonly number[] }
  | { readonly status: 'refused'; readonly attempt: Uint8Array; readonly reason: OfferRefusal };

export function encodeOffer(offer: Offer): Uint8Array {
  const body = new ByteWriter(MAX_SIGNAL_BYTES - SIGNAL_HEADER_BYTES);
  body.bytes(offer.attempt).u8(STATUS[offer.status]);
  switch (offer.status) {
    case 'accepted':
      body.bytes(offer.nonce).u16(offer.groupId).u16(offer.share.length).bytes(offer.share).u16(offer.suiteId);
      body.u16(offer.portPair.initiator).u16(offer.portPair.responder).u16(offer.sessionPort);
      body.bytes(offer.associationId).u32(offer.lifetimeSeconds).u8(offer.addresses.length);
      for (const ip of offer.addresses) writeAddress(body, ip);
      break;
    case 'cookie':
      body.u8(offer.cookie.length).bytes(offer.cookie);
      break;
    case 'group':
      body.u16(offer.groupId);
      break;
    case 'ports':
      writeIds(body, offer.ports);
      break;
    case 'refused':
      body.u8(REFUSALS.indexOf(offer.reason));
      break;
    default:
      offer satisfies never;
  }
  const message = new ByteWriter(SIGNAL_HEADER_BYTES + body.length);
  writeSignalHeader(message, SIGNAL_TYPE.offer, body.length);
  return message.bytes(body.finish()).finish();
}

export function decodeOffer(bytes: Uint8Array): Offer {
  const reader = readSignal(bytes, SIGNAL_TYPE.offer);
  const attempt = reader.bytes(ATTEMPT_BYTES, 'offer attempt');
  const status = reader.u8('offer status');
  let offer: Offer;
  switch (status) {
    case STATUS.accepted: {
      const nonce = reader.bytes(HANDSHAKE_NONCE_BYTES, 'offer nonce');
      const groupId = reader.u16('offer group');
      const share = reader.bytes(reader.u16('offer share length'), 'offer share');
      const suiteId = reader.u16('offer suite');
      const portPair = {
        initiator: readPort(reader, 'offer initiator port'),
        responder: readPort(reader, 'offer responder port'),
      };
      const sessionPort = readPort(reader, 'offer session port');
      const associationId = reader.bytes(ASSOCIATION_ID_BYTES, 'offer association');
      const lifetimeSeconds = reader.u32('offer lifetime');
      const count = reader.u8('offer addresses');
      if (count > MAX_ADDRESSES) throw new WireError(`offer addresses: ${count} entries`);
      const addresses = Array.from({ length: count }, () => readAddress(reader, 'offer address'));
      offer = {
        status: 'accepted',
        attempt,
        nonce,
        groupId,
        share,
        suiteId,
        portPair,
        sessionPort,
        associationId,
        lifetimeSeconds,
        addresses,
      };
      break;
    }
    case STATUS.cookie: {
      const length = reader.u8('offer cookie length');
      if (length === 0 || length > MAX_COOKIE_BYTES) throw new WireError(`offer cookie: ${length} bytes`);
      offer = { status: 'cookie', attempt, cookie: reader.bytes(length, 'offer cookie') };
      break;
    }
    case STATUS.group:
      offer = { status: 'group', attempt, groupId: reader.u16('offer group') };
      break;
    case STATUS.ports:
      offer = { status: 'ports', attempt, ports: readIds(reader, MAX_PORT_CANDIDATES, 'offer ports') };
      break;
    case STATUS.refused: {
      const reason = REFUSALS[reader.u8('offer reason')];
      if (reason === undefined) throw new WireError('offer reason: unknown');
      offer = { status: 'refused', attempt, reason };
      break;
    }
    default:
      throw new WireError(`offer status: ${status}`);
  }
  reader.end('offer');
  return offer;
}
