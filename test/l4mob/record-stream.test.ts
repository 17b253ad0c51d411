/** Records on a subflow: whatever the pieces, what comes out is what went in, or nothing. */
import { describe, expect, it } from 'vitest';
import { WireError } from '../../src/core/errors.ts';
import { RecordReader, RecordWriter } from '../../src/l4mob/record-stream.ts';
import { SUITES, type Suite } from '../../src/l4mob/suite.ts';
import { RECORD_TYPE, type RecordHeader } from '../../src/l4mob/wire/record.ts';
import { SeededRandom } from '../sim/seeded-random.ts';

const PORT_PAIR = { initiator: 40_000, responder: 443 };

interface Received {
  readonly header: RecordHeader;
  readonly payload: Buffer;
}

class Link {
  readonly writer: RecordWriter;
  readonly reader: RecordReader;
  readonly received: Received[] = [];
  readonly #take = (header: RecordHeader, payload: Buffer): void => {
    this.received.push({ header, payload: Buffer.from(payload) });
  };

  constructor(suite: Suite, subflow = 1, readerSubflow: number = subflow, readerPair: typeof PORT_PAIR = PORT_PAIR) {
    const key = Buffer.alloc(suite.keyBytes, 5);
    this.writer = new RecordWriter(suite.sealer(key), subflow, PORT_PAIR);
    this.reader = new RecordReader(suite.opener(key), readerSubflow, readerPair);
  }

  seal(payload: Buffer, offset = 0): Buffer {
    return Buffer.concat(this.writer.write(dataHeader(payload.length, offset), payload.length === 0 ? [] : [payload]));
  }

  push(bytes: Buffer): void {
    this.reader.push(bytes, this.#take);
  }
}

function dataHeader(payloadBytes: number, offset: number): RecordHeader {
  const type = payloadBytes === 0 ? RECORD_TYPE.ack : RECORD_TYPE.data;
  return { type, payloadBytes, stateSequence: 1, offset, acknowledgement: 7, window: 1000 };
}

describe.each(SUITES.map((suite) => [suite.name, suite] as const))('%s', (_, suite) => {
  it('survives any cutting into pieces', () => {
    const random = new SeededRandom(1);
    const small = [1, 0, 4_051, 4_052, 4_053].map((n) => Buffer.from(random.bytes(n)));
    const large = [65_536, 0, 3, 20_000].map((n) => Buffer.from(random.bytes(n)));
    for (const most of [1, 3, 50, 5_000, 200_000]) {
      const payloads = most < 50 ? small : [...small, ...large];
      const link = new Link(suite);
      let offset = 0;
      const wire = Buffer.concat(
        payloads.map((payload) => {
          const bytes = link.seal(payload, offset);
          offset += payload.length;
          return bytes;
        }),
      );
      for (let at = 0; at < wire.length; ) {
        const end = at + random.between(1, most);
        link.push(wire.subarray(at, end));
        at = end;
      }
      expect(link.received.map((r) => r.payload)).toEqual(payloads);
      expect(link.received[2]?.header).toEqual(dataHeader(4_051, 1));
    }
  });

  it('refuses records that come again, or out of order', () => {
    const replay = new Link(suite);
    const [one, two] = [replay.seal(Buffer.from('one')), replay.seal(Buffer.from('two'))];
    replay.push(one);
    expect(() => replay.push(one)).toThrow(WireError);
    const reorder = new Link(suite);
    expect(() => reorder.push(two)).toThrow(WireError);
    expect([replay.received.length, reorder.received.length]).toEqual([1, 0]);
  });

  it('refuses records of another subflow or another session', () => {
    const bytes = new Link(suite).seal(Buffer.from('hello'));
    expect(() => new Link(suite, 1, 2).push(bytes)).toThrow(WireError);
    expect(() => new Link(suite, 1, 1, { initiator: 40_001, responder: 443 }).push(bytes)).toThrow(WireError);
  });

  it('hands over nothing of a record in which a bit was flipped', () => {
    const bytes = new Link(suite).seal(Buffer.from('a payload'));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      const link = new Link(suite);
      try {
        link.push(flipped); // a longer length leaves it waiting
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
      expect(link.received).toEqual([]);
    }
  });
});
