// A stranger on the path: sees packets (a pcap of link type NFLOG on its input), and makes of each something of its
// own, sent to either of the two as if it came from the other: copies, at once and late, back, from elsewhere, altered,
// cut; headers with garbage behind them; datagrams of no flow.
//
//   tcpdump -i nflog:3 -w - | node stranger.mjs '{"seed":"1","as":[{"ip":"10.77.3.2","port":7200,"by":6600}],"own":6699}'
//
// `as`: what it sends from its port `by` is to look as coming from that address; others see to that.
//
// Says how much it sent, of each kind, when its input ends or it is asked to on SIGUSR2.
import dgram from 'node:dgram';
import { SeededStream } from './seeded-stream.mjs';

const plan = JSON.parse(process.argv[2]);
const random = new SeededStream(`stranger ${plan.seed}`);
const KEPT = 256;
const seen = [];
const sent = {};
const below = (limit) => random.next(4).readUInt32BE(0) % limit;

async function open(port) {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => {}); // nobody may be there
  await new Promise((resolve) => socket.bind(port, resolve));
  return socket;
}

const own = await open(plan.own);
const sockets = new Map();
for (const { ip, port, by } of plan.as) sockets.set(`${ip} ${port}`, await open(by));

const ATTACKS = {
  copy: (packet) => forge(packet.bytes, packet.from, packet.to),
  lateCopy: () => {
    const { bytes, from, to } = seen[below(seen.length)];
    forge(bytes, from, to);
  },
  reflection: ({ bytes, from, to }) => forge(bytes, to, from),
  copyFromElsewhere: ({ bytes, to }) => forge(bytes, undefined, to),
  alteration: ({ bytes, from, to }) => {
    const altered = Buffer.from(bytes);
    altered[below(altered.length)] ^= 1 << below(8);
    forge(altered, from, to);
  },
  cut: ({ bytes, from, to }) => forge(bytes.subarray(0, below(bytes.length)), from, to),
  garbage: ({ bytes, from, to }) => forge(Buffer.concat([bytes.subarray(0, 9), random.next(below(200))]), from, to),
  plain: ({ from, to }) => forge(Buffer.from('from a stranger'), from, to),
  plainFromElsewhere: ({ to }) => forge(Buffer.from('from a stranger'), undefined, to),
};
const KINDS = Object.keys(ATTACKS);

function forge(bytes, from, to) {
  const socket = from === undefined ? own : sockets.get(`${from.ip} ${from.port}`);
  socket?.send(bytes, to.port, to.ip, () => {}); // nobody may be there
}

function attack(packet) {
  if (seen.length < KEPT) seen.push(packet);
  else seen[below(KEPT)] = packet;
  const kind = KINDS[below(KINDS.length)];
  ATTACKS[kind](packet);
  sent[kind] = (sent[kind] ?? 0) + 1;
}

/** Of the attributes of a record, the one that is the IPv4 packet. */
function packetOf(record) {
  for (let at = 4; at + 4 <= record.length; at += (record.readUInt16LE(at) + 3) & ~3) {
    if (record.readUInt16LE(at + 2) !== 9) continue;
    const packet = record.subarray(at + 4, at + record.readUInt16LE(at));
    const udp = (packet[0] & 15) * 4;
    const ip = (from) => packet.subarray(from, from + 4).join('.');
    return {
      from: { ip: ip(12), port: packet.readUInt16BE(udp) },
      to: { ip: ip(16), port: packet.readUInt16BE(udp + 2) },
      bytes: Buffer.from(packet.subarray(udp + 8)),
    };
  }
  return undefined;
}

const tell = () => console.log(JSON.stringify({ event: 'attacks', at: Date.now(), ...sent }));
process.on('SIGUSR2', tell);
console.log(JSON.stringify({ event: 'ready', at: Date.now() }));

let rest = Buffer.alloc(0);
let header = 24;
for await (const bytes of process.stdin) {
  rest = Buffer.concat([rest, bytes]);
  for (;;) {
    const length = rest.length < header + 16 ? undefined : rest.readUInt32LE(header + 8);
    if (length === undefined || rest.length < header + 16 + length) break;
    const packet = packetOf(rest.subarray(header + 16, header + 16 + length));
    rest = rest.subarray(header + 16 + length);
    header = 0;
    if (packet !== undefined && packet.bytes.length > 0) attack(packet);
  }
}
