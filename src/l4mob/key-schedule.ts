/**
 * Key schedule: HKDF-SHA256 (RFC 5869) from the Diffie-Hellman secret and the whole transcript down to one key per
 * use and direction. docs/protocol.md, section "Keys".
 *
 *     secret, transcript --extract--> handshake --> association secret
 *     association secret --+--> signalling keys   (L4_UPDATE), one per direction
 *                          +--> hello keys        (OPEN, REFUSE), one per direction
 *                          +--> rendezvous keys, one per direction --+--> signing key } of one epoch
 *                                                                    +--> sealing key }
 *     association secret, OPEN nonce --extract--> session --+--> record keys, one per direction
 *                                                           +--> resume key
 *     association secret, OPEN of a flow --extract--> flow --+--> packet keys, one per direction
 *                                                            +--> flow ids, one per direction
 *
 * Keys of one use come from one expansion, cut in order: fewer hash blocks on the way of every new session.
 */

import { hash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import { expand, extract } from './hkdf.ts';
import { hmacSha256 } from './short-hmac.ts';
import { type Suite, TAG_BYTES } from './suite.ts';

const encoder = new TextEncoder();
const PROTOCOL_LABEL = 'mobisock 1 ';
const ASSOCIATION_SECRET_BYTES = 32;
const FLOW_ID_BYTES = 8;

export interface AssociationKeys {
  readonly helloFromInitiator: Uint8Array;
  readonly helloFromResponder: Uint8Array;
  readonly signalFromInitiator: Uint8Array;
  readonly signalFromResponder: Uint8Array;
}

export interface SessionKeys {
  readonly recordFromInitiator: Uint8Array;
  readonly recordFromResponder: Uint8Array;
  readonly resume: Uint8Array;
}

/** One per direction: of who leaves word at a rendezvous. */
export interface RendezvousKeys {
  readonly fromInitiator: Uint8Array;
  readonly fromResponder: Uint8Array;
}

export interface RendezvousEpochKeys {
  /** Private key of Ed25519 (RFC 8032). */
  readonly signing: Uint8Array;
  readonly sealing: Uint8Array;
}

export interface FlowKeys {
  /** The initiator's packet key, then the responder's, each as long as the suite's keys are. */
  readonly packets: Uint8Array;
  /** 8 bytes each: the ids by which initiator and responder find the flow. */
  readonly idAtInitiator: Uint8Array;
  readonly idAtResponder: Uint8Array;
}

/**
 * Binds both messages of the handshake, versions, offered groups and suites included: who heard another one than was
 * sent has other keys.
 */
export function transcriptHash(init: Uint8Array, offer: Uint8Array): Uint8Array {
  return sha256(concatBytes(label('transcript'), sha256(init), sha256(offer)));
}

export function deriveAssociationSecret(sharedSecret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return expand(extract(transcript, sharedSecret), label('handshake'), ASSOCIATION_SECRET_BYTES);
}

export function deriveAssociationKeys(associationSecret: Uint8Array): AssociationKeys {
  const keys = expandKeys(associationSecret, 'association', [32, 32, 32, 32]);
  const [helloFromInitiator, helloFromResponder, signalFromInitiator, signalFromResponder] = keys;
  return { helloFromInitiator, helloFromResponder, signalFromInitiator, signalFromResponder };
}

/** `secret`: of the association, or whatever else only the two that seek each other share. */
export function deriveRendezvousKeys(secret: Uint8Array): RendezvousKeys {
  const [fromInitiator, fromResponder] = expandKeys(secret, 'rendezvous', [32, 32]);
  return { fromInitiator, fromResponder };
}

/** Nothing that an epoch's keys show can be traced to another epoch's. */
export function deriveRendezvousEpochKeys(directionKey: Uint8Array, epoch: number): RendezvousEpochKeys {
  const [signing, sealing] = expandKeys(directionKey, `rendezvous epoch ${epoch}`, [32, 32]);
  return { signing, sealing };
}

/** `openIdentity`: the part of OPEN that stays the same when it is repeated. Number, nonce, port pair and suite are bound. */
export function deriveSessionKeys(associationSecret: Uint8Array, openIdentity: Uint8Array, suite: Suite): SessionKeys {
  const session = extract(sha256(openIdentity), associationSecret);
  const { name, keyBytes } = suite;
  const keys = expandKeys(session, `session ${name}`, [keyBytes, keyBytes, 32]);
  const [recordFromInitiator, recordFromResponder, resume] = keys;
  return { recordFromInitiator, recordFromResponder, resume };
}

/** `flowIdentity`: what an OPEN of a datagram flow says for good; see `Association.flow`. */
export function deriveFlowKeys(associationSecret: Uint8Array, flowIdentity: Uint8Array, suite: Suite): FlowKeys {
  const flow = extract(sha256(flowIdentity), associationSecret);
  const { name, keyBytes } = suite;
  const keys = expandKeys(flow, `flow ${name}`, [2 * keyBytes, FLOW_ID_BYTES, FLOW_ID_BYTES]);
  const [packets, idAtInitiator, idAtResponder] = keys;
  return { packets, idAtInitiator, idAtResponder };
}

/** The MAC of signals and hellos: HMAC-SHA256 cut to 128 bits (RFC 2104, section 5). */
export function messageMac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmacSha256(key, ...parts).subarray(0, TAG_BYTES);
}

type KeyPer<Lengths> = { readonly [I in keyof Lengths]: Uint8Array };

function expandKeys<const Lengths extends readonly number[]>(
  secret: Uint8Array,
  name: string,
  lengths: Lengths,
): KeyPer<Lengths> {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const material = expand(secret, label(name), total);
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return material.slice(at - length, at);
  }) as KeyPer<Lengths>;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}

function label(name: string): Uint8Array {
  return encoder.encode(PROTOCOL_LABEL + name);
}
