/** The record header and what its MAC covers. */
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import {
  RECORD_HEADER_BYTES,
  RECORD_PREFIX,
  RECORD_TYPE,
  type RecordHeader,
  RecordNumbering,
} from '../../../src/l4mob/wire/record.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { valueOrWireError } from './hardship.ts';

const PORT_PAIR = { initiator: 40_000, responder: 443 };
const HEADER: RecordHeader = {
  type: RECORD_TYPE.data,
  payloadBytes: 65_536,
  stateSequence: 0x01020304,
  offset: 2 ** 52 + 3,
  acknowledgement: 2 ** 41 + 9,
  window: 0xfffffffe,
};

function decode(bytes: Uint8Array): RecordHeader {
  return new RecordNumbering(1, PORT_PAIR).decode(bytes, 0);
}

describe('the record header', () => {
  it('comes back as it went out', () => {
    RECORD_PREFIX.whole.fill(0xa5);
    new RecordNumbering(1, PORT_PAIR).encode(HEADER);
    const bytes = Buffer.concat([Buffer.alloc(3, 0xff), RECORD_PREFIX.header]);
    RECORD_PREFIX.whole.fill(0x5a);
    expect(new RecordNumbering(1, PORT_PAIR).decode(bytes, 3)).toEqual(HEADER);
    expect(RECORD_PREFIX.header).toHaveLength(RECORD_HEADER_BYTES);
  });

  it('stands under the MAC behind subflow number, record number and port pair', () => {
    const prefix = RECORD_PREFIX;
    const numbering = new RecordNumbering(0x0a0b0c0d, PORT_PAIR);
    numbering.advance();
    numbering.advance();
    numbering.encode(HEADER);
    expect([...prefix.whole.subarray(0, 16)]).toEqual([10, 11, 12, 13, 0, 0, 0, 0, 0, 0, 0, 2, 0x9c, 0x40, 1, 0xbb]);
    expect(prefix.whole.subarray(16)).toEqual(prefix.header);
    expect(prefix.nonce).toEqual(prefix.whole.subarray(0, 12));
    expect(prefix.associated).toEqual(prefix.whole.subarray(12));
  });

  it('is refused with an unknown type, or a payload that its type has not', () => {
    const good = new RecordNumbering(1, PORT_PAIR);
    const withType = (type: number, payloadBytes: number): Uint8Array => {
      good.encode({ ...HEADER, type: type as RecordHeader['type'], payloadBytes });
      return RECORD_PREFIX.header.slice();
    };
    const types = new Set<number>(Object.values(RECORD_TYPE));
    for (let type = 0; type < 256; type++) {
      const allowed = [0, 1, 6, 7, 256, 257, 65_536, 65_537].filter(
        (bytes) => valueOrWireError(decode, withType(type, bytes)) === 'value',
      );
      if (!types.has(type)) expect(allowed).toEqual([]);
      else if (type === RECORD_TYPE.data) expect(allowed).toEqual([1, 6, 7, 256, 257, 65_536]);
      else if (type === RECORD_TYPE.addresses) expect(allowed).toEqual([7, 256]);
      else expect(allowed).toEqual([0]);
    }
  });

  it('is refused with counts above 2^53, and noise gives a value or a WireError', () => {
    new RecordNumbering(1, PORT_PAIR).encode(HEADER);
    const good = RECORD_PREFIX.header.slice();
    for (const at of [8, 16]) {
      const bytes = good.slice();
      bytes[at + 1] = 0x20;
      expect(() => decode(bytes)).toThrow(WireError);
    }
    const random = new SeededRandom(3);
    for (let i = 0; i < 2_000; i++) {
      const bytes = random.bytes(RECORD_HEADER_BYTES);
      bytes[0] = random.between(0, 15);
      valueOrWireError(decode, bytes);
    }
  });
});
