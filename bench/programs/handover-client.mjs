// Streams both ways over one connection. Asked by a line "AT LIMIT", both in ms, it tells when the first bytes came
// after AT (since 1970), or that by LIMIT after it none had: "first 1700000000123.4", "first never".
import { createInterface } from 'node:readline';
import { dial, stream } from './endpoint.mjs';

// More than what comes between two questions.
const KEPT_ARRIVALS = 10_000;
const [host, port] = process.argv.slice(2);
const arrivals = [];
let question;

const now = () => performance.timeOrigin + performance.now();

function answer(first) {
  clearTimeout(question?.timer);
  question = undefined;
  console.log(`first ${first}`);
}

const socket = dial(Number(port), () => stream(socket), host);
socket.once('data', () => console.log('streaming'));
socket.on('data', () => {
  const at = now();
  if (question !== undefined && at >= question.at) return answer(at);
  arrivals.push(at);
  if (arrivals.length > KEPT_ARRIVALS) arrivals.shift();
});
// A connection that has ended brings no byte either.
socket.on('error', (error) => console.error(`connection lost: ${error.code}`));

createInterface({ input: process.stdin }).on('line', (line) => {
  const [at, limitMs] = line.split(' ').map(Number);
  const first = arrivals.splice(0).find((arrival) => arrival >= at);
  if (first !== undefined) return answer(first);
  question = { at, timer: setTimeout(answer, at + limitMs - now(), 'never') };
});
