/** Small parts: port pairs, OPEN numbers, cookies, liveness, dialing, associations. */
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { Association, isGenuineResume, refuseUnknown } from '../../src/l4mob/association.ts';
import { CookieJar } from '../../src/l4mob/cookie.ts';
import { DialLadder } from '../../src/l4mob/dial-ladder.ts';
import { Dialing } from '../../src/l4mob/dialing.ts';
import { messageMac } from '../../src/l4mob/key-schedule.ts';
import { ASSOCIATION_MAX_OPENS } from '../../src/l4mob/limits.ts';
import { KEEPALIVE_MS, Liveness } from '../../src/l4mob/liveness.ts';
import { PortPairTable, portPairKey, portPairText } from '../../src/l4mob/port-pairs.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { decodeOpen, decodeRefuse, decodeResume, encodeResume } from '../../src/l4mob/wire/hello.ts';
import { decodeUpdate } from '../../src/l4mob/wire/update.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

describe('port pairs', () => {
  const pair = { initiator: 65_535, responder: 80 };

  it('have one number and one name each', () => {
    expect([portPairKey(pair), portPairText(pair)]).toEqual([0xffff0050, '65535-80']);
  });

  it('are taken until freed, or until a reservation runs out', () => {
    const table = new PortPairTable();
    table.take(pair);
    expect(table.isFree(1e9, pair)).toBe(false);
    expect(table.isFree(0, { ...pair, responder: 81 })).toBe(true);
    table.free(pair);
    table.reserve(pair, 100);
    expect([table.isFree(99, pair), table.isFree(100, pair)]).toEqual([false, true]);
    table.expire(100);
    table.take(pair);
    expect(table.isFree(100, pair)).toBe(false);
  });

  it('candidates are distinct, unprivileged and free', () => {
    const table = new PortPairTable();
    const found = table.candidates(0, new SeededRandom(1), 80, 8);
    expect(new Set(found).size).toBe(8);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(1024);
  });

  it('the last free one is found, and none where there is none', () => {
    const table = new PortPairTable();
    for (let initiator = 1024; initiator < 65_536; initiator++)
      if (initiator !== 7_777) table.take({ initiator, responder: 80 });
    expect(table.candidates(0, new SeededRandom(1), 80, 8)).toEqual([7_777]);
    table.take({ initiator: 7_777, responder: 80 });
    expect(table.candidates(0, new SeededRandom(1), 80, 8)).toEqual([]);
    expect(table.candidates(0, new SeededRandom(1), 81, 8)).toHaveLength(8);
  });
});

describe('cookies', () => {
  const nonce = new Uint8Array(32).fill(1);

  it('are good for the source and nonce that they were baked for', () => {
    const jar = new CookieJar(new SeededRandom(1), 0);
    const cookie = jar.bake(0, '192.0.2.1:1', nonce);
    expect(jar.accepts(0, '192.0.2.1:1', nonce, cookie)).toBe(true);
    expect(jar.accepts(0, '192.0.2.1:2', nonce, cookie)).toBe(false);
    expect(jar.accepts(0, '192.0.2.1:1', new Uint8Array(32), cookie)).toBe(false);
    expect(jar.accepts(0, '192.0.2.1:1', nonce, new Uint8Array(0))).toBe(false);
  });

  it('are good for 15 s at least and 30 s at most, however long nobody asked', () => {
    for (const bakedAt of [0, 14_999, 100_000]) {
      const jar = new CookieJar(new SeededRandom(1), 0);
      const cookie = jar.bake(bakedAt, 'x', nonce);
      expect(jar.accepts(bakedAt + 15_000, 'x', nonce, cookie)).toBe(true);
      expect(jar.accepts(bakedAt + 30_000, 'x', nonce, cookie)).toBe(false);
    }
    const jar = new CookieJar(new SeededRandom(1), 0);
    const cookie = jar.bake(0, 'x', nonce);
    expect(jar.accepts(1e7, 'x', nonce, cookie)).toBe(false);
    const later = jar.bake(1e7, 'x', nonce);
    expect(jar.accepts(1e7 + 14_000, 'x', nonce, later)).toBe(true);
  });
});

