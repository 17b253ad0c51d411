/** One message of each kind, with every field different, for tests and vectors. */
import type { Open, Resume } from '../../../src/l4mob/wire/hello.ts';
import type { Init } from '../../../src/l4mob/wire/init.ts';
import type { AcceptedOffer } from '../../../src/l4mob/wire/offer.ts';
import type { RendezvousAnswer, RendezvousAsk } from '../../../src/l4mob/wire/rendezvous.ts';
import type { Update } from '../../../src/l4mob/wire/update.ts';

/** `length` bytes: `from`, `from` + 1 and so on. */
export function run(from: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (from + i) & 0xff);
}

/** A stand-in for a MAC function whose key doesn't matter. */
export function fixedMac(): Uint8Array {
  return run(0xe0, 16);
}

export const INIT: Init = {
  attempt: run(0x10, 8),
  nonce: run(0x20, 32),
  transport: 6,
  responderPort: 443,
  groupIds: [1, 3, 2],
  suiteIds: [2, 1, 3, 4],
  portCandidates: [1025, 40_000, 65_535],
  shareGroupId: 1,
  share: run(0x40, 32),
  cookie: run(0x70, 16),
};

export const ACCEPTED: AcceptedOffer = {
  status: 'accepted',
  attempt: run(0x10, 8),
  nonce: run(0x80, 32),
  groupId: 1,
  share: run(0xa0, 32),
  suiteId: 2,
  portPair: { initiator: 40_000, responder: 443 },
  sessionPort: 50_443,
  associationId: run(0xc0, 8),
  lifetimeSeconds: 3600,
  addresses: ['198.51.100.7', '2001:db8::7'],
};

export const UPDATE: Update = {
  associationId: run(0xc0, 8),
  fromResponder: false,
  answerWanted: true,
  packetNumber: 2 ** 40 + 5,
  answersPacketNumber: 3,
  stateSequence: 7,
  sessionPort: 50_444,
  addresses: ['192.0.2.9', '2001:db8:1::9'],
};

export const OPEN: Open = {
  associationId: run(0xc0, 8),
  openNumber: 2 ** 33 + 1,
  nonce: run(0x30, 16),
  portPair: { initiator: 40_000, responder: 443 },
  suiteId: 2,
  stateSequence: 1,
  window: 524_288,
};

export const RESUME: Resume = {
  associationId: run(0xc0, 8),
  portPair: { initiator: 40_000, responder: 443 },
  stateSequence: 2,
  receiveOffset: 2 ** 34 + 17,
  window: 4_194_304,
};

export const RENDEZVOUS_ASK: RendezvousAsk = {
  id: run(0x10, 8),
  wanted: [run(0x20, 16), run(0x30, 16)],
  afterVersion: 2 ** 33 + 2,
  cookie: run(0x70, 16),
  entry: {
    publicKey: run(0x40, 32),
    version: 2 ** 33 + 3,
    ttlSeconds: 120,
    sealed: run(0x01, 192),
    signature: run(0x80, 64),
  },
};

const ANSWERED = { id: run(0x10, 8), seen: { ip: '2001:db8::9', port: 50_001 } };

export const RENDEZVOUS_ANSWERS: readonly RendezvousAnswer[] = [
  { ...ANSWERED, kept: true, status: 'none' },
  {
    ...ANSWERED,
    kept: true,
    status: 'found',
    tagIndex: 1,
    from: { ip: '2001:db8:1::9', port: 50_002 },
    sealed: run(0x01, 192),
  },
  { ...ANSWERED, seen: { ip: '192.0.2.9', port: 50_001 }, kept: false, status: 'cookie', cookie: run(0x70, 16) },
];
