// What both ends know of a packet: a mark, sequence number, time of sending in microseconds, then filling.
const MARK = 0x6d656469; // "medi"
export const HEADER_BYTES = 16;

export function writeHeader(packet, sequence, sentAtUs) {
  packet.writeUInt32BE(MARK, 0);
  packet.writeUInt32BE(sequence, 4);
  packet.writeBigUInt64BE(BigInt(Math.round(sentAtUs)), 8);
}

/** Undefined where it is no packet of a stream: anybody can send anything to a UDP port. */
export function readHeader(packet) {
  if (packet.length < HEADER_BYTES || packet.readUInt32BE(0) !== MARK) return undefined;
  return { sequence: packet.readUInt32BE(4), sentAtUs: Number(packet.readBigUInt64BE(8)) };
}

export function nowUs() {
  return (performance.timeOrigin + performance.now()) * 1000;
}
