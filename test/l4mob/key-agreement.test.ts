/** Key agreement and key schedule against published vectors, node's own Diffie-Hellman, and hostile shares. */
import { createDiffieHellman, getDiffieHellman } from 'node:crypto';
import { expand, extract } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { describe, expect, it } from 'vitest';
import { WireError } from '../../src/core/errors.ts';
import { GROUPS, type Group, groupById, groupByName } from '../../src/l4mob/key-agreement.ts';
import {
  deriveAssociationKeys,
  deriveAssociationSecret,
  deriveSessionKeys,
  messageMac,
  transcriptHash,
} from '../../src/l4mob/key-schedule.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function group(name: string): Group {
  const found = groupByName(name);
  if (found === undefined) throw new Error(name);
  return found;
}

describe.each(GROUPS.map((g) => [g.name, g] as const))('%s', (_, g) => {
  it('both sides agree, on a secret of fixed length', () => {
    const random = new SeededRandom(1);
    const a = g.generate(random);
    const b = g.generate(random);
    expect(a.share).toHaveLength(g.shareBytes);
    expect(a.agree(b.share)).toEqual(b.agree(a.share));
    expect(a.agree(b.share)).toHaveLength(g.shareBytes);
    expect(a.share).not.toEqual(b.share);
    expect([g.takes(a.share), g.takes(b.share)]).toEqual([true, true]);
  });

  it('is found by id and by name', () => {
    expect([groupById(g.id), groupByName(g.name)]).toEqual([g, g]);
  });
});

describe('X25519', () => {
  it('RFC 7748, section 5.2: the first vector, and the first iteration', () => {
    const x25519 = group('x25519');
    const first = x25519.generate({
      bytes: () => hex('a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4'),
    });
    expect(toHex(first.agree(hex('e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c')))).toBe(
      'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
    );
    const iteration = x25519.generate({ bytes: () => hex(`09${'00'.repeat(31)}`) });
    expect(toHex(iteration.share)).toBe('422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079');
  });

  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('the point of small order %s is refused, before and by the key agreement', (digits) => {
    const x25519 = group('x25519');
    const pair = x25519.generate(new SeededRandom(1));
    for (const highBit of [0, 0x80]) {
      const share = hex(digits);
      share[31] = (share[31] as number) | highBit;
      expect(x25519.takes(share)).toBe(false);
      expect(() => pair.agree(share)).toThrow(WireError);
    }
  });

  it('a share of the wrong length is refused', () => {
    const x25519 = group('x25519');
    const pair = x25519.generate(new SeededRandom(1));
    for (const length of [0, 31, 33]) {
      const share = new Uint8Array(length).fill(9);
      expect(x25519.takes(share)).toBe(false);
      expect(() => pair.agree(share)).toThrow(WireError);
    }
  });
});

describe.each([
  ['modp2048', 'modp14'],
  ['modp3072', 'modp15'],
] as const)('%s', (name, nodeName) => {
  const prime = getDiffieHellman(nodeName).getPrime();
  const pair = group(name).generate(new SeededRandom(4));

  it("agrees with node's own Diffie-Hellman", () => {
    const other = createDiffieHellman(prime, 2);
    other.generateKeys();
    const theirs = other.computeSecret(pair.share);
    const padded = Buffer.concat([Buffer.alloc(prime.length - theirs.length), theirs]);
    expect(toHex(pair.agree(other.getPublicKey()))).toBe(padded.toString('hex'));
  });

  it('refuses shares outside 2..p-2, as RFC 2631 wants', () => {
    const p = BigInt(`0x${prime.toString('hex')}`);
    const share = (y: bigint): Buffer => hex(y.toString(16).padStart(prime.length * 2, '0'));
    for (const y of [0n, 1n, p - 1n, p, p + 5n]) {
      expect(group(name).takes(share(y))).toBe(false);
      expect(() => pair.agree(share(y))).toThrow(WireError);
    }
    for (const y of [2n, p - 2n]) expect(group(name).takes(share(y))).toBe(true);
    expect(group(name).takes(share(2n).subarray(1))).toBe(false);
    expect(pair.agree(share(2n))).toEqual(pair.share);
  });
});

describe('the key schedule', () => {
  it('is built on HKDF-SHA256: RFC 5869, test case 1', () => {
    const key = extract(sha256, hex('0b'.repeat(22)), hex('000102030405060708090a0b0c'));
    expect(toHex(key)).toBe('077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5');
    expect(toHex(expand(sha256, key, hex('f0f1f2f3f4f5f6f7f8f9'), 42))).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
  });

  it('gives a different key for every use, direction and suite', () => {
    const secret = new Uint8Array(32).fill(1);
    const associationSecret = deriveAssociationSecret(secret, transcriptHash(Uint8Array.of(1), Uint8Array.of(2)));
    const keys = [
      associationSecret,
      ...Object.values(deriveAssociationKeys(associationSecret)),
      ...SUITES.flatMap((s) => {
        const { recordFromInitiator, recordFromResponder } = deriveSessionKeys(secret, Uint8Array.of(1), s);
        return [recordFromInitiator, recordFromResponder];
      }),
      deriveSessionKeys(secret, Uint8Array.of(1), SUITES[0] as (typeof SUITES)[0]).resume,
    ].map(toHex);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('depends on every byte of both handshake messages, and on where one ends and the other begins', () => {
    const hashes = [
      transcriptHash(Uint8Array.of(1, 2), Uint8Array.of(3)),
      transcriptHash(Uint8Array.of(1), Uint8Array.of(2, 3)),
      transcriptHash(Uint8Array.of(1, 2), Uint8Array.of(4)),
      transcriptHash(Uint8Array.of(0, 2), Uint8Array.of(3)),
    ].map(toHex);
    expect(new Set(hashes).size).toBe(4);
  });

  it('cuts message MACs to 128 bits, over parts as over the whole', () => {
    const key = new Uint8Array(32).fill(3);
    expect(messageMac(key, Buffer.from('ab'), Buffer.from('c'))).toEqual(messageMac(key, Buffer.from('abc')));
    expect(toHex(messageMac(Buffer.from('Jefe'), Buffer.from('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c7',
    );
  });
});
