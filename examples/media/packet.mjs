// What both ends know of a packet: sequence number, time of sending in microseconds, then filling.
export const HEADER_BYTES = 12;

export function writeHeader(packet, sequence, sentAtUs) {
  packet.writeUInt32BE(sequence, 0);
  packet.writeBigUInt64BE(BigInt(Math.round(sentAtUs)), 4);
}

export function readHeader(packet) {
  return { sequence: packet.readUInt32BE(0), sentAtUs: Number(packet.readBigUInt64BE(4)) };
}

export function nowUs() {
  return (performance.timeOrigin + performance.now()) * 1000;
}
