/** The core vocabulary: bytes, addresses, deadlines, randomness, time. */
import { describe, expect, it } from 'vitest';
import {
  addressBytes,
  addressText,
  alternateFamilies,
  canonicalAddress,
  familyOf,
  formatTransportAddress,
  isLinkLocal,
  isLoopback,
  isUnspecified,
  readAddress,
  writeAddress,
} from '../../src/core/address.ts';
import { ByteReader, ByteWriter, concatBytes, equalConstantTime, toHex } from '../../src/core/bytes.ts';
import { Deadlines } from '../../src/core/deadlines.ts';
import { ProtocolError, UsageError, WireError } from '../../src/core/errors.ts';
import { randomInteger } from '../../src/core/random.ts';
import { earliest } from '../../src/core/time.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

describe('bytes', () => {
  it('are read as they were written', () => {
    const writer = new ByteWriter(64);
    writer
      .u8(0xff)
      .u16(0xfffe)
      .u32(0xfffffffd)
      .u64(Number.MAX_SAFE_INTEGER)
      .bytes(Uint8Array.of(1, 2, 3))
      .zeros(2);
    expect(writer.length).toBe(20);
    const reader = new ByteReader(writer.finish());
    expect([reader.u8('a'), reader.u16('b'), reader.u32('c'), reader.u64('d')]).toEqual([
      0xff,
      0xfffe,
      0xfffffffd,
      Number.MAX_SAFE_INTEGER,
    ]);
    expect([...reader.bytes(3, 'e')]).toEqual([1, 2, 3]);
    expect([reader.offset, reader.remaining]).toEqual([18, 2]);
    expect(() => reader.end('message')).toThrow('message: 2 bytes too many');
    expect([...reader.bytes(2, 'f')]).toEqual([0, 0]);
    reader.end('message');
  });

  it('are read from the middle of a larger buffer', () => {
    const whole = Uint8Array.of(9, 9, 1, 2, 9);
    const reader = new ByteReader(whole.subarray(2, 4));
    expect(reader.u16('a')).toBe(0x0102);
    expect(() => reader.u8('b')).toThrow(WireError);
  });

  it('past the end are a WireError that names the field', () => {
    const reader = new ByteReader(Uint8Array.of(1, 2, 3));
    reader.u16('first');
    for (const read of [
      () => reader.u16('x'),
      () => reader.u32('x'),
      () => reader.u64('x'),
      () => reader.bytes(2, 'x'),
      () => reader.bytes(2 ** 31, 'x'),
    ]) {
      expect(read).toThrow(/^x: \d+ bytes wanted at offset 2, 1 there$/);
      expect(read).toThrow(WireError);
    }
    expect(reader.u8('last')).toBe(3);
  });

  it('counts above 2^53 are refused', () => {
    expect(() => new ByteReader(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0)).u64('count')).toThrow(WireError);
  });

  it('beyond the capacity of a message are our own mistake', () => {
    const writer = new ByteWriter(3).u16(1);
    for (const write of [() => writer.u16(1), () => writer.u32(1), () => writer.u64(1), () => writer.zeros(2)]) {
      expect(write).toThrow(RangeError);
    }
    expect([...writer.u8(7).finish()]).toEqual([0, 1, 7]);
  });

  it('compare, join and print', () => {
    const a = Uint8Array.of(1, 2, 3);
    expect(equalConstantTime(a, Uint8Array.of(1, 2, 3))).toBe(true);
    expect(equalConstantTime(a, Uint8Array.of(1, 2, 4))).toBe(false);
    expect(equalConstantTime(a, Uint8Array.of(1, 2))).toBe(false);
    expect([...concatBytes(a, new Uint8Array(0), Uint8Array.of(4))]).toEqual([1, 2, 3, 4]);
    expect(toHex(Uint8Array.of(0, 255, 16).subarray(1))).toBe('ff10');
  });
});

