/** A member: whom it answers what. */
import { expect, it } from 'vitest';
import { AarpMember } from '../../src/aarp/member.ts';
import { decodeAarpReply, encodeAarpProbe } from '../../src/aarp/wire/aarp.ts';
import { UsageError } from '../../src/core/errors.ts';
import { KEY, PROBE } from './wire/samples.ts';

const ANY = '2001:db8::53';
const OWN = ['2001:db8:1::1', '192.0.2.1', ANY, 'fd00::1'];

function member(init: Partial<ConstructorParameters<typeof AarpMember>[0]> = {}): AarpMember {
  const made = new AarpMember({ serves: [ANY, '192.0.2.53'], ...init });
  made.setAddresses(OWN);
  return made;
}

function ask(of: AarpMember, asked: string, key?: Uint8Array): readonly string[] | undefined {
  const reply = of.handleDatagram(0, encodeAarpProbe({ ...PROBE, asked }, key));
  return reply === undefined ? undefined : decodeAarpReply(reply, key).members;
}

it('names its unicast addresses of the same family to whoever asks about what it serves', () => {
  expect(ask(member(), ANY)).toEqual(['2001:db8:1::1', 'fd00::1']);
  expect(ask(member(), '192.0.2.53')).toEqual(['192.0.2.1']);
});

it('names the asked address where that is its own', () => {
  expect(ask(member(), 'fd00::1')).toEqual(['fd00::1']);
});

it('does not answer about other addresses', () => {
  const one = member();
  expect(ask(one, '2001:db8::54')).toBeUndefined();
  expect(one.counters).toEqual({ replies: 0, malformed: 0, foreign: 1, overRate: 0 });
});

it('with a key answers those who have it', () => {
  const one = member({ key: KEY, lifetimeMs: 1_500 });
  expect(ask(one, ANY)).toBeUndefined();
  expect(ask(one, ANY, KEY)).toHaveLength(2);
  expect(one.counters).toMatchObject({ replies: 1, malformed: 1 });
});

it('brings the nonce back, and the lifetime in whole seconds', () => {
  const reply = member({ lifetimeMs: 1_500 }).handleDatagram(0, encodeAarpProbe(PROBE));
  expect(decodeAarpReply(reply ?? new Uint8Array(0))).toMatchObject({ nonce: PROBE.nonce, lifetimeSeconds: 2 });
});

it('answers a thousand a second', () => {
  const one = member();
  const probe = encodeAarpProbe(PROBE);
  for (let i = 0; i < 3_000; i++) one.handleDatagram(0, probe);
  expect(one.counters).toMatchObject({ replies: 1_000, overRate: 2_000 });
  for (let i = 0; i < 3_000; i++) one.handleDatagram(1_000, probe);
  expect(one.counters).toMatchObject({ replies: 2_000, overRate: 4_000 });
});

it.each([{ serves: ['here'] }, { lifetimeMs: -1 }, { lifetimeMs: 70_000_000 }])('%j is refused', (init) => {
  expect(() => member(init)).toThrow(UsageError);
});
