/** The two halves of a stream: replay buffer and send side, receive side and window. */
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../src/core/errors.ts';
import { ReceiveSide } from '../../src/l4mob/receive-side.ts';
import { ReplayBuffer } from '../../src/l4mob/replay-buffer.ts';
import { SendSide } from '../../src/l4mob/send-side.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const text = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString();

describe('the replay buffer', () => {
  it('gives back any range of what is not released, whatever the sizes written', () => {
    const random = new SeededRandom(1);
    const buffer = new ReplayBuffer();
    let all = Buffer.alloc(0);
    for (let round = 0; round < 300; round++) {
      const chunk = Buffer.from(random.bytes(random.pick([1, 10, 4_096, 5_000, 70_000])));
      buffer.append(chunk);
      all = Buffer.concat([all, chunk]);
      const from = random.between(buffer.start, buffer.end);
      const limit = random.between(0, 90_000);
      expect(Buffer.concat(buffer.peek(from, limit)).equals(all.subarray(from, from + limit))).toBe(true);
      if (random.chance(0.6)) buffer.release(random.between(buffer.start, buffer.end), random.chance(0.5));
      expect(buffer.length).toBe(buffer.end - buffer.start);
      expect(buffer.end).toBe(all.length);
    }
  });

  it('copies, since writers reuse their memory', () => {
    const buffer = new ReplayBuffer();
    const chunk = Buffer.from('abc');
    buffer.append(chunk);
    chunk.fill(0);
    expect(text(buffer.peek(0, 10))).toBe('abc');
  });

  it('does not overwrite released bytes that may still wait to be sent', () => {
    const buffer = new ReplayBuffer();
    buffer.append(Buffer.alloc(200_000, 'a'));
    const waiting = buffer.peek(0, 200_000);
    buffer.release(200_000, false);
    for (let i = 0; i < 4; i++) {
      const other = new ReplayBuffer();
      other.append(Buffer.alloc(200_000, 'b'));
    }
    expect(Buffer.concat(waiting).every((b) => b === 0x61)).toBe(true);
  });

  it('is empty after clear, and goes on from its end', () => {
    const buffer = new ReplayBuffer();
    buffer.append(Buffer.from('gone'));
    buffer.clear();
    expect([buffer.start, buffer.end, buffer.length]).toEqual([4, 4, 0]);
    buffer.append(Buffer.from('new'));
    expect(text(buffer.peek(4, 9))).toBe('new');
  });
});

describe('the send side', () => {
  it('sends within the window, and again from the acknowledgement after a move', () => {
    const side = new SendSide(100, 4);
    side.append(Buffer.from('abcdefgh'));
    expect([side.sendable, text(side.take(100)), side.sendable]).toEqual([4, 'abcd', 0]);
    expect(side.acknowledge(2, 4)).toBe(true);
    expect(text(side.take(100))).toBe('ef');
    side.rewind();
    expect([side.sent, side.outstanding]).toEqual([2, false]);
    expect(text(side.take(3))).toBe('cde');
    expect([side.acknowledged, side.unacknowledged, side.outstanding]).toEqual([2, 6, true]);
  });

  it('skips what the peer turns out to have', () => {
    const side = new SendSide(100, 100);
    side.append(Buffer.from('abcdefgh'));
    side.take(6);
    side.rewind();
    side.acknowledge(6, 100);
    expect(text(side.take(100))).toBe('gh');
  });

  it('says its end behind the last byte, again after a move, and no more once acknowledged', () => {
    const side = new SendSide(100, 100);
    side.append(Buffer.from('ab'));
    side.end();
    expect(side.endDue).toBe(false);
    side.take(10);
    expect(side.endDue).toBe(true);
    side.takeEnd();
    expect([side.endDue, side.outstanding]).toEqual([false, true]);
    side.rewind();
    side.take(10);
    expect(side.endDue).toBe(true);
    // On the new subflow the end has not gone out, but the peer has it from the old one.
    expect(side.acknowledge(3, 0)).toBe(true);
    expect([side.endDue, side.endAcknowledged, side.unacknowledged, side.outstanding]).toEqual([false, true, 0, false]);
    expect(side.acknowledge(3, 0)).toBe(false);
  });

  it('is told nothing new by old acknowledgements, and refuses impossible ones', () => {
    const side = new SendSide(100, 100);
    side.append(Buffer.from('abcd'));
    side.take(4);
    side.acknowledge(3, 10);
    expect(side.acknowledge(1, 10)).toBe(false);
    expect(side.acknowledged).toBe(3);
    expect(() => side.acknowledge(5, 0)).toThrow(ProtocolError);
    side.end();
    expect(() => side.acknowledge(5, 0)).toThrow(ProtocolError);
  });

  it('has room up to its limit', () => {
    const side = new SendSide(4, 100);
    expect(side.hasRoom).toBe(true);
    side.append(Buffer.from('abcd'));
    expect(side.hasRoom).toBe(false);
    side.clear();
    expect([side.hasRoom, side.sendable]).toEqual([true, 0]);
  });
});

