/** What a capture recorded, as payloads: for attackers who repeat it, changed or not. IPv4 over Ethernet. */
import { readFileSync } from 'node:fs';
import type { Capture } from '../lab/capture.ts';

export interface Captured {
  readonly protocol: 'tcp' | 'udp';
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;
const PROTOCOLS: Readonly<Record<number, 'tcp' | 'udp'>> = { 6: 'tcp', 17: 'udp' };

/** The packets with a payload, in order. The capture needs room for whole packets: `snapBytes`. */
export async function capturedPackets(capture: Capture): Promise<Captured[]> {
  // Everything that passed is in the file behind this.
  await capture.count();
  const file = readFileSync(capture.file);
  const found: Captured[] = [];
  for (let at = FILE_HEADER_BYTES; at + RECORD_HEADER_BYTES <= file.length; ) {
    const length = file.readUInt32LE(at + 8);
    const frame = file.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length);
    at += RECORD_HEADER_BYTES + length;
    const packet = decode(frame);
    if (packet !== undefined && packet.payload.length > 0) found.push(packet);
  }
  return found;
}

function decode(frame: Buffer): Captured | undefined {
  if (frame.readUInt16BE(12) !== 0x0800) return undefined;
  const ip = frame.subarray(ETHERNET_BYTES);
  const packet = ip.subarray(0, ip.readUInt16BE(2));
  const protocol = PROTOCOLS[packet.readUInt8(9)];
  if (protocol === undefined) return undefined;
  const segment = packet.subarray((packet.readUInt8(0) & 15) * 4);
  const headerBytes = protocol === 'udp' ? 8 : (segment.readUInt8(12) >> 4) * 4;
  return {
    protocol,
    source: packet.subarray(12, 16).join('.'),
    destination: packet.subarray(16, 20).join('.'),
    sourcePort: segment.readUInt16BE(0),
    destinationPort: segment.readUInt16BE(2),
    payload: segment.subarray(headerBytes),
  };
}
