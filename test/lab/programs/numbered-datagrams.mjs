// Two ends that send each other numbered datagrams and check every one that they get. Knows nothing of mobility.
//
//   node numbered-datagrams.mjs '{"listen":{"host":"::","port":7200},"send":{...}}'
//   node numbered-datagrams.mjs '{"connect":{"host":"10.77.3.2","port":7200},"sockets":1,"send":{...}}'
//
// `send`: { "bytes": n, "everyMs": m, "burst": k }: every m ms one datagram of n bytes to each of the next k peers, in
// turns; with one peer that gets all k of them.
//
// A client's sockets say hello, some at a time, until the server has answered often enough for each, and then by turns.
// Numbered datagrams begin with the command.
//
// Says what happens as JSON lines. Takes commands as lines: quiet (no more hellos), send, stop, status, first-after MS (since 1970: when did
// the first numbered datagram after that come, from each peer?), numbers (which came, as ranges).
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { createInterface } from 'node:readline';
import { SeededStream } from './seeded-stream.mjs';

const plan = JSON.parse(process.argv[2]);
const HELLO_EVERY_MS = 2;
const ENOUGH_ANSWERS = 12;
const OPENING_AT_ONCE = 8;
const KEPT_ARRIVALS = 4096;
const HEADER_BYTES = 8;
const HELLO = 0x68;
const NUMBERED = 0x6e;
const ROLES = { client: 0x63, server: 0x73 };
const role = plan.listen === undefined ? 'client' : 'server';
const other = role === 'client' ? 'server' : 'client';
const contents = { client: contentOf('client'), server: contentOf('server') };
const peers = [];
const indices = new Set();
const account = { altered: 0, misnamed: 0, strange: 0, errors: [] };
let greeting;
let sending;
let turn = 0;
let asked;

const say = (event, facts = {}) => process.stdout.write(`${JSON.stringify({ event, at: Date.now(), ...facts })}\n`);
const now = () => performance.timeOrigin + performance.now();
const nameOf = ({ address, port }) => `${address} ${port}`;

function contentOf(of) {
  return new SeededStream(`datagrams of the ${of}`).next(64 * 1024);
}

function make(by, kind, index, number, bytes) {
  const datagram = Buffer.alloc(Math.max(bytes, HEADER_BYTES));
  datagram[0] = ROLES[by];
  datagram[1] = kind;
  datagram.writeUInt16BE(index, 2);
  datagram.writeUInt32BE(number, 4);
  const room = datagram.length - HEADER_BYTES;
  const from = (number * 61 + index) % (contents[by].length - room);
  contents[by].copy(datagram, HEADER_BYTES, from, from + room);
  return datagram;
}

class Peer {
  sent = 0;
  received = new Set();
  doubled = 0;
  answers = 0;
  #arrivals = [];
  #transmit;

  constructor(index, name, transmit) {
    this.index = index;
    this.name = name;
    this.#transmit = transmit;
    indices.add(index);
    peers.push(this);
  }

  hello() {
    this.#transmit(make(role, HELLO, this.index, 0, HEADER_BYTES));
  }

  send() {
    this.sent += 1;
    this.#transmit(make(role, NUMBERED, this.index, this.sent, plan.send.bytes));
  }

