import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../../src/core/bytes.ts';
import { WireError } from '../../../src/core/errors.ts';
import {
  decodeAttributes,
  decodeMessages,
  encodeAttribute,
  encodeMessage,
  type NetlinkMessage,
  numberBytes,
  readNumber,
} from '../../../src/host/netlink/message.ts';
import {
  decodeRouteMessage,
  encodeAddressDump,
  encodeLinkDump,
  encodeRouteRequest,
  type RouteNetlinkMessage,
} from '../../../src/host/netlink/route-messages.ts';

/** Taken from Linux 6.18 on x86-64 (`ip addr add` and so on between veths); the link's later attributes left out. */
const VECTORS = {
  newAddress4:
    '4c000000140000005185016b24450000021880000300000008000100c000020108000200c0000201070003007630000008000800800000001' +
    '4000600ffffffffffffffff3ca303003ca30300',
  newAddress6:
    '480000001400000000000000000000000a408200030000001400010020010db800000000000000000000000114000600ffffffffffffffff' +
    '3da303003da303000800080082000000',
  deletedAddress6:
    '500000001500000000000000000000000a40c0fd0300000014000100fe80000000000000d469b2fffe8d0cd014000600ffffffffffffffff' +
    '3ca303003ca3030008000800c000000005000b0003000000',
  newRoute4:
    '3c000000180000065185016b2745000002180000fe0300010000000008000f00fe00000008000100c633640008000500c000020908000400' +
    '03000000',
  localRoute4:
    '3c00000018000006000000000000000002200000ff02fe020000000008000f00ff00000008000100c000020108000700c000020108000400' +
    '03000000',
  linkUp: '28000000100000000000000000000000000001000300000043100100000000000700030076300000',
} as const;

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const decode = (bytes: Uint8Array): RouteNetlinkMessage[] => decodeMessages(bytes).map(decodeRouteMessage);
const littleEndian = numberBytes(1)[0] === 1;

