/**
 * Slot: the place at a rendezvous where one side of an association leaves word in one epoch. Both sides can compute it
 * and nobody else can: the tag under which it is found is the hash of a public key, so that only who has the private
 * key can put anything there, and the service has to know nothing to see that. What is put there is sealed.
 * docs/protocol.md, "Rendezvous".
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { ByteReader, ByteWriter, concatBytes } from '../../core/bytes.ts';
import { WireError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { deriveRendezvousEpochKeys, type RendezvousKeys } from '../key-schedule.ts';
import type { SessionRole } from '../session-event.ts';
import {
  entryToSign,
  RENDEZVOUS_SEALED_BYTES,
  RENDEZVOUS_TAG_BYTES,
  type RendezvousEntry,
} from '../wire/rendezvous.ts';
import { decodeWhereabouts, encodeWhereabouts, type Whereabouts } from '../wire/update.ts';

/**
 * How long the tags of a pair stay the same. Shorter shows an observer less; the clocks of the two may differ by
 * `EPOCH_TOLERANCE_MS` since they met, and where that matters two epochs have to be asked for.
 */
export const EPOCH_MS = 600_000;
export const EPOCH_TOLERANCE_MS = 60_000;

const NONCE_BYTES = 24;
const SEAL_BYTES = 16;
const PLAIN_BYTES: number = RENDEZVOUS_SEALED_BYTES - NONCE_BYTES - SEAL_BYTES;
/** RFC 8410: what stands before 32 bytes of a private and of a public key in DER. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const TAG_LABEL = new TextEncoder().encode('mobisock 1 rendezvous tag');
const ENTRY_LABEL = new TextEncoder().encode('mobisock 1 rendezvous entry');

/** What is sealed in an entry. */
export interface Word {
  readonly version: number;
  readonly whereabouts: Whereabouts;
}

export class Slot {
  readonly epoch: number;
  readonly publicKey: Uint8Array;
  readonly tag: Uint8Array;
  readonly #privateKey: KeyObject;
  readonly #sealingKey: Uint8Array;
  readonly #associated: Uint8Array;

  /** `leaver`: whose word is left there. */
  constructor(keys: RendezvousKeys, leaver: SessionRole, epoch: number) {
    const directionKey = leaver === 'initiator' ? keys.fromInitiator : keys.fromResponder;
    const { signing, sealing } = deriveRendezvousEpochKeys(directionKey, epoch);
    this.epoch = epoch;
    this.#privateKey = createPrivateKey({
      key: Buffer.concat([PRIVATE_PREFIX, signing]),
      format: 'der',
      type: 'pkcs8',
    });
    const spki = createPublicKey(this.#privateKey).export({ format: 'der', type: 'spki' });
    this.publicKey = spki.subarray(PUBLIC_PREFIX.length);
    this.tag = tagOf(this.publicKey);
    this.#sealingKey = sealing;
    this.#associated = concatBytes(this.tag, Uint8Array.of(leaver === 'initiator' ? 0 : 1));
  }

  /** @throws RangeError for more addresses than L4_UPDATE carries. */
  entry(random: Random, word: Word, ttlSeconds: number): RendezvousEntry {
    const sealed = this.#seal(random.bytes(NONCE_BYTES), word);
    const unsigned = { publicKey: this.publicKey, version: word.version, ttlSeconds, sealed };
    return { ...unsigned, signature: sign(null, signedBytes(unsigned), this.#privateKey) };
  }

  /** What the peer left; undefined where it is not the peer's. */
  open(sealed: Uint8Array): Word | undefined {
    const plain = this.#unseal(sealed);
    if (plain === undefined) return undefined;
    const reader = new ByteReader(plain);
    try {
      const version = reader.u64('word version');
      const length = reader.u8('word length');
      return { version, whereabouts: decodeWhereabouts(reader.bytes(length, 'word whereabouts')) };
    } catch (error) {
      if (error instanceof WireError) return undefined;
      throw error;
    }
  }

  #unseal(sealed: Uint8Array): Uint8Array | undefined {
    const cipher = xchacha20poly1305(this.#sealingKey, sealed.subarray(0, NONCE_BYTES), this.#associated);
    try {
      return cipher.decrypt(sealed.subarray(NONCE_BYTES));
    } catch {
      return undefined; // the one thing that can be wrong with bytes of this length: somebody else's
    }
  }

  #seal(nonce: Uint8Array, { version, whereabouts }: Word): Uint8Array {
    const encoded = encodeWhereabouts(whereabouts);
    const plain = new ByteWriter(PLAIN_BYTES).u64(version).u8(encoded.length).bytes(encoded);
    plain.zeros(PLAIN_BYTES - plain.length);
    const cipher = xchacha20poly1305(this.#sealingKey, nonce, this.#associated);
    return concatBytes(nonce, cipher.encrypt(plain.finish()));
  }
}

/** Whether an entry was made by who holds the private key of its slot. */
export function isGenuineEntry(entry: RendezvousEntry): boolean {
  const spki = Buffer.concat([PUBLIC_PREFIX, entry.publicKey]);
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  return verify(null, signedBytes(entry), key, entry.signature);
}

export function tagOf(publicKey: Uint8Array): Uint8Array {
  return sha256(concatBytes(TAG_LABEL, publicKey)).subarray(0, RENDEZVOUS_TAG_BYTES);
}

/** Ours; epochs count from the moment that the two met, which needs no clocks that agree. */
export function epochAt(sinceMetMs: number): number {
  return Math.max(0, Math.floor(sinceMetMs / EPOCH_MS));
}

/** Those that the peer may be in. */
export function peerEpochsAt(sinceMetMs: number): number[] {
  return [...new Set([epochAt(sinceMetMs - EPOCH_TOLERANCE_MS), epochAt(sinceMetMs + EPOCH_TOLERANCE_MS)])];
}

function signedBytes(entry: Omit<RendezvousEntry, 'signature'>): Uint8Array {
  return concatBytes(ENTRY_LABEL, entryToSign(entry));
}
