// Two ends that send each other seeded streams and compare every byte they get. Knows nothing of mobility.
//
//   node exchange.mjs '{"listen":{"host":"::","port":7000},"send":{...}}'
//   node exchange.mjs '{"connect":{"host":"10.77.3.2","port":7000},"connections":1,"firstNumber":0,"send":{...}}'
//
// `send`: absent: nothing; { "full": true }: as fast as the peer takes it; { "bytes": n, "everyMs": m }: paced. With
// "heedless": true it writes whether or not the socket has room. `read`: false leaves everything unread.
//
// Says what happens as JSON lines. Takes commands as lines: finish (end what is sent), stop (send no more), send
// (again), pause, read, destroy, status, first-after MS (since 1970: when did the first byte after that come?),
// exit CODE, connect (one more).
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { SeededStream } from './seeded-stream.mjs';

const plan = JSON.parse(process.argv[2]);
const HEADER_BYTES = 4;
const KEPT_ARRIVALS = 100_000;
const exchanges = new Set();
let lastNumber = plan.firstNumber ?? 0;

const say = (event, facts = {}) => process.stdout.write(`${JSON.stringify({ event, at: Date.now(), ...facts })}\n`);

class Exchange {
  received = 0;
  sent = 0;
  drains = 0;
  #socket;
  #role;
  #header = Buffer.alloc(0);
  #outgoing;
  #incoming;
  #timer;
  #sending = false;
  #arrivals = [];
  #askedAfter;
  #error;

  constructor(socket, role) {
    this.#socket = socket;
    this.#role = role;
    exchanges.add(this);
    socket.on('data', (bytes) => this.#take(bytes));
    socket.on('drain', () => {
      this.drains += 1;
      if (this.#sending && plan.send?.full) this.#fill();
    });
    socket.on('end', () => say('end', { name: this.name, received: this.received }));
    socket.on('error', (error) => {
      this.#error = error.code ?? error.message;
      say('error', { name: this.name, code: this.#error, syscall: error.syscall });
    });
    socket.on('close', () => {
      this.stop();
      exchanges.delete(this);
      const { name, sent, received } = this;
      say('close', { name, sent, received, error: this.#error });
    });
  }

  begin(number) {
    this.name = String(number);
    const other = this.#role === 'client' ? 'server' : 'client';
    this.#outgoing = new SeededStream(`${this.#role} ${number}`);
    this.#incoming = new SeededStream(`${other} ${number}`);
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket;
    say('connected', { name: this.name, localAddress, localPort, remoteAddress, remotePort });
    if (plan.read === false) this.pause();
    if (plan.send !== undefined) this.send();
  }

  send() {
    this.#sending = true;
    if (plan.send.full) return this.#fill();
    this.#timer ??= setInterval(() => {
      if (plan.send.heedless || !this.#socket.writableNeedDrain) this.#write(plan.send.bytes);
    }, plan.send.everyMs);
  }

  stop() {
    this.#sending = false;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  finish() {
    this.stop();
    this.#socket.end();
  }

  pause() {
    this.#socket.pause();
  }

  read() {
    this.#socket.resume();
  }

  destroy() {
    this.#socket.destroy();
  }

  firstAfter(at) {
    const found = this.#arrivals.find((arrival) => arrival >= at);
    if (found === undefined) this.#askedAfter = at;
    else say('first-after', { name: this.name, first: found });
  }

  get status() {
    const { name, sent, received, drains } = this;
    const { writableLength, writableNeedDrain } = this.#socket;
    return { name, sent, received, drains, writableLength, writableNeedDrain };
  }

  #fill() {
    while (this.#sending && this.#write(64 * 1024));
  }

  #write(bytes) {
    this.sent += bytes;
    return this.#socket.write(this.#outgoing.next(bytes));
  }

  #take(bytes) {
    let rest = bytes;
    if (this.#incoming === undefined) {
      this.#header = Buffer.concat([this.#header, bytes]);
      if (this.#header.length < HEADER_BYTES) return;
      rest = this.#header.subarray(HEADER_BYTES);
      this.begin(this.#header.readUInt32BE(0));
      if (rest.length === 0) return;
    }
    if (!this.#incoming.continuesWith(rest)) {
      say('corrupt', { name: this.name, within: [this.received, this.received + rest.length] });
      process.exit(3);
    }
    this.received += rest.length;
    const now = Date.now();
    this.#arrivals.push(now);
    if (this.#arrivals.length > KEPT_ARRIVALS) this.#arrivals.splice(0, KEPT_ARRIVALS / 2);
    if (this.#askedAfter !== undefined && now >= this.#askedAfter) {
      this.#askedAfter = undefined;
      say('first-after', { name: this.name, first: now });
    }
  }
}

function open() {
  lastNumber += 1;
  const number = lastNumber;
  const socket = connect({ ...plan.connect, allowHalfOpen: true });
  const exchange = new Exchange(socket, 'client');
  socket.on('connect', () => {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(number);
    socket.write(header);
    exchange.begin(number);
  });
}

if (plan.listen !== undefined) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    say('accepted', { remoteAddress: socket.remoteAddress });
    new Exchange(socket, 'server');
  });
  server.listen(plan.listen, () => say('listening', { port: server.address().port }));
} else {
  for (let i = 0; i < (plan.connections ?? 1); i++) open();
}

const COMMANDS = new Set(['finish', 'stop', 'send', 'pause', 'read', 'destroy']);
const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  const [command, argument] = line.split(' ');
  if (command === 'exit') process.exit(Number(argument));
  else if (command === 'connect') open();
  else if (command === 'first-after') for (const exchange of exchanges) exchange.firstAfter(Number(argument));
  else if (command === 'status') {
    const { rss } = process.memoryUsage();
    say('status', { rss, exchanges: [...exchanges].map((exchange) => exchange.status) });
  } else if (COMMANDS.has(command)) for (const exchange of exchanges) exchange[command]();
  else throw new Error(`unknown command "${line}"`);
});
