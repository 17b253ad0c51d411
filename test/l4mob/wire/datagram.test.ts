/** The datagram packet's header. */
import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import {
  DATAGRAM_TYPE,
  type DatagramHeader,
  datagramHeaderBytes,
  datagramId,
  decodeDatagram,
  isOpenDatagram,
  MAX_DATAGRAM_OVERHEAD,
  mayBeFlowDatagram,
  writeDatagramHeader,
} from '../../../src/l4mob/wire/datagram.ts';
import { SeededRandom } from '../../sim/seeded-random.ts';
import { valueOrWireError } from './hardship.ts';

const HEADER: DatagramHeader = {
  type: DATAGRAM_TYPE.data,
  idHigh: 0xf1020304,
  idLow: 0x85060708,
  stateSequence: 0xa1b2c3d4,
  packetNumber: 2 ** 52 + 2 ** 31 + 5,
  openNumber: 0,
  initiatorPort: 0,
  responderPort: 0,
};
const OPEN: DatagramHeader = {
  ...HEADER,
  type: DATAGRAM_TYPE.openData,
  packetNumber: 0xfffffffe,
  openNumber: 0xfedcba,
  initiatorPort: 65_535,
  responderPort: 443,
};

function packet(header: DatagramHeader, payloadBytes = 0): Uint8Array {
  const bytes = new Uint8Array(datagramHeaderBytes(header.type) + payloadBytes + 16).fill(0xa5);
  expect(writeDatagramHeader(bytes, 0, header)).toBe(datagramHeaderBytes(header.type));
  return bytes;
}

describe('the datagram header', () => {
  it.each([
    ['of data', HEADER],
    ['of an OPEN', OPEN],
  ])('%s comes back as it went out', (_, header) => {
    expect(decodeDatagram(packet(header))).toEqual(header);
    expect(decodeDatagram(packet(header, 1200))).toEqual(header);
    expect(datagramId(packet(header))).toEqual({ high: header.idHigh, low: header.idLow });
  });

  it('costs 37 bytes with its MAC, and 40 until the flow is confirmed', () => {
    expect(packet(HEADER)).toHaveLength(37);
    expect(packet(OPEN)).toHaveLength(40);
    expect(MAX_DATAGRAM_OVERHEAD).toBe(40);
  });

  it('writes nothing beyond its end', () => {
    for (const header of [HEADER, OPEN]) {
      const bytes = new Uint8Array(40).fill(0xa5);
      const length = writeDatagramHeader(bytes, 3, header);
      expect([...bytes.subarray(0, 3), ...bytes.subarray(3 + length)].every((byte) => byte === 0xa5)).toBe(true);
    }
  });

  it('is refused where anything is missing, and for lengths that its type has not', () => {
    for (const type of Object.values(DATAGRAM_TYPE)) {
      const header = type <= DATAGRAM_TYPE.openData ? { ...OPEN, type } : { ...HEADER, type };
      const accepted = [0, 1, 7, 8, 9, 14, 15, 1160, 1161, 1163, 1164, 60_000].filter(
        (bytes) => valueOrWireError(decodeDatagram, packet(header, bytes)) === 'value',
      );
      expect(accepted).toEqual(
        {
          [DATAGRAM_TYPE.open]: [0, 1, 7, 8, 9, 14, 15, 1160],
          [DATAGRAM_TYPE.openData]: [0, 1, 7, 8, 9, 14, 15, 1160, 1161, 1163, 1164, 60_000],
          [DATAGRAM_TYPE.data]: [0, 1, 7, 8, 9, 14, 15, 1160, 1161, 1163, 1164, 60_000],
          [DATAGRAM_TYPE.empty]: [0, 1, 7, 8, 9, 14, 15, 1160, 1161, 1163],
          [DATAGRAM_TYPE.challenge]: [8, 9, 14, 15, 1160, 1161, 1163],
          [DATAGRAM_TYPE.answer]: [8],
          [DATAGRAM_TYPE.close]: [8],
          [DATAGRAM_TYPE.addresses]: [15, 1160, 1161, 1163],
        }[type],
      );
      const least = packet(header, accepted[0] ?? 0);
      for (let length = 0; length < least.length; length++) {
        expect(() => decodeDatagram(least.subarray(0, length)), `${type}, ${length} bytes`).toThrow(WireError);
      }
    }
  });

  it.each([
    ['type', { ...HEADER, type: 7 as DatagramHeader['type'] }],
    ['type', { ...HEADER, type: 16 as DatagramHeader['type'] }],
    ['state sequence', { ...HEADER, stateSequence: 0 }],
    ['packet number', { ...HEADER, packetNumber: 0 }],
    ['packet number', { ...HEADER, packetNumber: 2 ** 53 }],
    ['packet number', { ...OPEN, packetNumber: 0 }],
    ['open number', { ...OPEN, openNumber: 0 }],
    ['port pair', { ...OPEN, initiatorPort: 0 }],
    ['port pair', { ...OPEN, responderPort: 0 }],
  ])('names the %s that is wrong', (field, header) => {
    expect(() => decodeDatagram(packet(header))).toThrow(new RegExp(`^datagram ${field}: `));
  });

  it('is told from plain traffic by one byte and the length', () => {
    for (let byte = 0; byte < 256; byte++) {
      const bytes = new Uint8Array(40);
      bytes[0] = byte;
      expect(mayBeFlowDatagram(bytes)).toBe(byte >= 8 && byte <= 15);
      expect(mayBeFlowDatagram(bytes.subarray(0, 36))).toBe(false);
      expect(isOpenDatagram(bytes)).toBe(byte === 8 || byte === 9);
      expect(isOpenDatagram(bytes.subarray(0, 39))).toBe(false);
    }
    expect([mayBeFlowDatagram(new Uint8Array(0)), isOpenDatagram(new Uint8Array(0))]).toEqual([false, false]);
  });

  it('noise gives a value or a WireError', () => {
    const random = new SeededRandom(5);
    for (let i = 0; i < 5_000; i++) {
      const bytes = random.bytes(random.between(0, 60));
      if (bytes.length > 0) bytes[0] = random.between(6, 17);
      valueOrWireError(decodeDatagram, bytes);
    }
  });
});
