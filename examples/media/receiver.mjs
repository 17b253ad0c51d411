// Receives streams of small packets over UDP and reports to each sender twice a second what has come of it:
//
//     node receiver.mjs [--json] [--port 5004]
//
// Jitter as in RFC 3550, section 6.4.1. Senders are told apart by the address that they come from.
import dgram from 'node:dgram';
import { parseArgs } from 'node:util';
import { nowUs, readHeader } from './packet.mjs';

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, port: { type: 'string', default: '5004' } },
});
const REPORT_MS = 500;
const FORGET_MS = 60_000;
const MAX_STREAMS = 10_000;
/** Sequence numbers, in the order in which they came. */
const REMEMBERED = 65_536;

class Stream {
  /** Kept all the same: the goodbye may be asked for again. */
  ended = false;
  received = 0;
  twice = 0;
  late = 0;
  highest = -1;
  jitterUs = 0;
  longestGapMs = 0;
  heardAt = performance.now();
  #transitUs;
  #seen = new Set();

  take({ sequence, sentAtUs }) {
    const now = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, now - this.heardAt);
    this.heardAt = now;
    if (this.#seen.has(sequence)) {
      this.twice += 1;
      return;
    }
    this.#seen.add(sequence);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value);
    this.received += 1;
    if (sequence < this.highest) this.late += 1;
    this.highest = Math.max(this.highest, sequence);
    const transitUs = nowUs() - sentAtUs;
    if (this.#transitUs !== undefined) {
      this.jitterUs += (Math.abs(transitUs - this.#transitUs) - this.jitterUs) / 16;
    }
    this.#transitUs = transitUs;
  }

  report() {
    return {
      received: this.received,
      lost: this.highest + 1 - this.received,
      twice: this.twice,
      late: this.late,
      jitterMs: Number((this.jitterUs / 1000).toFixed(2)),
      longestGapMs: Math.round(this.longestGapMs),
    };
  }
}

const streams = new Map();
const socket = dgram.createSocket('udp6');

function streamOf(name) {
  let stream = streams.get(name);
  if (stream === undefined) {
    if (streams.size >= MAX_STREAMS) return undefined;
    stream = new Stream();
    streams.set(name, stream);
  }
  return stream;
}

socket.on('message', (message, from) => {
  const header = readHeader(message);
  const isEnd = message.toString() === 'goodbye';
  if (header === undefined && !isEnd) return;
  const stream = streamOf(`${from.address} ${from.port}`);
  if (stream === undefined) return;
  stream.from = from;
  if (!isEnd) return stream.take(header);
  stream.ended = true;
  socket.send(JSON.stringify({ ...stream.report(), goodbye: true }), from.port, from.address);
});

/** IPv4 as people write it. */
function nameOf(address) {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}

setInterval(() => {
  const now = performance.now();
  for (const [name, stream] of streams) {
    if (now - stream.heardAt > FORGET_MS) streams.delete(name);
    if (stream.ended) continue;
    const report = stream.report();
    socket.send(JSON.stringify(report), stream.from.port, stream.from.address, () => {});
    const { address, port } = stream.from;
    if (values.json) console.log(JSON.stringify({ address, port, ...report }));
    else
      console.log(
        `${nameOf(address)} port ${port}: ${report.received} received, ${report.lost} lost, jitter ${report.jitterMs} ms`,
      );
  }
}, REPORT_MS);

socket.bind(Number(values.port), () => console.log(`serving UDP on port ${socket.address().port}`));
