/** The place where one side leaves word: both find it, nobody else does, and nobody else can write or read there. */
import { describe, expect, it } from 'vitest';
import { deriveRendezvousKeys } from '../../../src/l4mob/key-schedule.ts';
import {
  EPOCH_MS,
  EPOCH_TOLERANCE_MS,
  epochAt,
  isGenuineEntry,
  peerEpochsAt,
  Slot,
  tagOf,
} from '../../../src/l4mob/rendezvous/slot.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { run } from '../wire/samples.ts';
import { KEYS, whereabouts } from './pair.ts';

const random = new SeededRandom(5);
const EIGHT = Array.from({ length: 8 }, (_, i) => `2001:db8::${i + 1}`);
const WORD = { version: 7, whereabouts: whereabouts(3, '192.0.2.9', '2001:db8::9') };

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const out = bytes.slice();
  out[bit >> 3] = (out[bit >> 3] as number) ^ (1 << (bit & 7));
  return out;
}

describe('a slot', () => {
  it('is the same for both sides, and another one for each direction, epoch and pair', () => {
    const hex = (slot: Slot): string => Buffer.from(slot.tag).toString('hex');
    expect(hex(new Slot(KEYS, 'initiator', 4))).toBe(hex(new Slot(KEYS, 'initiator', 4)));
    const others = [
      new Slot(KEYS, 'initiator', 4),
      new Slot(KEYS, 'responder', 4),
      new Slot(KEYS, 'initiator', 5),
      new Slot(deriveRendezvousKeys(run(0x12, 32)), 'initiator', 4),
    ];
    expect(new Set(others.map(hex)).size).toBe(4);
  });

  it('gives back what was left there, from no address to eight of the longest', () => {
    const slot = new Slot(KEYS, 'responder', 0);
    for (const addresses of [[], ['192.0.2.9'], EIGHT]) {
      const word = { version: 2 ** 40, whereabouts: whereabouts(2 ** 31, ...addresses) };
      const entry = slot.entry(random, word, 120);
      expect(entry.sealed.length).toBe(192);
      expect(new Slot(KEYS, 'responder', 0).open(entry.sealed)).toEqual(word);
    }
  });

  it('opens nothing that was sealed for another direction or epoch, and nothing with a bit changed', () => {
    const slot = new Slot(KEYS, 'initiator', 1);
    const { sealed } = slot.entry(random, WORD, 120);
    expect(new Slot(KEYS, 'responder', 1).open(sealed)).toBeUndefined();
    expect(new Slot(KEYS, 'initiator', 2).open(sealed)).toBeUndefined();
    for (let bit = 0; bit < sealed.length * 8; bit += 7) expect(slot.open(flipped(sealed, bit))).toBeUndefined();
    expect(slot.open(random.bytes(192))).toBeUndefined();
  });

  it('takes entries only with its own signature over everything in them', () => {
    const entry = new Slot(KEYS, 'initiator', 1).entry(random, WORD, 120);
    expect(isGenuineEntry(entry)).toBe(true);
    expect(isGenuineEntry({ ...entry, version: entry.version + 1 })).toBe(false);
    expect(isGenuineEntry({ ...entry, ttlSeconds: 119 })).toBe(false);
    expect(isGenuineEntry({ ...entry, sealed: flipped(entry.sealed, 900) })).toBe(false);
    expect(isGenuineEntry({ ...entry, signature: flipped(entry.signature, 3) })).toBe(false);
    const other = new Slot(KEYS, 'responder', 1).entry(random, WORD, 120);
    expect(isGenuineEntry({ ...entry, publicKey: other.publicKey })).toBe(false);
    expect(tagOf(entry.publicKey)).not.toEqual(tagOf(other.publicKey));
  });

  it('has an answer to any public key and signature, and it is no', () => {
    const entry = new Slot(KEYS, 'initiator', 1).entry(random, WORD, 120);
    for (let i = 0; i < 500; i++) {
      expect(isGenuineEntry({ ...entry, publicKey: random.bytes(32), signature: random.bytes(64) })).toBe(false);
    }
    // All ones is no encoding of a point at all.
    expect(isGenuineEntry({ ...entry, publicKey: new Uint8Array(32).fill(0xff) })).toBe(false);
  });
});

describe('epochs', () => {
  it('count from when the two met', () => {
    expect([epochAt(-5), epochAt(0), epochAt(EPOCH_MS - 1), epochAt(EPOCH_MS)]).toEqual([0, 0, 0, 1]);
  });

  it('overlap, so that clocks may differ a little', () => {
    expect(peerEpochsAt(0)).toEqual([0]);
    expect(peerEpochsAt(EPOCH_MS / 2)).toEqual([0]);
    expect(peerEpochsAt(EPOCH_MS - EPOCH_TOLERANCE_MS)).toEqual([0, 1]);
    expect(peerEpochsAt(EPOCH_MS + EPOCH_TOLERANCE_MS - 1)).toEqual([0, 1]);
    expect(peerEpochsAt(EPOCH_MS + EPOCH_TOLERANCE_MS)).toEqual([1]);
    for (let at = 0; at < 3 * EPOCH_MS; at += 9_973) {
      for (const skew of [-EPOCH_TOLERANCE_MS, EPOCH_TOLERANCE_MS]) {
        expect(peerEpochsAt(at)).toContain(epochAt(Math.max(0, at + skew)));
      }
    }
  });
});
