/** L4_INIT, L4_OFFER, L4_UPDATE and the hellos: what goes in comes out, and what is malformed is refused. */
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import {
  decodeOpen,
  decodeRefuse,
  decodeResume,
  encodeOpen,
  encodeRefuse,
  encodeResume,
  helloLength,
  OPEN_IDENTITY,
  type RefuseCode,
} from '../../../src/l4mob/wire/hello.ts';
import { decodeInit, encodeInit, type Init } from '../../../src/l4mob/wire/init.ts';
import { decodeOffer, encodeOffer, type Offer, type OfferRefusal } from '../../../src/l4mob/wire/offer.ts';
import { MAX_SIGNAL_BYTES, SIGNAL_TYPE, signalLength, signalTypeOf } from '../../../src/l4mob/wire/signal-header.ts';
import {
  decodeUpdate,
  decodeWhereabouts,
  encodeUpdate,
  encodeWhereabouts,
  type Update,
} from '../../../src/l4mob/wire/update.ts';
import { expectHardy, plain, withByte } from './hardship.ts';
import { ACCEPTED, fixedMac, INIT, OPEN, RESUME, run, UPDATE } from './samples.ts';

describe('the signalling header', () => {
  const bytes = encodeInit(INIT);

  it('tells the type of our messages and leaves others alone', () => {
    expect(signalTypeOf(bytes)).toBe(SIGNAL_TYPE.init);
    for (let at = 0; at < 5; at++) expect(signalTypeOf(withByte(bytes, at, 0x7f))).toBeUndefined();
    expect(signalTypeOf(withByte(bytes, 5, 9))).toBeUndefined();
    expect(signalTypeOf(bytes.subarray(0, 7))).toBeUndefined();
    expect(signalTypeOf(Buffer.from('GET / HTTP/1.1\r\n'))).toBeUndefined();
  });

  it('tells the length once it is there, and refuses what would not fit a packet', () => {
    expect(signalLength(bytes.subarray(0, 7))).toBeUndefined();
    expect(signalLength(bytes)).toBe(bytes.length);
    expect(() => signalLength(withByte(bytes, 6, 0xff))).toThrow(WireError);
  });
});

describe('L4_INIT', () => {
  it('comes back as it went out', () => {
    expect(plain(decodeInit(encodeInit(INIT)))).toEqual(plain(INIT));
    const bare: Init = { ...INIT, cookie: new Uint8Array(0), groupIds: [1], suiteIds: [1], portCandidates: [1024] };
    expect(plain(decodeInit(encodeInit(bare)))).toEqual(plain(bare));
  });

  it('is padded so that the answer has room, and never longer than a packet', () => {
    expect(encodeInit(INIT).length).toBe(352);
    const large: Init = { ...INIT, shareGroupId: 3, share: run(0, 384), cookie: run(0, 64) };
    expect(encodeInit(large).length).toBeLessThanOrEqual(MAX_SIGNAL_BYTES);
  });

  it('stands truncation, damage and noise', () => {
    expectHardy(decodeInit, encodeInit(INIT));
  });

  it.each([
    ['a transport that is neither TCP nor UDP', 48, 7],
    ['padding that is not zero', 351, 1],
    ['no group at all', 51, 0],
    ['too many groups', 51, 17],
    ['a group twice', 53, 3],
  ])('is refused with %s', (_, at, value) => {
    expect(() => decodeInit(withByte(encodeInit(INIT), at, value))).toThrow(WireError);
  });

  it.each<[string, Partial<Init>]>([
    ['port 0 for the responder', { responderPort: 0 }],
    ['port 0 among the candidates', { portCandidates: [1025, 0] }],
    ['no candidates', { portCandidates: [] }],
    ['nine candidates', { portCandidates: [1, 2, 3, 4, 5, 6, 7, 8, 9] }],
    ['a share of a group that is not offered', { shareGroupId: 9 }],
    ['a cookie of 65 bytes', { cookie: run(0, 65) }],
  ])('is refused with %s', (_, change) => {
    expect(() => decodeInit(encodeInit({ ...INIT, ...change }))).toThrow(WireError);
  });
});

describe('L4_OFFER', () => {
  const refusals: OfferRefusal[] = ['policy', 'limit', 'no-suite', 'no-group'];
  const attempt = run(0x10, 8);
  const offers: Offer[] = [
    ACCEPTED,
    { ...ACCEPTED, addresses: [] },
    { status: 'cookie', attempt, cookie: run(0, 16) },
    { status: 'group', attempt, groupId: 3 },
    { status: 'ports', attempt, ports: [2000, 3000] },
    ...refusals.map((reason): Offer => ({ status: 'refused', attempt, reason })),
  ];

  it.each(offers.map((offer) => [offer.status, offer] as const))('comes back as it went out: %s', (_, offer) => {
    const bytes = encodeOffer(offer);
    expect(plain(decodeOffer(bytes))).toEqual(plain(offer));
    expectHardy(decodeOffer, bytes);
  });

  it('with eight addresses and the largest share fits into a padded L4_INIT', () => {
    const addresses = Array.from({ length: 8 }, (_, i) => `2001:db8::${i + 1}`);
    for (const [group, length] of [
      [1, 32],
      [2, 256],
      [3, 384],
    ] as const) {
      const offer = encodeOffer({ ...ACCEPTED, groupId: group, share: run(0, length), addresses });
      const init = encodeInit({ ...INIT, shareGroupId: group, share: run(0, length), cookie: new Uint8Array(0) });
      expect(offer.length).toBeLessThanOrEqual(init.length);
    }
  });

  it.each<[string, Partial<typeof ACCEPTED>]>([
    ['session port 0', { sessionPort: 0 }],
    ['initiator port 0', { portPair: { initiator: 0, responder: 1 } }],
    ['nine addresses', { addresses: Array.from({ length: 9 }, () => '192.0.2.1') }],
  ])('is refused with %s', (_, change) => {
    expect(() => decodeOffer(encodeOffer({ ...ACCEPTED, ...change }))).toThrow(WireError);
  });

  it('is refused with an empty cookie, an unknown reason or an unknown status', () => {
    expect(() => decodeOffer(encodeOffer({ status: 'cookie', attempt, cookie: run(0, 0) }))).toThrow(WireError);
    const refused = encodeOffer({ status: 'refused', attempt, reason: 'policy' });
    expect(() => decodeOffer(withByte(refused, 17, 4))).toThrow(WireError);
    expect(() => decodeOffer(withByte(refused, 16, 5))).toThrow(WireError);
  });
});

