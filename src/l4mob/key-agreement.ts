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
  /** The shared secret, of fixed length for the group. A share that the group doesn't take is a {@link WireError}. */
  agree(peerShare: Uint8Array): Uint8Array;
}

export interface Group {
  readonly name: GroupName;
  /** On the wire. */
  readonly id: number;
  readonly shareBytes: number;
  generate(random: Random): KeyPair;
  /**
   * Whether an honest peer can have sent that share: it has the group's length, and is none with which anybody knows
   * the secret. To see that takes no key agreement, which may come much later.
   */
  takes(share: Uint8Array): boolean;
}

const X25519_BYTES = 32;
/**
 * The points of small order, with which every private key gives zero (RFC 7748, section 6.1): 0, 1, the two of order 8,
 * p - 1, and the first two again as p and p + 1. The highest bit of a share doesn't count (section 5).
 */
const SMALL_ORDER: readonly Buffer[] = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
].map((digits) => Buffer.from(digits, 'hex'));

function takesX25519(share: Uint8Array): boolean {
  if (share.length !== X25519_BYTES) return false;
  return !SMALL_ORDER.some((small) => isSamePoint(small, share));
}

function isSamePoint(small: Buffer, share: Uint8Array): boolean {
  const last = X25519_BYTES - 1;
  for (let i = 0; i < last; i++) if (small[i] !== share[i]) return false;
  return small[last] === ((share[last] as number) & 0x7f);
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
        // OpenSSL refuses what gives zero.
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

type ModpName = 'modp14' | 'modp15';

function modpGroup(name: GroupName, id: number, shareBytes: number, modpName: ModpName): Group {
  return {
    name,
    id,
    shareBytes,
    generate: (random) => generateModp(modpName, shareBytes, random),
    takes: (share) => takesModp(modpName, shareBytes, share),
  };
}

function generateModp(modpName: ModpName, shareBytes: number, random: Random): KeyPair {
  const named = modp().getDiffieHellman(modpName);
  const dh = modp().createDiffieHellman(named.getPrime(), named.getGenerator());
  const exponent = Buffer.from(random.bytes(MODP_EXPONENT_BYTES));
  exponent[0] = (exponent[0] as number) | 0x80;
  dh.setPrivateKey(exponent);
  return {
    share: leftPad(dh.generateKeys(), shareBytes),
    agree(peerShare) {
      if (!takesModp(modpName, shareBytes, peerShare)) throw new WireError('key share: outside 2..p-2');
      return leftPad(dh.computeSecret(peerShare), shareBytes);
    },
  };
}

/** RFC 2631, section 2.1.5: 2 <= y <= p - 2. The primes are safe, so that leaves no small subgroup but order q. */
function takesModp(modpName: ModpName, shareBytes: number, share: Uint8Array): boolean {
  if (share.length !== shareBytes) return false;
  const y = BigInt(`0x${Buffer.from(share).toString('hex')}`);
  const p = BigInt(`0x${modp().getDiffieHellman(modpName).getPrime('hex')}`);
  return y >= 2n && y <= p - 2n;
}

function leftPad(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes, length - bytes.length);
  return out;
}

/** In our order of preference. */
export const GROUPS: readonly Group[] = [
  { name: 'x25519', id: 1, shareBytes: X25519_BYTES, generate: generateX25519, takes: takesX25519 },
  modpGroup('modp3072', 3, 384, 'modp15'),
  modpGroup('modp2048', 2, 256, 'modp14'),
];

export function groupById(id: number): Group | undefined {
  return GROUPS.find((g) => g.id === id);
}

export function groupByName(name: string): Group | undefined {
  return GROUPS.find((g) => g.name === name);
}
