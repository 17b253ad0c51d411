/**
 * Key agreement groups: X25519 (RFC 7748) and the MODP groups of the paper, with Diffie-Hellman as in RFC 2631 over
 * the primes of RFC 3526. A key pair serves one handshake.
 */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { createRequire } from 'node:module';
import { concatBytes } from '../core/bytes.ts';
import { WireError } from '../core/errors.ts';
import type { Random } from '../core/random.ts';

export type GroupName = 'x25519' | 'modp2048' | 'modp3072';

export interface KeyPair {
  /** What goes into L4_INIT or L4_OFFER. */
  readonly share: Uint8Array;
  /** The shared secret, of fixed length for the group. A share that no honest peer sends is a {@link WireError}. */
  agree(peerShare: Uint8Array): Uint8Array;
}

export interface Group {
  readonly name: GroupName;
  /** On the wire. */
  readonly id: number;
  readonly shareBytes: number;
  generate(random: Random): KeyPair;
}

/** The wrapping of RFC 8410. */
const X25519_PRIVATE_PREFIX = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20);
const ANY_PUBLIC_KEY = 'A'.repeat(43);

/**
 * DER works everywhere, but OpenSSL 3.0 (node 20) takes 0.5 ms to decode it; JWK takes a tenth, and up to node 24 it
 * is content with any public half, which we don't have yet. Which one it is shows at the first key.
 */
let importX25519 = (privateBytes: Uint8Array): KeyObject => {
  importX25519 = importX25519Jwk;
  try {
    return importX25519Jwk(privateBytes);
  } catch {
    importX25519 = importX25519Der;
    return importX25519Der(privateBytes);
  }
};

function importX25519Jwk(privateBytes: Uint8Array): KeyObject {
  const d = Buffer.from(privateBytes).toString('base64url');
  return createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', d, x: ANY_PUBLIC_KEY }, format: 'jwk' });
}

function importX25519Der(privateBytes: Uint8Array): KeyObject {
  const key = Buffer.from(concatBytes(X25519_PRIVATE_PREFIX, privateBytes));
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

function x25519PublicKey(share: Uint8Array): KeyObject {
  const x = Buffer.from(share).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
}

function generateX25519(random: Random): KeyPair {
  const privateKey = importX25519(random.bytes(32));
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    share: new Uint8Array(Buffer.from(x, 'base64url')),
    agree(peerShare) {
      try {
        return new Uint8Array(diffieHellman({ privateKey, publicKey: x25519PublicKey(peerShare) }));
      } catch {
        // A point of small order gives zero, and OpenSSL refuses it (RFC 7748, section 6.1).
        throw new WireError('key share: not a usable X25519 point');
      }
    },
  };
}

type DiffieHellmanPackage = typeof import('node:crypto');
let diffieHellmanPackage: DiffieHellmanPackage | undefined;

/** Loaded on first use: most peers agree on X25519, and start-up is counted in milliseconds. */
function modp(): DiffieHellmanPackage {
  diffieHellmanPackage ??= createRequire(import.meta.url)('diffie-hellman') as DiffieHellmanPackage;
  return diffieHellmanPackage;
}

/** Private exponents of this length are as strong as the 3072-bit group (RFC 3526, section 8). */
const MODP_EXPONENT_BYTES = 48;

function generateModp(modpName: 'modp14' | 'modp15', shareBytes: number, random: Random): KeyPair {
  const named = modp().getDiffieHellman(modpName);
  const dh = modp().createDiffieHellman(named.getPrime(), named.getGenerator());
  const exponent = Buffer.from(random.bytes(MODP_EXPONENT_BYTES));
  exponent[0] = (exponent[0] as number) | 0x80;
  dh.setPrivateKey(exponent);
  const share = leftPad(dh.generateKeys(), shareBytes);
  const prime = named.getPrime();
  return {
    share,
    agree(peerShare) {
      if (!isInsideGroup(peerShare, prime)) throw new WireError('key share: outside 2..p-2');
      return leftPad(dh.computeSecret(peerShare), shareBytes);
    },
  };
}

/** RFC 2631, section 2.1.5: 2 <= y <= p - 2. The primes are safe, so that leaves no small subgroup but order q. */
function isInsideGroup(share: Uint8Array, prime: Uint8Array): boolean {
  const y = BigInt(`0x${Buffer.from(share).toString('hex')}`);
  const p = BigInt(`0x${Buffer.from(prime).toString('hex')}`);
  return y >= 2n && y <= p - 2n;
}

function leftPad(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes, length - bytes.length);
  return out;
}

/** In our order of preference. */
export const GROUPS: readonly Group[] = [
  { name: 'x25519', id: 1, shareBytes: 32, generate: generateX25519 },
  { name: 'modp3072', id: 3, shareBytes: 384, generate: (random) => generateModp('modp15', 384, random) },
  { name: 'modp2048', id: 2, shareBytes: 256, generate: (random) => generateModp('modp14', 256, random) },
];

export function groupById(id: number): Group | undefined {
  return GROUPS.find((g) => g.id === id);
}

export function groupByName(name: string): Group | undefined {
  return GROUPS.find((g) => g.name === name);
}
