// Sends a stream of small packets over UDP, as a camera or a telephone does, and shows what the receiver reports:
//
//     node sender.mjs [--json] [--rate 200] [--bytes 1000] [--seconds 20] HOST PORT
//
// Ends with 0 when the receiver has said goodbye, else with 1; with 2 where it was not told whom to send to.
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { parseArgs } from 'node:util';
import { HEADER_BYTES, nowUs, writeHeader } from './packet.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rate: { type: 'string', default: '200' },
    bytes: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
  },
});
const [host, port] = positionals;
if (positionals.length !== 2 || !(Number(port) > 0 && Number(port) < 65_536)) {
  console.error('HOST and PORT of a receiver are wanted: node sender.mjs 127.0.0.1 5004');
  process.exit(2);
}
const rate = Number(values.rate);
const total = rate * Number(values.seconds);
const packet = Buffer.alloc(Math.max(HEADER_BYTES, Number(values.bytes)), 'media');
const say = (facts, sentence) => console.log(values.json ? JSON.stringify(facts) : sentence);

/** Asked again until the receiver answers, or five seconds have gone by. */
const GOODBYE_EVERY_MS = 100;
const GOODBYE_TIMES = 50;

let sent = 0;
let reports = 0;
const startedAt = performance.now();
const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');

// An unreachable network is what a moving sender meets: the stream goes on.
const onSent = (error) => {
  if (error !== null && error !== undefined && values.json) say({ error: error.code }, error.code);
};
socket.on('error', onSent);
socket.on('message', (message) => {
  const report = JSON.parse(message.toString());
  reports += 1;
  if (report.goodbye) {
    say({ ...report, done: true, sent }, `the receiver got ${report.received} of ${sent}`);
    process.exit(0);
  }
  const { received, lost, jitterMs } = report;
  const sentence = `sent ${sent}, received ${received}, lost ${lost}, jitter ${jitterMs} ms`;
  if (values.json || reports % 2 === 0) say({ sent, ...report }, sentence);
});

function sendDue() {
  const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1000) * rate));
  for (; sent < due; sent++) {
    writeHeader(packet, sent, nowUs());
    socket.send(Buffer.from(packet), onSent);
  }
  if (sent < total) return;
  clearInterval(sending);
  let asked = 0;
  const asking = setInterval(() => {
    asked += 1;
    if (asked <= GOODBYE_TIMES) return socket.send('goodbye', onSent);
    clearInterval(asking);
    say({ error: 'no goodbye', sent, reports }, `no answer to the end of the stream; ${reports} reports came`);
    process.exit(1);
  }, GOODBYE_EVERY_MS);
}

let sending;
socket.connect(Number(port), host, (error) => {
  if (error) {
    console.error(`${host} cannot be reached: ${error.message}`);
    process.exit(1);
  }
  sending = setInterval(sendDue, 1000 / rate);
});