describe('addresses', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['0::0', '::'],
    ['2001:DB8::0001', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::ffff:c000:201', '192.0.2.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['FE80:0::1%eth0', 'fe80::1%eth0'],
  ])('%s is %s', (spelling, canonical) => {
    expect(canonicalAddress(spelling)).toBe(canonical);
    expect(canonicalAddress(canonical)).toBe(canonical);
  });

  it.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.-4',
    '01.2.3.4',
    '1.2.3.4 ',
    '0x1.2.3.4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '1.2.3.4::',
    '::1.2.3',
    '::1.2.3.4:5',
    '1:',
  ])('"%s" is none', (text) => {
    expect(addressBytes(text)).toBeUndefined();
    expect(canonicalAddress(text)).toBeUndefined();
  });

  it('any 4 or 16 bytes survive the way through text, whatever runs of zeros are in them', () => {
    const random = new SeededRandom(1);
    for (let i = 0; i < 2_000; i++) {
      const bytes = random.bytes(random.pick([4, 16])).map((b) => (random.chance(0.6) ? 0 : b));
      const text = addressText(bytes);
      expect(canonicalAddress(text)).toBe(text);
      const back = addressBytes(text);
      expect(back).toEqual(back?.length === 4 && bytes.length === 16 ? bytes.slice(12) : bytes);
    }
  });

  it('of other lengths are refused', () => {
    expect(() => addressText(new Uint8Array(5))).toThrow(WireError);
  });

  it('go over the wire without their zone', () => {
    for (const [ip, back] of [
      ['192.0.2.1', '192.0.2.1'],
      ['2001:db8::1', '2001:db8::1'],
      ['fe80::1%eth0', 'fe80::1'],
    ] as const) {
      const writer = new ByteWriter(17);
      writeAddress(writer, ip);
      const reader = new ByteReader(writer.finish());
      expect(readAddress(reader, 'ip')).toBe(back);
      reader.end('ip');
    }
    expect(() => writeAddress(new ByteWriter(17), 'nowhere')).toThrow(RangeError);
    expect(() => readAddress(new ByteReader(Uint8Array.of(5, 1, 2, 3, 4, 5)), 'ip')).toThrow(WireError);
  });

  it('have families and kinds', () => {
    expect([familyOf('192.0.2.1'), familyOf('::1')]).toEqual([4, 6]);
    expect([
      formatTransportAddress({ ip: '::1', port: 2 }),
      formatTransportAddress({ ip: '1.2.3.4', port: 5 }),
    ]).toEqual(['[::1]:2', '1.2.3.4:5']);
    expect(['127.0.0.1', '127.9.9.9', '::1', '128.0.0.1', '::2'].map(isLoopback)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(['169.254.1.1', 'fe80::1', 'febf::1', 'fec0::1', '169.255.1.1'].map(isLinkLocal)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(['::', '0.0.0.0', '::1'].map(isUnspecified)).toEqual([true, true, false]);
  });
});

describe('families in turn', () => {
  it.each([
    [[], []],
    [
      ['2001:db8::1', '2001:db8::2', '2001:db8::3', '192.0.2.1'],
      ['2001:db8::1', '192.0.2.1', '2001:db8::2', '2001:db8::3'],
    ],
    [
      ['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'],
      ['192.0.2.1', '2001:db8::1', '192.0.2.2', '2001:db8::2'],
    ],
  ])('%j: %j', (given, expected) => {
    expect(alternateFamilies(given)).toEqual(expected);
  });
});

describe('deadlines', () => {
  it('come in order of time, each once', () => {
    const deadlines = new Deadlines(['a', 'b', 'c']);
    expect(deadlines.next()).toBeUndefined();
    deadlines.set('a', 30);
    deadlines.set('b', 10);
    deadlines.set('c', 20);
    expect([deadlines.get('a'), deadlines.next()]).toEqual([30, 10]);
    expect(deadlines.takeDue(9)).toBeUndefined();
    expect([deadlines.takeDue(25), deadlines.takeDue(25), deadlines.takeDue(25)]).toEqual(['b', 'c', undefined]);
    expect(deadlines.next()).toBe(30);
  });

  it('are moved and cleared', () => {
    const deadlines = new Deadlines(['a', 'b']);
    deadlines.set('a', 5);
    deadlines.set('a', 50);
    deadlines.set('b', 20);
    expect(deadlines.takeDue(10)).toBeUndefined();
    deadlines.clear('b');
    expect(deadlines.next()).toBe(50);
    deadlines.clearAll();
    expect([deadlines.next(), deadlines.takeDue(1e9)]).toEqual([undefined, undefined]);
  });
});

describe('randomness, time, errors', () => {
  it('integers stay below their limit and reach every value', () => {
    const random = new SeededRandom(2);
    const seen = new Set(Array.from({ length: 500 }, () => randomInteger(random, 7)));
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('values that would be favoured by a modulo are drawn again', () => {
    const draws = [Uint8Array.of(0xff, 0xff, 0xff, 0xff), Uint8Array.of(0, 0, 0, 9)];
    expect(randomInteger({ bytes: () => draws.shift() as Uint8Array }, 10)).toBe(9);
    expect(draws).toHaveLength(0);
  });

  it('the earlier of two instants, where undefined is never', () => {
    expect([earliest(1, 2), earliest(2, 1), earliest(undefined, 3), earliest(3, undefined)]).toEqual([1, 1, 3, 3]);
    expect(earliest(undefined, undefined)).toBeUndefined();
  });

  it('errors carry stable codes and their cause', () => {
    expect(new WireError('x')).toMatchObject({ name: 'WireError', code: 'ERR_MOBISOCK_WIRE' });
    expect(new ProtocolError('x')).toMatchObject({ name: 'ProtocolError', code: 'ERR_MOBISOCK_PROTOCOL' });
    const cause = new Error('why');
    expect(new UsageError('x', 'ERR_MOBISOCK_POLICY', { cause })).toMatchObject({
      name: 'UsageError',
      code: 'ERR_MOBISOCK_POLICY',
      cause,
    });
    expect(new UsageError('x').code).toBe('ERR_MOBISOCK_USAGE');
  });
});