describe('liveness', () => {
  it('asks soon after activity and seldom on an idle path', () => {
    const liveness = new Liveness(0, 10);
    expect([liveness.deadline(), liveness.verdict(KEEPALIVE_MS - 1), liveness.verdict(KEEPALIVE_MS)]).toEqual([
      KEEPALIVE_MS,
      undefined,
      'ask',
    ]);
    liveness.heard(1_000, true, false);
    expect([liveness.verdict(1_499), liveness.verdict(1_500)]).toEqual([undefined, 'ask']);
  });

  it('is dead when what was sent or asked stays unanswered', () => {
    const liveness = new Liveness(0, 10);
    liveness.sent(100);
    liveness.sent(900);
    expect([liveness.verdict(1_099), liveness.verdict(1_100)]).toEqual(['suspect', 'dead']);
    const asked = new Liveness(0, 10);
    asked.asked(2_000);
    expect([asked.verdict(2_999), asked.verdict(3_000)]).toEqual(['suspect', 'dead']);
  });

  it('is suspicious of half that silence, once', () => {
    const liveness = new Liveness(0, 10);
    liveness.sent(100);
    expect([liveness.verdict(599), liveness.verdict(600)]).toEqual([undefined, 'suspect']);
    liveness.suspected();
    expect([liveness.verdict(600), liveness.deadline()]).toEqual([undefined, 1_100]);
    liveness.heard(700, false, false);
    liveness.sent(1_000);
    expect(liveness.verdict(1_600)).toBe('suspect');
  });

  it('waits four round trips on slow paths', () => {
    const liveness = new Liveness(0, 600);
    liveness.sent(0);
    expect([liveness.verdict(1_199), liveness.verdict(1_200)]).toEqual([undefined, 'suspect']);
    expect([liveness.verdict(2_399), liveness.verdict(2_400)]).toEqual(['suspect', 'dead']);
  });

  it('takes arriving bytes for a sign of life', () => {
    const liveness = new Liveness(0, 10);
    liveness.asked(0);
    liveness.stirred(900);
    expect([liveness.verdict(1_399), liveness.verdict(1_899), liveness.verdict(1_900)]).toEqual([
      undefined,
      'suspect',
      'dead',
    ]);
  });

  it('is twice as patient behind a subflow that was given up, up to 8 s, and forgets that with quick answers', () => {
    let liveness = new Liveness(0, 10);
    for (const patience of [1_000, 2_000, 4_000, 8_000, 8_000]) {
      liveness.sent(0);
      expect(patienceOf(liveness)).toBe(patience);
      liveness = new Liveness(patience, 10, liveness);
      const fresh = new Liveness(0, 10, liveness);
      fresh.sent(0);
      expect(patienceOf(fresh)).toBe(1_000);
      liveness.heard(0, false, false);
    }
    for (let i = 0; i < 10; i++) {
      liveness.sent(10);
      liveness.heard(20, false, false);
    }
    liveness.sent(0);
    expect(patienceOf(liveness)).toBe(1_000);
  });

  it('learns how long answers take', () => {
    const liveness = new Liveness(0, 10);
    liveness.sent(0);
    liveness.heard(900, false, false);
    liveness.sent(0);
    expect(patienceOf(liveness)).toBe(1_800);
  });

  /** How long after 0, when something was sent, it is dead. */
  function patienceOf(liveness: Liveness): number {
    liveness.suspected();
    return liveness.deadline();
  }
});

describe('dialing', () => {
  it('climbs its ladder and stays on the last rung', () => {
    const ladder = new DialLadder();
    const waits = (): number[] => Array.from({ length: 9 }, () => ladder.nextWaitMs());
    expect(waits()).toEqual([0, 30, 100, 250, 500, 1_000, 2_000, 2_000, 2_000]);
    ladder.restart();
    expect(ladder.nextWaitMs()).toBe(0);
  });

  it('is asked for once at a time', () => {
    const dialing = new Dialing();
    expect([dialing.request(0), dialing.request(0), dialing.underWay, dialing.pollTimeout()]).toEqual([
      true,
      false,
      true,
      undefined,
    ]);
    dialing.unreachable();
    expect([dialing.request(100), dialing.pending, dialing.pollTimeout()]).toEqual([false, true, 130]);
    expect([dialing.takeDue(129), dialing.takeDue(130), dialing.pending]).toEqual([undefined, 'dial', false]);
  });

  it('believes after a second of refusals that the peer is gone, unless something else is heard', () => {
    const dialing = new Dialing();
    dialing.refused(100);
    dialing.refused(500);
    expect([dialing.takeDue(1_099), dialing.takeDue(1_100)]).toEqual([undefined, 'gone']);
    for (const relief of [() => dialing.unreachable(), () => dialing.notRefused(), () => dialing.settle()]) {
      dialing.refused(2_000);
      relief();
      expect(dialing.takeDue(1e9)).toBeUndefined();
    }
    // A connection that stands only puts it off: perhaps somebody else took it.
    dialing.refused(5_000);
    dialing.attached();
    expect(dialing.takeDue(1e9)).toBeUndefined();
    dialing.refused(6_000);
    expect(dialing.takeDue(6_000)).toBe('gone');
  });
});