/** Runs the decoder on anything; whatever it throws but a WireError is a failure. */
function decodeOrWireError(bytes: Uint8Array): RouteNetlinkMessage[] | WireError {
  try {
    return decode(bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
}

describe.skipIf(!littleEndian)('netlink messages as a little-endian kernel sends them', () => {
  it('reads addresses of both families', () => {
    expect(decode(bytesOf(VECTORS.newAddress4))).toEqual([
      {
        kind: 'address',
        removed: false,
        interfaceIndex: 3,
        ip: '192.0.2.1',
        prefixLength: 24,
        scope: 'global',
        tentative: false,
        dadFailed: false,
        deprecated: false,
        temporary: false,
        home: false,
      },
    ]);
    expect(decode(bytesOf(VECTORS.newAddress6))).toMatchObject([
      { removed: false, ip: '2001:db8::1', prefixLength: 64, interfaceIndex: 3, tentative: false },
    ]);
    expect(decode(bytesOf(VECTORS.deletedAddress6))).toMatchObject([
      { removed: true, ip: 'fe80::d469:b2ff:fe8d:cd0', scope: 'link', tentative: true },
    ]);
  });

  it("tells routes that forward from the kernel's own", () => {
    expect(decode(bytesOf(VECTORS.newRoute4))).toEqual([
      {
        kind: 'route',
        removed: false,
        forwarding: true,
        interfaceIndex: 3,
        sourceIp: undefined,
        gatewayIp: '192.0.2.9',
      },
    ]);
    expect(decode(bytesOf(VECTORS.localRoute4))).toEqual([
      { kind: 'route', removed: false, forwarding: false, interfaceIndex: 3, sourceIp: '192.0.2.1' },
    ]);
  });

  it('reads the state of a link', () => {
    expect(decode(bytesOf(VECTORS.linkUp))).toEqual([
      { kind: 'link', removed: false, index: 3, name: 'v0', up: true, running: true, hardwareType: 1 },
    ]);
  });

  it('reads several messages from one read', () => {
    const all = concatBytes(...Object.values(VECTORS).map(bytesOf));
    expect(decode(all).map(({ kind }) => kind)).toEqual(['address', 'address', 'address', 'route', 'route', 'link']);
  });

  it('fails on every truncation', () => {
    for (const hex of Object.values(VECTORS)) {
      const bytes = bytesOf(hex);
      for (let length = 1; length < bytes.length; length++) {
        // The padding at the end is not part of what the header counts.
        if (length >= readNumber(bytes, 0, 'length')) continue;
        expect(decodeOrWireError(bytes.subarray(0, length)), `${hex} cut to ${length}`).toBeInstanceOf(WireError);
      }
    }
  });

  it('fails on every body cut short, with a header that agrees', () => {
    for (const hex of Object.values(VECTORS)) {
      const [message] = decodeMessages(bytesOf(hex)) as [NetlinkMessage];
      const whole = JSON.stringify(decodeRouteMessage(message));
      for (let length = 0; length < message.body.length; length++) {
        const cut = encodeMessage({ ...message, body: message.body.slice(0, length) });
        const result = decodeOrWireError(cut);
        // Cut between two attributes it is a shorter message: no error, unless something needed was behind the cut.
        if (!(result instanceof WireError)) expect(result).toHaveLength(1);
        if (length < 8) expect(result, `${whole} cut to ${length}`).toBeInstanceOf(WireError);
      }
    }
  });

  it('gives a value or a WireError for any bytes and any flipped bit, and nothing else', () => {
    let seed = 1;
    const random = (): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    };
    const vectors = Object.values(VECTORS).map(bytesOf);
    for (let i = 0; i < 20_000; i++) {
      const noise = Uint8Array.from({ length: random() % 80 }, () => random() & 0xff);
      decodeOrWireError(noise);
      const type = 16 + (random() % 12);
      decodeOrWireError(encodeMessage({ type, flags: 0, sequence: 0, portId: 0, body: noise }));
      const flipped = (vectors[i % vectors.length] as Uint8Array).slice();
      const at = random() % flipped.length;
      flipped[at] = (flipped[at] as number) ^ (1 << (random() % 8));
      decodeOrWireError(flipped);
    }
  });

  it('asks for the dumps and the route as the kernel expects them', () => {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    expect(hex(encodeAddressDump(2))).toBe('180000001600010302000000000000000000000000000000');
    expect(hex(encodeLinkDump(1))).toBe(`280000001200010301000000${'00'.repeat(4)}${'00'.repeat(16)}08001d0008000000`);
    expect(hex(encodeRouteRequest(1, '192.0.2.7', undefined))).toBe(
      `240000001a00010001000000${'00'.repeat(4)}02200000${'00'.repeat(8)}08000100c0000207`,
    );
    expect(hex(encodeRouteRequest(1, 'fe80::1%v0', 3))).toBe(
      `380000001a00010001000000${'00'.repeat(4)}0a800000${'00'.repeat(8)}` +
        `14000100fe80000000000000000000000000000108000400 03000000`.replace(' ', ''),
    );
  });
});

describe('netlink framing', () => {
  const message = (body: Uint8Array): NetlinkMessage => ({ type: 20, flags: 2, sequence: 7, portId: 9, body });

  it('gives back what went in', () => {
    for (let length = 0; length < 9; length++) {
      const body = new Uint8Array(length).fill(0xa5);
      const two = concatBytes(encodeMessage(message(body)), encodeMessage(message(body)));
      expect(decodeMessages(two)).toEqual([message(body), message(body)]);
      const attributes = concatBytes(encodeAttribute(1, body), encodeAttribute(2, body));
      expect(decodeAttributes(attributes)).toEqual(
        new Map([
          [1, body],
          [2, body],
        ]),
      );
    }
  });

  it('never stands still on a length of zero', () => {
    expect(() => decodeMessages(new Uint8Array(16))).toThrow(WireError);
    expect(() => decodeAttributes(new Uint8Array(4))).toThrow(WireError);
  });

  it('hands on the errors in an answer', () => {
    const answer = (type: number, body: Uint8Array): RouteNetlinkMessage =>
      decodeRouteMessage({ type, flags: 0, sequence: 1, portId: 0, body });
    expect(answer(2, concatBytes(numberBytes(-101 >>> 0), new Uint8Array(16)))).toEqual({ kind: 'end', errno: 101 });
    expect(answer(2, new Uint8Array(20))).toMatchObject({ kind: 'end' });
    expect(answer(3, new Uint8Array(4))).toMatchObject({ kind: 'end' });
    expect(() => answer(4, new Uint8Array(0))).toThrow(WireError);
  });

  it('ignores what a bridge says about its ports', () => {
    const body = concatBytes(new Uint8Array(16), encodeAttribute(3, Buffer.from('v0\0')));
    body[0] = 7;
    expect(decodeRouteMessage({ type: 17, flags: 0, sequence: 0, portId: 0, body })).toEqual({ kind: 'other' });
  });
});
