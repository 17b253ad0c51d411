import { describe, expect, test } from 'vitest';
import { formatTransportAddress } from '../../../src/core/address.ts';
import { DatagramNames, MAX_ALIASES } from '../../../src/l4mob/io/datagram-names.ts';
import { FormerFlows } from '../../../src/l4mob/io/former-flows.ts';
import { DATAGRAM_TYPE } from '../../../src/l4mob/wire/datagram.ts';

describe('datagram names', () => {
  const at = (port: number, ip = '192.0.2.1') => ({ ip, port });

  test('give each stranger an alias of its own, which stays', () => {
    const names = new DatagramNames({ knows: () => false });
    const aliases = Array.from({ length: MAX_ALIASES }, (_, i) => names.aliasFor(at(2_000 + i)));
    expect(new Set(aliases.map((alias) => formatTransportAddress(alias?.name ?? at(0)))).size).toBe(MAX_ALIASES);
    for (const alias of aliases) {
      expect(alias?.name.ip).toBe('192.0.2.1');
      expect(names.aliasFor(alias?.address ?? at(0))).toBe(alias);
      expect(names.get(alias?.name ?? at(0))).toBe(alias);
    }
  });

  test('keep no more aliases than that: the one that came first goes', () => {
    const names = new DatagramNames({ knows: () => false });
    const first = names.aliasFor(at(2_000));
    for (let i = 1; i <= MAX_ALIASES; i++) names.aliasFor(at(2_000 + i));
    expect(first && names.get(first.name)).toBeUndefined();
  });

  test('give nobody the address of a plain peer as an alias', () => {
    const asked: number[] = [];
    const names = new DatagramNames({
      knows: ({ port }) => {
        asked.push(port);
        return asked.length < 4;
      },
    });
    const alias = names.aliasFor(at(2_000));
    expect(asked).toHaveLength(4);
    expect(alias?.name.port).toBe(asked[3]);
  });

  test('leave a stranger who gets a flow the alias that it had', () => {
    const names = new DatagramNames({ knows: () => false });
    const alias = names.aliasFor(at(2_000));
    // 2000 is a name, or there would be no alias.
    names.take({ name: at(2_000) } as never);
    expect(names.nameFor(at(2_000))).toEqual(alias?.name);
    expect(alias && names.get(alias.name)).toBeUndefined();
    expect(names.nameFor(at(2_001))).toEqual(at(2_001));
  });
});

describe('packets of former flows', () => {
  function packet(id: number, number: number, stateSequence = 1, type: number = DATAGRAM_TYPE.data): Buffer {
    const bytes = Buffer.alloc(60, 0x5a);
    bytes[0] = type;
    bytes.writeBigUInt64BE(BigInt(id), 1);
    bytes.writeUInt32BE(stateSequence, 9);
    bytes.writeBigUInt64BE(BigInt(number), 13);
    return bytes;
  }

  test('are noise from the second of a flow on', () => {
    const former = new FormerFlows();
    expect([1, 2, 3, 9].map((number) => former.isNoise(packet(77, number)))).toEqual([false, true, true, true]);
    expect(former.isNoise(packet(78, 4))).toBe(false);
    expect(former.isNoise(packet(78, 5, 2))).toBe(true);
  });

  test("are not an application's own datagrams, whatever their first byte", () => {
    const former = new FormerFlows();
    const own = [
      packet(1, 5, 0), // no state sequence number
      packet(1, 6, 0),
      packet(2, 5, 0x10000),
      packet(2, 6, 0x10000),
      packet(3, 2 ** 41),
      packet(3, 2 ** 41 + 1),
      packet(4, 7),
      packet(4, 7), // a number that does not rise
      packet(4, 6),
      Buffer.alloc(60, 0x0b),
      Buffer.alloc(60, 0x0b),
    ];
    expect(own.map((bytes) => former.isNoise(bytes))).toEqual(own.map(() => false));
  });
});
