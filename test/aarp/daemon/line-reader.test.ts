/** Lines cut out of a stream, however it comes. */
import { describe, expect, it } from 'vitest';
import { LineReader } from '../../../src/aarp/daemon/line-reader.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';

function taken(reader: LineReader): (string | undefined)[] {
  const lines: (string | undefined)[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) lines.push(line.text);
  return lines;
}

describe('lines', () => {
  it('are read whole, without their end', () => {
    const reader = new LineReader(16);
    reader.push(Buffer.from('one\ntwo\r\n\n\r\nthr'));
    expect(taken(reader)).toEqual(['one', 'two', '', '']);
    expect(reader.pendingBytes).toBe(3);
    reader.push(Buffer.from('ee\n'));
    expect(taken(reader)).toEqual(['three']);
    expect(reader.pendingBytes).toBe(0);
  });

  it('may be as long as the limit with their LF', () => {
    const reader = new LineReader(8);
    reader.push(Buffer.from('1234567\n12345678\nok\n'));
    expect(taken(reader)).toEqual(['1234567', undefined, 'ok']);
  });

  it('too long are told once, at once, and not kept', () => {
    const reader = new LineReader(8);
    reader.push(Buffer.from('12345678'));
    expect(taken(reader)).toEqual([undefined]);
    for (let i = 0; i < 100; i++) {
      reader.push(Buffer.alloc(1000, 'x'));
      expect(taken(reader)).toEqual([]);
      expect(reader.pendingBytes).toBe(0);
    }
    reader.push(Buffer.from('\nnext\n'));
    expect(taken(reader)).toEqual(['next']);
  });

  it('are the same however the stream is cut', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new SeededRandom(seed);
      const text = Array.from({ length: random.between(1, 30) }, () => {
        const length = random.between(0, 24);
        return `${'x'.repeat(length)}${random.chance(0.2) ? '\r' : ''}\n`;
      }).join('');
      const whole = new LineReader(16);
      whole.push(Buffer.from(text));
      const expected = taken(whole);
      const reader = new LineReader(16);
      const found: (string | undefined)[] = [];
      for (let at = 0; at < text.length; ) {
        const end = at + random.between(1, 9);
        reader.push(Buffer.from(text.slice(at, end)));
        if (random.chance(0.7)) found.push(...taken(reader));
        at = end;
      }
      expect([...found, ...taken(reader)], `seed ${seed}`).toEqual(expected);
    }
  });
});