  take(number) {
    if (this.received.has(number)) this.doubled += 1;
    this.received.add(number);
    const at = now();
    this.#arrivals.push(at);
    if (asked?.waiting.has(this) && at >= asked.at) answerAsked(this);
    if (this.#arrivals.length > KEPT_ARRIVALS) this.#arrivals.splice(0, KEPT_ARRIVALS / 2);
  }

  firstAfter(at) {
    return this.#arrivals.find((arrival) => arrival >= at);
  }

  get status() {
    const { index, name, sent, doubled } = this;
    return { index, name, sent, received: this.received.size, doubled };
  }

  get ranges() {
    const ranges = [];
    for (const number of [...this.received].sort((a, b) => a - b)) {
      const last = ranges.at(-1);
      if (last !== undefined && last[1] === number - 1) last[1] = number;
      else ranges.push([number, number]);
    }
    return ranges;
  }
}

/**
 * What a datagram is that came from `named`, if that is known: whole, and the peer's, or a hello of a new one.
 * Undefined after noting what is wrong with it.
 */
function judge(bytes, named) {
  const index = bytes.length < HEADER_BYTES ? -1 : bytes.readUInt16BE(2);
  const [number, kind] = index < 0 ? [] : [bytes.readUInt32BE(4), bytes[1]];
  const whole = index >= 0 && make(other, kind, index, number, bytes.length).equals(bytes);
  if (!whole) account[named === undefined ? 'strange' : 'altered'] += 1;
  else if (named?.index === index) return { peer: named, kind, number };
  else if (kind === HELLO && !indices.has(index)) return { index, kind };
  else account.misnamed += 1;
  return undefined;
}

function take({ peer, kind, number }) {
  if (kind === NUMBERED) peer.take(number);
  else peer.answers += 1;
}

function noteError(error) {
  if (error) account.errors.push(error.code);
}

function listen({ host, port }) {
  const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const peersByName = new Map();
  socket.on('error', noteError);
  socket.on('message', (bytes, from) => {
    const name = nameOf(from);
    const judged = judge(bytes, peersByName.get(name));
    if (judged === undefined) return;
    if (judged.peer === undefined) {
      const { address, port: fromPort } = from;
      const transmit = (datagram) => socket.send(datagram, fromPort, address, noteError);
      judged.peer = new Peer(judged.index, name, transmit);
      peersByName.set(name, judged.peer);
    }
    take(judged);
    if (judged.kind === HELLO) judged.peer.hello();
  });
  socket.bind(port, host, () => say('listening', { port: socket.address().port }));
}

/** One socket, until it was answered often enough. */
function open(index, { host, port }) {
  const socket = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  socket.on('error', noteError);
  return new Promise((resolve) => {
    socket.connect(port, host, () => {
      const peer = new Peer(index, nameOf(socket.remoteAddress()), (datagram) => socket.send(datagram, noteError));
      const timer = setInterval(() => peer.hello(), HELLO_EVERY_MS);
      socket.on('message', (bytes, from) => {
        const judged = judge(bytes, nameOf(from) === peer.name ? peer : undefined);
        if (judged === undefined) return;
        take(judged);
        if (peer.answers !== ENOUGH_ANSWERS) return;
        clearInterval(timer);
        resolve();
      });
    });
  });
}

async function openAll() {
  let next = 0;
  const openInTurn = async () => {
    while (next < plan.sockets) await open(next++, plan.connect);
  };
  await Promise.all(Array.from({ length: OPENING_AT_ONCE }, openInTurn));
  greeting = setInterval(() => peers[turn++ % peers.length].hello(), HELLO_EVERY_MS);
  say('open', { peers: peers.length });
}

/** Once each peer has sent something since then. */
function answerAsked(heard) {
  const { at, waiting } = asked;
  waiting.delete(heard);
  if (waiting.size > 0) return;
  asked = undefined;
  say('first-after', { firsts: peers.map((peer) => peer.firstAfter(at)) });
}

const COMMANDS = {
  quiet: () => clearInterval(greeting),
  send() {
    const { burst = 1, everyMs } = plan.send;
    sending ??= setInterval(() => {
      for (let i = 0; i < burst; i++) peers[turn++ % peers.length].send();
    }, everyMs);
  },
  stop() {
    clearInterval(sending);
    sending = undefined;
    say('stopped');
  },
  status: () => say('status', { ...account, peers: peers.map((peer) => peer.status) }),
  numbers: () => say('numbers', { ranges: peers.map((peer) => peer.ranges) }),
  'first-after'(at) {
    const since = Number(at);
    asked = { at: since, waiting: new Set(peers.filter((peer) => peer.firstAfter(since) === undefined)) };
    answerAsked();
  },
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, argument] = line.split(' ');
  COMMANDS[command](argument);
});

if (role === 'server') listen(plan.listen);
else await openAll();
