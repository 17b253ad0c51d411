/**
 * Suites: how a record is protected. The MAC suites leave the payload readable, as the paper does; the sealed suites
 * encrypt it as well. docs/protocol.md, section "Suites".
 *
 * A protector works on one direction of one session. Sealing takes a whole record; opening takes the pieces in which
 * it came off the wire, and nothing may be used before `finish` has said that the tag is right.
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type DecipherGCM,
  type Hmac,
  type KeyObject,
} from 'node:crypto';
import { equalConstantTime } from '../core/bytes.ts';
import { hmacDigest, hmacFrame, isDigestAt, MESSAGE_AT } from './short-hmac.ts';

export const TAG_BYTES = 16;
/** Subflow number (32 bits) and record number (64 bits): unique for a key, so that no nonce is used twice. */
export const NONCE_BYTES = 12;

export type SuiteName = 'hmac-sha256-128' | 'aes-128-gmac' | 'aes-128-gcm' | 'chacha20-poly1305';

export interface SealedRecord {
  readonly payload: readonly Uint8Array[];
  readonly tag: Uint8Array;
}

/** What stands before the payload under the MAC: nonce and associated data, apart and in one piece. */
export interface MacPrefix {
  readonly whole: Uint8Array;
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

export interface RecordSealer {
  seal(prefix: MacPrefix, payload: readonly Uint8Array[]): SealedRecord;
}

export interface RecordOpener {
  /** `payloadBytes`: how much the pieces will make together. */
  start(prefix: MacPrefix, payloadBytes: number): void;
  /** The plain bytes of one piece: the piece itself where the suite does not encrypt. */
  update(piece: Buffer): Buffer;
  finish(tag: Uint8Array): boolean;
}

export interface Suite {
  readonly name: SuiteName;
  /** On the wire, in L4_INIT, L4_OFFER and OPEN. */
  readonly id: number;
  readonly keyBytes: number;
  readonly sealed: boolean;
  sealer(key: Uint8Array): RecordSealer;
  opener(key: Uint8Array): RecordOpener;
}

/** Messages up to this length are put together and hashed at once: a copy of that much costs less than an Hmac object. */
const SHORT_MESSAGE_BYTES = 4096;

class HmacProtector implements RecordSealer, RecordOpener {
  readonly #key: Uint8Array;
  #running: Hmac | undefined;
  /** A short message, as far as it has come. */
  #frame: Buffer | undefined;
  #filled = 0;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  seal(prefix: MacPrefix, payload: readonly Uint8Array[]): SealedRecord {
    let payloadBytes = 0;
    for (const part of payload) payloadBytes += part.length;
    this.start(prefix, payloadBytes);
    for (const part of payload) this.update(part);
    return { payload, tag: Buffer.from(this.#digest() ?? '', 'latin1') };
  }

  start({ whole }: MacPrefix, payloadBytes: number): void {
    const messageBytes = whole.length + payloadBytes;
    if (messageBytes > SHORT_MESSAGE_BYTES) {
      this.#running = createHmac('sha256', this.#key).update(whole);
    } else {
      this.#frame = hmacFrame(messageBytes);
      this.#frame.set(whole, MESSAGE_AT);
      this.#filled = MESSAGE_AT + whole.length;
    }
  }

  update<Piece extends Uint8Array>(piece: Piece): Piece {
    if (this.#frame === undefined) this.#running?.update(piece);
    else {
      this.#frame.set(piece, this.#filled);
      this.#filled += piece.length;
    }
    return piece;
  }

  finish(tag: Uint8Array): boolean {
    const digest = this.#digest();
    return digest !== undefined && tag.length === TAG_BYTES && isDigestAt(digest, TAG_BYTES, tag, 0);
  }

  /** Cut to its first half, as latin1; undefined where nothing was started. */
  #digest(): string | undefined {
    const frame = this.#frame;
    const running = this.#running;
    this.#frame = undefined;
    this.#running = undefined;
    const digest = frame === undefined ? running?.digest('binary') : hmacDigest(this.#key, frame);
    return digest?.slice(0, TAG_BYTES);
  }
}

/** GMAC is GCM over associated data alone (NIST SP 800-38D, section 3). */
class GmacProtector implements RecordSealer, RecordOpener {
  readonly #key: KeyObject;
  #running: CipherGCM | undefined;

  constructor(key: Uint8Array) {
    this.#key = createSecretKey(key);
  }

  seal(prefix: MacPrefix, payload: readonly Uint8Array[]): SealedRecord {
    const mac = gcm(this.#key, prefix.nonce).setAAD(prefix.associated);
    for (const part of payload) mac.setAAD(part);
    mac.final();
    return { payload, tag: mac.getAuthTag() };
  }

  start(prefix: MacPrefix): void {
    this.#running = gcm(this.#key, prefix.nonce).setAAD(prefix.associated);
  }

  update(piece: Buffer): Buffer {
    this.#running?.setAAD(piece);
    return piece;
  }

  finish(tag: Uint8Array): boolean {
    const mac = this.#running;
    this.#running = undefined;
    if (mac === undefined) return false;
    mac.final();
    return equalConstantTime(mac.getAuthTag(), tag);
  }
}

function gcm(key: KeyObject, nonce: Uint8Array): CipherGCM {
  return createCipheriv('aes-128-gcm', key, nonce);
}

type AeadName = 'aes-128-gcm' | 'chacha20-poly1305';

class AeadProtector implements RecordSealer, RecordOpener {
  readonly #algorithm: AeadName;
  readonly #key: KeyObject;
  #running: DecipherGCM | undefined;

  constructor(algorithm: AeadName, key: Uint8Array) {
    this.#algorithm = algorithm;
    this.#key = createSecretKey(key);
  }

  seal(prefix: MacPrefix, payload: readonly Uint8Array[]): SealedRecord {
    const cipher = createCipheriv(this.#algorithm as 'aes-128-gcm', this.#key, prefix.nonce, {
      authTagLength: TAG_BYTES,
    });
    cipher.setAAD(prefix.associated);
    const sealed = payload.map((part) => cipher.update(part));
    cipher.final();
    return { payload: sealed, tag: cipher.getAuthTag() };
  }

  start(prefix: MacPrefix): void {
    this.#running = createDecipheriv(this.#algorithm as 'aes-128-gcm', this.#key, prefix.nonce, {
      authTagLength: TAG_BYTES,
    });
    this.#running.setAAD(prefix.associated);
  }

