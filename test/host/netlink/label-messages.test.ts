import { describe, expect, it } from 'vitest';
import { WireError } from '../../../src/core/errors.ts';
import {
  decodeLabel,
  encodeDeletedLabel,
  encodeLabelDump,
  encodeNewLabel,
} from '../../../src/host/netlink/label-messages.ts';
import { decodeMessages, numberBytes } from '../../../src/host/netlink/message.ts';
import { decodeRouteMessage } from '../../../src/host/netlink/route-messages.ts';

/** Taken from Linux 6.18 on x86-64: `ip addrlabel add prefix 2001:db8::/32 dev lo label 77`, the eleventh change. */
const LISTED =
  '380000004800020001000000a17100000a002000010000000b0000001400010020010db8000000000000000000000000080002004d000000';
const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const prefix = bytesOf('20010db8000000000000000000000000');

describe.skipIf(numberBytes(1)[0] !== 1)('labels as a little-endian kernel tells them', () => {
  it('are read', () => {
    expect(decodeMessages(bytesOf(LISTED)).map(decodeRouteMessage)).toEqual([
      { kind: 'label', removed: false, prefix, prefixLength: 32, interfaceIndex: 1, label: 77, generation: 11 },
    ]);
  });

  it('are a WireError where something is missing, and never anything else', () => {
    const body = bytesOf(LISTED).subarray(16);
    for (let length = 0; length < body.length; length++) {
      expect(() => decodeLabel(body.subarray(0, length), false), `cut to ${length}`).toThrow(WireError);
    }
    const longer = body.slice();
    longer[2] = 129;
    expect(() => decodeLabel(longer, false)).toThrow('prefix of 16 bytes, 129 bits');
  });

  it('are asked for and changed as the kernel expects it', () => {
    const key = { prefix, prefixLength: 32, interfaceIndex: 1 };
    const body = `0a002000010000000000000014000100${hex(prefix)}08000200`;
    expect(hex(encodeLabelDump(1))).toBe('1c0000004a0001030100000000000000' + '0a0000000000000000000000');
    expect(hex(encodeNewLabel(2, key, 77))).toBe(`38000000480005050200000000000000${body}4d000000`);
    expect(hex(encodeDeletedLabel(3, key))).toBe(`38000000490005000300000000000000${body}00000000`);
  });
});
