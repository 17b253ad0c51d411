/** One stream session against a peer that is played record by record: refusals, violations, and the order of things. */
import { describe, expect, it } from 'vitest';
import { Association, refuseUnknown } from '../../src/l4mob/association.ts';
import { DEFAULT_STREAM_LIMITS } from '../../src/l4mob/limits.ts';
import { RecordReader, RecordWriter } from '../../src/l4mob/record-stream.ts';
import {
  type SessionEvent,
  type SessionIdentity,
  type SessionRole,
  StreamSession,
} from '../../src/l4mob/stream-session.ts';
import { SUITES } from '../../src/l4mob/suite.ts';
import { decodeOpen, decodeResume, HELLO_TYPE, type RefuseCode } from '../../src/l4mob/wire/hello.ts';
import { RECORD_TYPE, type RecordHeader, type RecordType } from '../../src/l4mob/wire/record.ts';
import { encodeWhereabouts } from '../../src/l4mob/wire/update.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const SUITE = SUITES[0] as (typeof SUITES)[0];
const NO_BYTES = Buffer.alloc(0);

function association(role: SessionRole): Association {
  return new Association({
    role,
    id: new Uint8Array(8).fill(9),
    secret: new Uint8Array(32).fill(1),
    suite: SUITE,
    peer: { stateSequence: 0, sessionPort: 4433, addresses: [] },
    expiresAt: 1e9,
  });
}

/** A session, and the hand of its peer. */
class Bench {
  readonly session: StreamSession;
  readonly identity: SessionIdentity;
  readonly association: Association = association('initiator');
  readonly mirror: Association = association('responder');
  readonly events: SessionEvent[] = [];
  readonly received: { readonly type: RecordType; readonly payload: string; readonly header: RecordHeader }[] = [];
  hello: Buffer = NO_BYTES;
  now = 0;
  #subflow = 0;
  #writer: RecordWriter | undefined;
  #reader: RecordReader | undefined;

  constructor(role: SessionRole = 'initiator') {
    this.identity = this.association.newSession(new SeededRandom(1), { initiator: 2_000, responder: 80 });
    this.session = new StreamSession({ role, identity: this.identity, limits: DEFAULT_STREAM_LIMITS, now: 0 });
    this.attach();
  }

