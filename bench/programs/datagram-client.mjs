// Sends datagrams of 1200 bytes over a connected socket, as many at a time as the receiver's buffer holds, and prints
// how many arrived in a second. What is lost is not sent again.
import dgram from 'node:dgram';

const [port, warmUp, counted] = process.argv.slice(2).map(Number);
/** A default receive buffer holds about 90 of them. */
const WINDOW = 48;
const STALLED_MS = 20;
const payload = Buffer.alloc(1200, 'mobisock');
const socket = dgram.createSocket('udp4');

let sent = 0;
let received = 0;
let progressAt = performance.now();
let mark;

function fill() {
  while (sent - received < WINDOW) {
    sent += 1;
    socket.send(payload);
  }
}

socket.on('message', (ack) => {
  received = ack.readDoubleBE();
  progressAt = performance.now();
  if (mark === undefined && received >= warmUp) mark = { received, at: progressAt };
  if (mark !== undefined && received >= mark.received + counted) {
    process.send(((received - mark.received) / (progressAt - mark.at)) * 1000);
    socket.close();
    clearInterval(timer);
    process.disconnect();
    return;
  }
  fill();
});
const timer = setInterval(() => {
  if (performance.now() - progressAt < STALLED_MS) return;
  progressAt = performance.now();
  sent = received; // the rest was lost
  fill();
}, STALLED_MS);
socket.connect(port, '127.0.0.1', fill);
