/** One AARP message of each kind, with every field different, for tests and vectors. */
import type { AarpProbe, AarpReply } from '../../../src/aarp/wire/aarp.ts';
import { run } from '../../l4mob/wire/samples.ts';

export const KEY: Uint8Array = run(0x30, 32);
export const PROBE: AarpProbe = { nonce: run(0x10, 16), asked: '2001:db8::53' };
export const IPV4_PROBE: AarpProbe = { nonce: run(0x20, 16), asked: '192.0.2.53' };
export const REPLY: AarpReply = {
  nonce: run(0x10, 16),
  lifetimeSeconds: 90,
  members: ['2001:db8:1::1', 'fd00::1', '192.0.2.1'],
};
export const LONGEST_REPLY: AarpReply = {
  nonce: run(0x40, 16),
  lifetimeSeconds: 0xffff,
  members: Array.from({ length: 8 }, (_, i) => `2001:db8:ffff:ffff:ffff:ffff:ffff:${i + 1}`),
};
