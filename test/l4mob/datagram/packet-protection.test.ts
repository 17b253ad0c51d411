/** Protection of packets, for each suite: against node's own HMAC and GCM, and against changes. */
import { createCipheriv, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { protectionOf } from '../../../src/l4mob/datagram/packet-protection.ts';
import { SUITES } from '../../../src/l4mob/suite.ts';
import { DATAGRAM_TYPE, type DatagramHeader, decodeDatagram } from '../../../src/l4mob/wire/datagram.ts';
import { run } from '../wire/samples.ts';

const PORT_PAIR = 0x9c4001bb;
const HEADER: DatagramHeader = {
  type: DATAGRAM_TYPE.data,
  idHigh: 1,
  idLow: 2,
  stateSequence: 3,
  packetNumber: 2 ** 40 + 7,
  openNumber: 0,
  initiatorPort: 0,
  responderPort: 0,
};
const TEXT = Buffer.from('the quick brown fox jumps over the lazy dog');
const NONCE = Buffer.from('000000000000010000000007', 'hex');

describe.each(SUITES.map((suite) => [suite.name, suite] as const))('%s', (name, suite) => {
  const protection = protectionOf(suite);
  const key = run(0x50, suite.keyBytes);
  const open = (bytes: Buffer, portPair = PORT_PAIR, with_ = key): string | undefined => {
    const payload = protection.open(with_, 0, portPair, decodeDatagram(bytes), bytes);
    return payload && Buffer.from(payload).toString();
  };

  it('opens what it sealed, also when others were sealed in between', () => {
    const first = protection.seal(key, 0, PORT_PAIR, HEADER, TEXT);
    const second = protection.seal(run(9, suite.keyBytes), 0, 5, { ...HEADER, packetNumber: 1 }, Buffer.alloc(3000, 1));
    const empty = protection.seal(key, 0, PORT_PAIR, HEADER, Buffer.alloc(0));
    expect(open(first)).toBe(TEXT.toString());
    expect(open(empty)).toBe('');
    expect([first.length, second.length, empty.length]).toEqual([TEXT.length + 37, 3037, 37]);
  });

  it('takes the key from where it stands among others', () => {
    const keys = Buffer.concat([run(0x10, 7), key, run(0x20, 9)]);
    const sealed = protection.seal(keys, 7, PORT_PAIR, HEADER, TEXT);
    expect(sealed.equals(protection.seal(key, 0, PORT_PAIR, HEADER, TEXT))).toBe(true);
    const payload = protection.open(keys, 7, PORT_PAIR, decodeDatagram(sealed), sealed);
    expect(Buffer.from(payload ?? []).toString()).toBe(TEXT.toString());
    expect(protection.open(keys, 6, PORT_PAIR, decodeDatagram(sealed), sealed)).toBeUndefined();
  });

  it('takes the largest datagram', () => {
    const large = Buffer.alloc(65_507 - 37, 3);
    expect(open(protection.seal(key, 0, PORT_PAIR, HEADER, large))).toBe(large.toString());
  });

  it('hides the payload only where it is a sealed suite', () => {
    expect(protection.seal(key, 0, PORT_PAIR, HEADER, TEXT).includes(TEXT)).toBe(!suite.sealed);
  });

  it('notices any change of header, payload, MAC, port pair or key', () => {
    const good = protection.seal(key, 0, PORT_PAIR, HEADER, TEXT);
    for (let bit = 8; bit < good.length * 8; bit++) {
      const changed = Buffer.from(good);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      // A packet number above 2^53 does not even decode.
      if (((changed[13] as number) << 8) + (changed[14] as number) < 0x20) expect(open(changed)).toBeUndefined();
    }
    expect(open(Buffer.concat([Buffer.of(DATAGRAM_TYPE.empty), good.subarray(1)]))).toBeUndefined();
    expect(open(good.subarray(0, -1))).toBeUndefined();
    expect(open(good, PORT_PAIR + 1)).toBeUndefined();
    expect(open(good, PORT_PAIR, run(0x51, suite.keyBytes))).toBeUndefined();
    expect(open(good)).toBe(TEXT.toString());
  });

  it('is what docs/protocol.md says', () => {
    const bytes = protection.seal(key, 0, PORT_PAIR, HEADER, TEXT);
    const associated = Buffer.concat([Buffer.from('9c4001bb', 'hex'), bytes.subarray(0, 21)]);
    const tag = bytes.subarray(-16).toString('hex');
    if (name === 'hmac-sha256-128') {
      const whole = createHmac('sha256', key).update(associated).update(TEXT).digest('hex');
      expect(tag).toBe(whole.slice(0, 32));
      return;
    }
    const algorithm = name === 'chacha20-poly1305' ? name : 'aes-128-gcm';
    const cipher = createCipheriv(algorithm as 'aes-128-gcm', key, NONCE, { authTagLength: 16 });
    cipher.setAAD(suite.sealed ? associated : Buffer.concat([associated, TEXT]));
    const sealed = suite.sealed ? cipher.update(TEXT) : TEXT;
    cipher.final();
    expect([bytes.subarray(21, -16).toString('hex'), tag]).toEqual([
      sealed.toString('hex'),
      cipher.getAuthTag().toString('hex'),
    ]);
  });
});
