import { describe, expect, test } from 'vitest';
import type { TransportAddress } from '../../src/core/address.ts';
import { AddressMap } from '../../src/core/address-map.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

describe('an address map', () => {
  test('does what a map by text does, whatever ports and addresses have in common', () => {
    const random = new SeededRandom(7);
    const map = new AddressMap<number>();
    const plain = new Map<string, number>();
    const address = (): TransportAddress => ({ ip: `10.0.0.${random.between(1, 6)}`, port: random.between(1, 6) });
    for (let step = 0; step < 20_000; step++) {
      const at = address();
      const text = `${at.ip} ${at.port}`;
      if (random.chance(0.5)) {
        map.set(at, step);
        plain.set(text, step);
      } else {
        map.delete(at);
        plain.delete(text);
      }
      const look = address();
      expect(map.get(look)).toBe(plain.get(`${look.ip} ${look.port}`));
      expect(map.size).toBe(plain.size);
    }
    map.clear();
    plain.clear();
    // Around none, one and two entries it is laid out in another way.
    for (let step = 0; step < 5_000; step++) {
      const at = address();
      if (plain.size < random.between(1, 3)) {
        map.set(at, step);
        plain.set(`${at.ip} ${at.port}`, step);
      } else {
        const [text = ''] = random.pick([...plain]);
        const [ip = '', port] = text.split(' ');
        map.delete({ ip, port: Number(port) });
        plain.delete(text);
      }
      map.delete({ ip: at.ip, port: 99 });
      const look = address();
      expect(map.get(look)).toBe(plain.get(`${look.ip} ${look.port}`));
      expect(map.size).toBe(plain.size);
    }
    map.clear();
    expect(map.size).toBe(0);
    expect(map.get(address())).toBeUndefined();
  });
});