  update(piece: Buffer): Buffer {
    return this.#running === undefined ? piece : this.#running.update(piece);
  }

  finish(tag: Uint8Array): boolean {
    const decipher = this.#running;
    this.#running = undefined;
    if (decipher === undefined) return false;
    try {
      decipher.setAuthTag(tag);
      decipher.final();
      return true;
    } catch {
      return false; // node's only way to say that the tag is wrong
    }
  }
}

function suite<P extends RecordSealer & RecordOpener>(
  name: SuiteName,
  id: number,
  keyBytes: number,
  sealed: boolean,
  make: (key: Uint8Array) => P,
): Suite {
  return { name, id, keyBytes, sealed, sealer: make, opener: make };
}

/** In our order of preference; docs/adr says why. */
export const SUITES: readonly Suite[] = [
  suite('hmac-sha256-128', 1, 32, false, (key) => new HmacProtector(key)),
  suite('aes-128-gmac', 2, 16, false, (key) => new GmacProtector(key)),
  suite('aes-128-gcm', 3, 16, true, (key) => new AeadProtector('aes-128-gcm', key)),
  suite('chacha20-poly1305', 4, 32, true, (key) => new AeadProtector('chacha20-poly1305', key)),
];

export function suiteById(id: number): Suite | undefined {
  return SUITES.find((s) => s.id === id);
}

export function suiteByName(name: string): Suite | undefined {
  return SUITES.find((s) => s.name === name);
}