describe('the receive side', () => {
  function drain(side: ReceiveSide): string {
    const parts: Buffer[] = [];
    for (let piece = side.shift(0); piece !== undefined; piece = side.shift(0)) parts.push(piece);
    return text(parts);
  }

  it('cuts duplicates by offset, in whatever records they come', () => {
    const side = new ReceiveSide(0, 100, 100);
    expect(side.take(0, Buffer.from('abc'))).toBe(3);
    expect(side.take(0, Buffer.from('abc'))).toBe(0);
    expect(side.take(1, Buffer.from('bcdef'))).toBe(3);
    expect([side.next, drain(side)]).toEqual([6, 'abcdef']);
  });

  it('refuses data beyond the window that was told, and behind the end', () => {
    const side = new ReceiveSide(0, 4, 4);
    expect(() => side.take(0, Buffer.from('abcde'))).toThrow(ProtocolError);
    side.take(0, Buffer.from('abcd'));
    expect(drain(side)).toBe('abcd');
    // It could take more, but the peer doesn't know.
    expect(() => side.take(4, Buffer.from('e'))).toThrow(ProtocolError);
    expect(side.windowUpdateDue).toBe(true);
    side.told();
    expect(side.take(4, Buffer.from('e'))).toBe(1);
    expect(() => side.end(9)).toThrow(ProtocolError);
    expect([side.end(5), side.end(5), side.acknowledgement]).toEqual([true, false, 6]);
    expect(() => side.take(5, Buffer.from('f'))).toThrow(ProtocolError);
    expect(side.windowUpdateDue).toBe(false);
  });

  it('never takes a window back', () => {
    const side = new ReceiveSide(0, 100, 100);
    side.take(0, Buffer.alloc(60));
    expect(side.window).toBe(40);
    side.told();
    side.shift(0);
    expect(side.window).toBe(100);
    expect(side.unacknowledged).toBe(0);
  });

  it('opens its window while the application keeps up, and not beyond the largest', () => {
    const side = new ReceiveSide(0, 100, 350);
    let offset = 0;
    const round = (now: number): void => {
      const size = side.window;
      side.take(offset, Buffer.alloc(size));
      offset += size;
      side.shift(now);
      side.told();
    };
    for (const [now, window] of [
      [10, 200],
      [20, 350],
      [30, 350],
    ] as const) {
      round(now);
      expect(side.window).toBe(window);
    }
    const slow = new ReceiveSide(0, 100, 350);
    slow.take(0, Buffer.alloc(100));
    slow.shift(5_000);
    expect(slow.window).toBe(100);
  });

  it('holds single bytes for a sleeping reader at the price of bytes, in order', () => {
    const side = new ReceiveSide(0, 100_000, 100_000);
    const random = new SeededRandom(7);
    const sent: Buffer[] = [];
    let offset = 0;
    let shifted = 0;
    const read: Buffer[] = [];
    while (offset < 90_000) {
      const piece = Buffer.from(random.bytes(random.chance(0.01) ? 3_000 : random.between(1, 4)));
      if (offset + piece.length > 100_000) break;
      side.take(offset, piece);
      sent.push(piece);
      offset += piece.length;
      if (random.chance(0.001)) {
        const part = side.shift(0);
        if (part !== undefined) read.push(part);
      }
    }
    for (let piece = side.shift(0); piece !== undefined; piece = side.shift(0)) {
      read.push(piece);
      shifted += 1;
    }
    expect(Buffer.concat(read).equals(Buffer.concat(sent))).toBe(true);
    expect(shifted).toBeLessThan(sent.length / 20);
    expect(side.inboxBytes).toBe(0);
    side.discard();
    expect(side.shift(0)).toBeUndefined();
  });
});