describe('associations', () => {
  const suite = SUITES[0] as (typeof SUITES)[0];
  const peer = { stateSequence: 0, sessionPort: 4433, addresses: [] };
  const make = (role: 'initiator' | 'responder', secret = 1): Association =>
    new Association({
      role,
      id: new Uint8Array(8).fill(9),
      secret: new Uint8Array(32).fill(secret),
      suite,
      peer,
      expiresAt: 1_000,
    });
  const pair = { initiator: 2_000, responder: 80 };
  const random = new SeededRandom(1);

  it('are fresh until they expire or have opened many sessions', () => {
    const association = make('initiator');
    expect([association.isFresh(999), association.isFresh(1_000)]).toEqual([true, false]);
    const many = make('initiator');
    const one = { bytes: () => new Uint8Array(16) };
    expect(ASSOCIATION_MAX_OPENS).toBeGreaterThan(1_000);
    for (let i = 0; i < 3; i++) many.newSession(one, pair);
    expect(many.isFresh(0)).toBe(true);
  });

  it('give every session its own keys, and both sides the same', () => {
    const [a, b] = [make('initiator'), make('responder')];
    const sessions = [a.newSession(random, pair), a.newSession(random, pair)];
    const identities = sessions.map((s) => b.identify(decodeOpen(s.encodeOpen?.(3, 100) ?? new Uint8Array(0))));
    expect(identities.map((i) => i?.keys)).toEqual(sessions.map((s) => s.keys));
    expect(new Set(sessions.map((s) => toHex(s.keys.resume))).size).toBe(2);
    expect(a.idText).toBe('09'.repeat(8));
  });

  it('know no OPEN of a stranger, and none with another suite than was agreed', () => {
    const b = make('responder');
    const open = (association: Association): Uint8Array =>
      association.newSession(random, pair).encodeOpen?.(1, 9) ?? new Uint8Array(0);
    expect(b.identify(decodeOpen(open(make('initiator', 2))))).toBeUndefined();
    const other = new Association({
      role: 'initiator',
      id: new Uint8Array(8).fill(9),
      secret: new Uint8Array(32).fill(1),
      suite: SUITES[1] ?? suite,
      peer,
      expiresAt: 1_000,
    });
    expect(b.identify(decodeOpen(open(other)))).toBeUndefined();
    expect(b.identify(decodeOpen(open(make('initiator'))))).toBeDefined();
  });

  it('use an OPEN number once', () => {
    const b = make('responder');
    expect([b.useOpenNumber(1), b.useOpenNumber(1), b.useOpenNumber(2)]).toEqual([true, false, true]);
  });

  it('bind a REFUSE to the hello that it answers', () => {
    const [a, b] = [make('initiator'), make('responder')];
    const session = a.newSession(random, pair);
    const hello = session.encodeOpen?.(1, 9) ?? new Uint8Array(0);
    const helloMac = hello.subarray(-16);
    const { message, covered, mac } = decodeRefuse(b.refuse('port-pair', [3_000], helloMac));
    expect(message).toEqual({ code: 'port-pair', ports: [3_000] });
    const macTo = (answered: Uint8Array): string =>
      toHex(messageMac(session.refuseKey ?? new Uint8Array(0), covered, answered));
    expect(macTo(helloMac)).toBe(toHex(mac));
    expect(macTo(new Uint8Array(16))).not.toBe(toHex(mac));
    expect(decodeRefuse(refuseUnknown())).toMatchObject({
      message: { code: 'unknown', ports: [] },
      mac: new Uint8Array(16),
    });
  });

  it('check a RESUME under the session’s key', () => {
    const { keys } = make('initiator').newSession(random, pair);
    const resume = { associationId: new Uint8Array(8), portPair: pair, stateSequence: 2, receiveOffset: 0, window: 0 };
    const genuine = encodeResume(resume, (covered) => messageMac(keys.resume, covered));
    expect(isGenuineResume(keys, decodeResume(genuine))).toBe(true);
    expect(isGenuineResume(keys, decodeResume(encodeResume(resume, () => new Uint8Array(16))))).toBe(false);
  });

  it('accept an L4_UPDATE once, from the other side only, and only newer ones', () => {
    const [a, b] = [make('initiator'), make('responder')];
    const own = { stateSequence: 5, sessionPort: 0, addresses: ['192.0.2.9'] };
    const [first, second] = [a.encodeUpdate(own, true), a.encodeUpdate(own, false)].map(decodeUpdate);
    if (first === undefined || second === undefined) throw new Error('no updates');
    expect(a.accepts(first)).toBe(false); // reflected
    expect(make('responder', 2).accepts(first)).toBe(false); // forged
    expect([b.accepts(first), b.accepts(first), b.accepts(second), b.accepts(first)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    const reply = decodeUpdate(b.encodeUpdate(own, false, first.update.packetNumber));
    expect([a.accepts(reply), reply.update.answersPacketNumber]).toEqual([true, 1]);
  });

  it('believe only newer whereabouts', () => {
    const a = make('initiator');
    expect(a.learnWhereabouts({ stateSequence: 0, sessionPort: 1, addresses: ['192.0.2.1'] })).toBe(false);
    expect(a.learnWhereabouts({ stateSequence: 3, sessionPort: 2, addresses: ['192.0.2.2'] })).toBe(true);
    expect(a.learnWhereabouts({ stateSequence: 2, sessionPort: 3, addresses: [] })).toBe(false);
    expect(a.peer).toEqual({ stateSequence: 3, sessionPort: 2, addresses: ['192.0.2.2'] });
  });
});