  /** A new subflow; an initiator's hello is taken off it. */
  attach(): void {
    this.#subflow += 1;
    const { suite, keys, portPair } = this.identity;
    const { role } = this.session;
    const [own, other] =
      role === 'initiator'
        ? [keys.recordFromInitiator, keys.recordFromResponder]
        : [keys.recordFromResponder, keys.recordFromInitiator];
    this.#reader = new RecordReader(suite.opener(own), this.#subflow, portPair);
    this.#writer = new RecordWriter(suite.sealer(other), this.#subflow, portPair);
    if (role === 'initiator') {
      this.session.attachDialed(this.now, this.#subflow, 10);
      this.hello = Buffer.concat(this.session.pollTransmit(this.now)?.bytes ?? []);
    } else {
      const kind = this.#subflow === 1 ? 'open' : 'resume';
      const hello = { kind, stateSequence: this.#subflow, receiveOffset: 0, window: 1 << 20 } as const;
      expect(this.session.attachAccepted(this.now, this.#subflow, hello)).toBe(true);
    }
    this.drain();
  }

  /** What the peer says. */
  say(type: RecordType, more: Partial<RecordHeader> = {}, payload: Buffer = NO_BYTES): void {
    this.raw(this.record(type, more, payload));
  }

  record(type: RecordType, more: Partial<RecordHeader> = {}, payload: Buffer = NO_BYTES): Buffer {
    const header = {
      type,
      payloadBytes: payload.length,
      stateSequence: this.#subflow,
      offset: 0,
      acknowledgement: 0,
      window: 1 << 20,
      ...more,
    };
    return Buffer.concat(this.#writer?.write(header, payload.length > 0 ? [payload] : []) ?? []);
  }

  raw(bytes: Buffer): void {
    this.session.handleBytes(this.now, this.#subflow, bytes);
    this.drain();
  }

  refuse(code: RefuseCode, ports: readonly number[] = []): void {
    const bytes = code === 'unknown' ? refuseUnknown() : this.mirror.refuse(code, ports, this.hello.subarray(-16));
    for (const byte of bytes) this.session.handleBytes(this.now, this.#subflow, Buffer.of(byte));
    this.drain();
  }

  drain(): void {
    for (let out = this.session.pollTransmit(this.now); out !== undefined; out = this.session.pollTransmit(this.now)) {
      for (const part of out.bytes) {
        this.#reader?.push(Buffer.from(part), (header, payload) => {
          this.received.push({ type: header.type, payload: payload.toString(), header });
        });
      }
    }
    for (let event = this.session.pollEvent(); event !== undefined; event = this.session.pollEvent())
      this.events.push(event);
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (let at = this.session.pollTimeout(); at !== undefined && at <= until; at = this.session.pollTimeout()) {
      this.now = Math.max(this.now, at);
      this.session.handleTimeout(this.now);
      this.drain();
    }
    this.now = until;
  }

  types(): SessionEvent['type'][] {
    return this.events.map((event) => event.type);
  }
}

function opened(): Bench {
  const bench = new Bench();
  bench.say(RECORD_TYPE.openOk);
  return bench;
}

describe('opening', () => {
  it('sends data right behind the OPEN, and is open with the answer', () => {
    const bench = new Bench();
    bench.session.write([Buffer.from('early')]);
    bench.drain();
    expect(decodeOpen(bench.hello).message).toMatchObject({ openNumber: 1, stateSequence: 1 });
    expect(bench.received).toMatchObject([{ type: RECORD_TYPE.data, payload: 'early' }]);
    expect(bench.session.state).toBe('opening');
    bench.say(RECORD_TYPE.openOk, { acknowledgement: 5 });
    expect([bench.session.state, bench.session.unacknowledged, bench.types()]).toEqual(['open', 0, ['opened']]);
    expect([bench.session.portPair, bench.session.suite]).toEqual([{ initiator: 2_000, responder: 80 }, SUITE]);
  });

  it('is repeated with the same number and a higher sequence after 3 s without an answer', () => {
    const bench = new Bench();
    bench.session.write([Buffer.from('early')]);
    bench.pass(3_000);
    expect(bench.types()).toEqual(['peer-silent', 'close-subflow', 'dial']);
    bench.attach();
    expect(decodeOpen(bench.hello).message).toMatchObject({ openNumber: 1, stateSequence: 2 });
    expect(bench.received.at(-1)).toMatchObject({ payload: 'early' });
  });

  it('is answered also by a record that comes in pieces which look like the beginning of something else', () => {
    const bench = new Bench();
    const window = HELLO_TYPE.refuse * 0x01010101;
    for (const byte of bench.record(RECORD_TYPE.openOk, { window })) bench.raw(Buffer.of(byte));
    expect([bench.session.badRecords, bench.session.state, bench.types()]).toEqual([0, 'open', ['opened']]);
  });

  it('another record than the answer first makes the subflow useless', () => {
    const bench = new Bench();
    bench.say(RECORD_TYPE.ack);
    expect([bench.session.badRecords, bench.session.state, bench.types()]).toEqual([
      1,
      'opening',
      ['close-subflow', 'dial'],
    ]);
  });

  it.each<RefuseCode>(['unknown', 'listener-gone', 'port-pair', 'limit', 'policy'])(
    'REFUSE %s is for the owner',
    (code) => {
      const bench = new Bench();
      bench.refuse(code, code === 'port-pair' ? [3_000] : []);
      expect(bench.events.at(-1)).toMatchObject({ type: 'refused', refuse: { code } });
      bench.session.fail('ECONNREFUSED');
      bench.drain();
      expect(bench.events.at(-1)).toEqual({ type: 'ended', error: 'ECONNREFUSED' });
    },
  );

  it('goes on under another identity after a refused port pair, with what was written', () => {
    const bench = new Bench();
    bench.session.write([Buffer.from('early')]);
    bench.drain();
    bench.refuse('port-pair', [3_000]);
    const other = bench.association.newSession(new SeededRandom(2), { initiator: 3_000, responder: 80 });
    bench.session.reopen(bench.now, other);
    bench.drain();
    expect(bench.types().at(-1)).toBe('dial');
    bench.session.attachDialed(bench.now, 9, 10);
    const hello = Buffer.concat(bench.session.pollTransmit(bench.now)?.bytes ?? []);
    expect(decodeOpen(hello).message).toMatchObject({
      openNumber: 2,
      stateSequence: 2,
      portPair: { initiator: 3_000 },
    });
    expect(Buffer.concat(bench.session.pollTransmit(bench.now)?.bytes ?? []).includes('early')).toBe(true);
    expect(bench.session.portPair.initiator).toBe(3_000);
    bench.session.reopen(bench.now, other);
  });

  it('REFUSE stale, and a forged one, only make it dial again', () => {
    for (const play of [
      (bench: Bench) => bench.refuse('stale'),
      (bench: Bench) => bench.raw(Buffer.from(bench.mirror.refuse('policy', [], new Uint8Array(16)))),
    ]) {
      const bench = new Bench();
      play(bench);
      expect(bench.types()).toEqual(['close-subflow', 'dial']);
    }
  });

  it('fails with ECONNREFUSED where the peer’s host refuses for a second, and with ETIMEDOUT where nothing answers', () => {
    const bench = new Bench();
    bench.session.handleSubflowEnd(0, 1, 'reset');
    bench.session.handleDialFailure(0, 'refused');
    bench.pass(1_000);
    expect(bench.events.at(-1)).toEqual({ type: 'ended', error: 'ECONNREFUSED' });
    const other = new Bench();
    other.session.handleSubflowEnd(0, 1, 'lost');
    other.session.handleDialFailure(0, 'unreachable');
    other.pass(DEFAULT_STREAM_LIMITS.sessionTimeoutMs);
    expect(other.events.at(-1)).toEqual({ type: 'ended', error: 'ETIMEDOUT' });
  });

  it('a session that was never seen by the peer ends at once when closed', () => {
    const identity = association('initiator').newSession(new SeededRandom(1), { initiator: 2_000, responder: 80 });
    for (const end of ['close', 'reset'] as const) {
      const session = new StreamSession({ role: 'initiator', identity, limits: DEFAULT_STREAM_LIMITS, now: 0 });
      session[end](0);
      expect([session.pollEvent(), session.state]).toEqual([{ type: 'ended', error: undefined }, 'ended']);
      // A dial that was under way comes too late.
      session.attachDialed(1, 1, 1);
      expect(session.pollEvent()).toEqual({ type: 'close-subflow', subflow: 1, graceful: false });
      expect(session.pollTransmit(1)).toBeUndefined();
    }
  });
});

describe('a peer that breaks the rules', () => {
  it.each<[string, (bench: Bench) => void]>([
    ['data beyond the next byte', (b) => b.say(RECORD_TYPE.data, { offset: 1 }, Buffer.from('x'))],
    ['an acknowledgement of what was never sent', (b) => b.say(RECORD_TYPE.ack, { acknowledgement: 1 })],
    ['an end elsewhere than at the next byte', (b) => b.say(RECORD_TYPE.fin, { offset: 5 })],
    [
      'data behind the end',
      (b) => {
        b.say(RECORD_TYPE.fin);
        b.say(RECORD_TYPE.data, { offset: 0 }, Buffer.from('x'));
      },
    ],
    [
      'data beyond the window',
      (b) => {
        for (let offset = 0; offset < 600_000; offset += 65_536)
          b.say(RECORD_TYPE.data, { offset }, Buffer.alloc(65_536));
      },
    ],
  ])('%s is answered by RESET and ends the session with EPROTO', (_, play) => {
    const bench = opened();
    play(bench);
    expect(bench.received.at(-1)?.type).toBe(RECORD_TYPE.reset);
    expect(bench.events.slice(-2)).toEqual([
      { type: 'close-subflow', subflow: 1, graceful: true },
      { type: 'ended', error: 'EPROTO' },
    ]);
  });

  it.each<[string, (bench: Bench) => void]>([
    ['the state sequence of another subflow', (b) => b.say(RECORD_TYPE.ack, { stateSequence: 2 })],
    ['a wrong MAC', (b) => b.raw(Buffer.alloc(44, RECORD_TYPE.ack))],
    ['a malformed ADDRESSES record', (b) => b.say(RECORD_TYPE.addresses, {}, Buffer.alloc(9, 0xff))],
  ])('a record with %s costs the subflow only', (_, play) => {
    const bench = opened();
    play(bench);
    expect([bench.session.badRecords, bench.types().slice(1)]).toEqual([1, ['close-subflow', 'suspended', 'dial']]);
  });
});

describe('an open session', () => {
  it('says what is most urgent first', () => {
    const bench = opened();
    bench.session.setBlocked(1, true);
    bench.session.write([Buffer.from('data')]);
    bench.session.end();
    bench.session.announce(encodeWhereabouts({ stateSequence: 1, sessionPort: 0, addresses: [] }));
    bench.say(RECORD_TYPE.ping);
    bench.session.handleNetworkChange(bench.now);
    bench.drain();
    expect(bench.received).toEqual([]);
    bench.session.setBlocked(1, false);
    bench.drain();
    const { pong, ping, addresses, data, fin } = RECORD_TYPE;
    expect(bench.received.map((r) => r.type)).toEqual([pong, ping, addresses, data, fin]);
    expect(bench.received.map((r) => r.header.offset)).toEqual([0, 0, 0, 0, 4]);
  });

  it('acknowledges after 20 ms, at once where nothing was new, and with what goes out anyway', () => {
    const bench = opened();
    bench.say(RECORD_TYPE.data, {}, Buffer.from('abc'));
    expect(bench.received).toEqual([]);
    bench.pass(19);
    expect(bench.received).toEqual([]);
    bench.pass(1);
    expect(bench.received.map((r) => [r.type, r.header.acknowledgement])).toEqual([[RECORD_TYPE.ack, 3]]);
    bench.say(RECORD_TYPE.data, {}, Buffer.from('abc'));
    expect(bench.received).toHaveLength(2);
    bench.say(RECORD_TYPE.data, { offset: 3 }, Buffer.from('d'));
    bench.session.write([Buffer.from('reply')]);
    bench.drain();
    expect(bench.received.at(-1)?.header.acknowledgement).toBe(4);
    bench.pass(100);
    expect(bench.received).toHaveLength(3);
    expect([bench.session.bytesReceived, bench.session.bytesSent, bench.session.unread]).toEqual([4, 5, 4]);
  });

  it('tells of whereabouts, and delivers until everything is acknowledged', () => {
    const bench = opened();
    const whereabouts = { stateSequence: 4, sessionPort: 9, addresses: ['192.0.2.1'] };
    bench.say(RECORD_TYPE.addresses, {}, Buffer.from(encodeWhereabouts(whereabouts)));
    expect(bench.events.at(-1)).toEqual({ type: 'whereabouts', whereabouts });
    expect(bench.session.delivering).toBe(false);
    bench.session.write([Buffer.from('x')]);
    expect([bench.session.delivering, bench.session.hasRoom]).toEqual([true, true]);
    bench.drain();
    bench.say(RECORD_TYPE.ack, { acknowledgement: 1 });
    expect(bench.session.delivering).toBe(false);
    bench.session.end();
    expect(bench.session.delivering).toBe(true);
    bench.drain();
    bench.say(RECORD_TYPE.ack, { acknowledgement: 2 });
    expect(bench.session.delivering).toBe(false);
    bench.session.reset(bench.now);
    expect(bench.session.delivering).toBe(true);
    bench.drain();
    expect([bench.session.delivering, bench.session.state]).toEqual([false, 'closing']);
  });

  it('resumes from what it has received, and sends again what was not acknowledged', () => {
    const bench = opened();
    bench.session.write([Buffer.from('abcdef')]);
    bench.drain();
    bench.say(RECORD_TYPE.data, { acknowledgement: 2 }, Buffer.from('xyz'));
    bench.session.handleSubflowEnd(bench.now, 1, 'lost');
    bench.drain();
    expect(bench.session.state).toBe('suspended');
    bench.attach();
    expect(bench.hello[0]).toBe(HELLO_TYPE.resume);
    expect(decodeResume(bench.hello).message).toMatchObject({ stateSequence: 2, receiveOffset: 3 });
    expect(bench.received.at(-1)).toMatchObject({ payload: 'cdef', header: { offset: 2, stateSequence: 2 } });
    bench.say(RECORD_TYPE.resumeOk, { acknowledgement: 6, offset: 3 });
    expect(bench.events.at(-1)).toMatchObject({ type: 'moved', wasSuspended: true, samePath: false });
  });

  it('says that it goes on over the old path, where that had only been silent', () => {
    const bench = opened();
    bench.session.write([Buffer.from('x')]);
    bench.drain();
    bench.pass(1_000);
    expect(bench.types().at(-1)).toBe('dial');
    bench.session.handleDialFailure(bench.now, 'unreachable');
    bench.drain();
    expect(bench.session.state).toBe('suspended');
    bench.now += 10;
    bench.say(RECORD_TYPE.ack, { acknowledgement: 1 });
    expect(bench.session.state).toBe('open');
    expect(bench.events.at(-1)).toEqual({ type: 'moved', gapMs: 10, wasSuspended: true, samePath: true });
    bench.pass(100);
    expect(bench.types().filter((type) => type === 'dial')).toHaveLength(1);
  });

  it.each<[RefuseCode, string]>([
    ['listener-gone', 'ECONNRESET'],
    ['policy', 'ECONNRESET'],
  ])('REFUSE %s of a RESUME ends it with %s', (code, error) => {
    const bench = opened();
    bench.session.handleSubflowEnd(bench.now, 1, 'lost');
    bench.attach();
    bench.refuse(code);
    expect(bench.events.at(-1)).toEqual({ type: 'ended', error });
  });

  it('REFUSE limit of a RESUME makes it wait', () => {
    const bench = opened();
    bench.session.handleSubflowEnd(bench.now, 1, 'lost');
    bench.attach();
    bench.refuse('limit');
    expect(bench.session.state).toBe('suspended');
    bench.pass(30);
    expect(bench.types().at(-1)).toBe('dial');
  });
});

describe('the end', () => {
  it('an initiator parts: it has ended when the responder has closed', () => {
    const bench = opened();
    bench.session.end();
    bench.drain();
    bench.say(RECORD_TYPE.fin, { acknowledgement: 1 });
    expect([bench.received.at(-1)?.type, bench.session.state]).toEqual([RECORD_TYPE.ack, 'closing']);
    bench.session.handleSubflowEnd(bench.now, 1, 'closed');
    bench.drain();
    expect([bench.session.state, bench.events.at(-1)]).toEqual(['ended', { type: 'ended', error: undefined }]);
  });

  it.each<[string, (bench: Bench) => void]>([
    ['a responder that knows nothing of it any more', (b) => b.refuse('unknown')],
    ['a reset by a tombstone', (b) => [b.say(RECORD_TYPE.resumeOk, { acknowledgement: 1 }), b.say(RECORD_TYPE.reset)]],
    ['a minute', (b) => b.pass(60_000)],
  ])('parting from a lost path is over with %s', (_, play) => {
    const bench = opened();
    bench.session.end();
    bench.drain();
    bench.say(RECORD_TYPE.fin, { acknowledgement: 1 });
    bench.session.handleSubflowEnd(bench.now, 1, 'lost');
    bench.drain();
    expect(bench.types()).not.toContain('suspended');
    bench.attach();
    expect(decodeResume(bench.hello).message.receiveOffset).toBe(1);
    play(bench);
    bench.drain();
    expect(bench.events.at(-1)).toEqual({ type: 'ended', error: undefined });
  });

  it('a responder has ended with its last acknowledgement, and closes behind it', () => {
    const bench = new Bench('responder');
    expect(bench.received.map((r) => r.type)).toEqual([RECORD_TYPE.openOk]);
    bench.session.end();
    bench.drain();
    bench.say(RECORD_TYPE.fin, { acknowledgement: 1 });
    expect(bench.received.at(-1)?.header.acknowledgement).toBe(1);
    expect(bench.events).toEqual([
      { type: 'close-subflow', subflow: 1, graceful: true },
      { type: 'ended', error: undefined },
    ]);
  });

  it('its tombstone answers in order, or with a RESET where the end was none', () => {
    for (const [end, types] of [
      [(b: Bench) => b.session.end(), [RECORD_TYPE.resumeOk]],
      [(b: Bench) => b.session.reset(b.now), [RECORD_TYPE.resumeOk, RECORD_TYPE.reset]],
      [(b: Bench) => b.session.fail('ETIMEDOUT'), [RECORD_TYPE.resumeOk, RECORD_TYPE.reset]],
    ] as const) {
      const bench = new Bench('responder');
      end(bench);
      bench.drain();
      if (bench.session.state !== 'ended') bench.say(RECORD_TYPE.fin, { acknowledgement: 1 });
      expect(bench.session.state).toBe('ended');
      for (let visits = 0; visits < 2; visits++) {
        bench.received.length = 0;
        bench.events.length = 0;
        bench.attach();
        expect(bench.received.map((r) => r.type)).toEqual(types);
        expect(bench.events).toMatchObject([{ type: 'close-subflow', graceful: true }]);
        expect(bench.session.pollTimeout()).toBeUndefined();
      }
    }
  });

  it('a reset that the connection does not take is said by closing it hard', () => {
    const bench = opened();
    bench.session.setBlocked(1, true);
    bench.session.reset(bench.now);
    bench.pass(60_000);
    expect(bench.events.at(-1)).toEqual({ type: 'ended', error: undefined });
    expect(bench.events.filter((e) => e.type === 'close-subflow').at(-1)).toMatchObject({ graceful: false });
  });

  it('a RESET ends both roles with ECONNRESET', () => {
    for (const role of ['initiator', 'responder'] as const) {
      const bench = new Bench(role);
      if (role === 'initiator') bench.say(RECORD_TYPE.openOk);
      bench.say(RECORD_TYPE.reset);
      expect(bench.events.at(-1)).toEqual({ type: 'ended', error: 'ECONNRESET' });
    }
  });

  it('a responder refuses old hellos and impossible offsets without a change', () => {
    const bench = new Bench('responder');
    const hello = { kind: 'resume', stateSequence: 1, receiveOffset: 0, window: 0 } as const;
    expect(bench.session.attachAccepted(0, 7, hello)).toBe(false);
    expect(bench.session.attachAccepted(0, 7, { ...hello, stateSequence: 2, receiveOffset: 99 })).toBe(false);
    expect([bench.session.currentSubflow, bench.session.moves]).toEqual([1, 0]);
    expect(bench.session.attachAccepted(0, 7, { ...hello, stateSequence: 2 })).toBe(true);
    while (bench.session.pollEvent() !== undefined);
    expect([bench.session.currentSubflow, bench.session.moves]).toEqual([7, 1]);
    bench.session.migrate();
    bench.session.handleNetworkChange(0);
    expect(bench.session.pollEvent()).toBeUndefined();
  });

  it('an initiator that is told to go over dials at once, also while it dials for older news', () => {
    const bench = new Bench();
    bench.say(RECORD_TYPE.openOk);
    bench.session.migrate();
    bench.session.migrate();
    bench.drain();
    expect(bench.types().filter((type) => type === 'dial')).toHaveLength(2);
    expect(bench.session.state).toBe('open');
  });

  it('a responder whose peer is silent says so, ever more seldom', () => {
    const bench = new Bench('responder');
    bench.session.write([Buffer.from('x')]);
    bench.drain();
    bench.pass(7_500);
    expect(bench.types()).toEqual(['peer-silent', 'peer-silent', 'peer-silent']);
    bench.say(RECORD_TYPE.ack, { acknowledgement: 1 });
    bench.pass(20_000);
    expect(bench.types()).toHaveLength(3);
  });
});