describe('L4_UPDATE', () => {
  it.each<[string, Partial<Update>]>([
    ['an answer', {}],
    ['a question', { answersPacketNumber: undefined }],
    ['one from a responder without addresses', { fromResponder: true, answerWanted: false, addresses: [] }],
  ])('comes back as it went out: %s', (_, change) => {
    const update = { ...UPDATE, ...change };
    const bytes = encodeUpdate(update, fixedMac);
    expect(plain(decodeUpdate(bytes).update)).toEqual(plain(update));
    expectHardy(decodeUpdate, bytes);
  });

  it('hands to the MAC all of the message before it', () => {
    let seen: Uint8Array | undefined;
    const bytes = encodeUpdate(UPDATE, (covered) => {
      seen = covered.slice();
      return fixedMac();
    });
    expect(seen).toEqual(bytes.slice(0, -16));
    expect(decodeUpdate(bytes).covered).toEqual(seen);
  });

  it('is refused with unknown flags, or with an answered number without being an answer', () => {
    const bytes = encodeUpdate(UPDATE, fixedMac);
    expect(() => decodeUpdate(withByte(bytes, 16, 8))).toThrow(WireError);
    expect(() => decodeUpdate(withByte(bytes, 16, 2))).toThrow(WireError);
  });

  it('has a body that stands alone as an ADDRESSES record', () => {
    const { stateSequence, sessionPort, addresses } = UPDATE;
    const bytes = encodeWhereabouts({ stateSequence, sessionPort, addresses });
    expect(decodeWhereabouts(bytes)).toEqual({ stateSequence, sessionPort, addresses });
    expectHardy(decodeWhereabouts, bytes);
    expect(() => decodeWhereabouts(withByte(bytes, 7, 5))).toThrow(WireError);
  });
});

describe('hellos', () => {
  it('OPEN comes back as it went out', () => {
    const bytes = encodeOpen(OPEN, fixedMac);
    const { message, covered, mac } = decodeOpen(bytes);
    expect(plain(message)).toEqual(plain(OPEN));
    expect([covered.length, mac.length]).toEqual([52, 16]);
    expect(helloLength(bytes)).toBe(68);
    expectHardy(decodeOpen, bytes);
    expect(() => decodeOpen(withByte(bytes, 43, 1))).toThrow(WireError);
  });

  it('the identity of an OPEN is all that stays the same when it is repeated', () => {
    const first = encodeOpen(OPEN, fixedMac);
    const second = encodeOpen({ ...OPEN, stateSequence: 9, window: 1 }, fixedMac);
    const { start, end } = OPEN_IDENTITY;
    expect(second.slice(start, end)).toEqual(first.slice(start, end));
    expect(second.slice(end, 52)).not.toEqual(first.slice(end, 52));
  });

  it('RESUME comes back as it went out', () => {
    const bytes = encodeResume(RESUME, fixedMac);
    expect(plain(decodeResume(bytes).message)).toEqual(plain(RESUME));
    expect(helloLength(bytes)).toBe(48);
    expectHardy(decodeResume, bytes);
  });

  it.each<RefuseCode>(['unknown', 'listener-gone', 'port-pair', 'stale', 'limit', 'policy'])(
    'REFUSE %s too',
    (code) => {
      const refuse = { code, ports: code === 'port-pair' ? [1024, 2048] : [] };
      const bytes = encodeRefuse(refuse, fixedMac);
      expect(decodeRefuse(bytes).message).toEqual(refuse);
      expect(helloLength(bytes)).toBe(bytes.length);
      expectHardy(decodeRefuse, bytes);
    },
  );

  it('REFUSE is refused with nine ports, port 0 or an unknown code', () => {
    const nine = { code: 'port-pair', ports: [1, 2, 3, 4, 5, 6, 7, 8, 9] } as const;
    expect(() => decodeRefuse(encodeRefuse(nine, fixedMac))).toThrow(WireError);
    expect(() => decodeRefuse(encodeRefuse({ code: 'port-pair', ports: [0] }, fixedMac))).toThrow(WireError);
    expect(() => decodeRefuse(withByte(encodeRefuse({ code: 'limit', ports: [] }, fixedMac), 4, 6))).toThrow(WireError);
  });

  it('their length is known from four bytes, and what is none is refused at once', () => {
    expect(helloLength(Uint8Array.of(1, 0, 0))).toBeUndefined();
    expect(helloLength(Uint8Array.of(1, 0, 0, 64))).toBe(68);
    expect(() => helloLength(Uint8Array.of(1, 0, 0, 65))).toThrow(WireError);
    expect(() => helloLength(Uint8Array.of(3, 0, 0, 64))).toThrow(WireError);
    expect(() => helloLength(Uint8Array.of(5, 0, 1, 0))).toThrow(WireError);
    expect(() => helloLength(Buffer.from('GET / HTTP/1.1\r\n'))).toThrow(WireError);
  });
});
