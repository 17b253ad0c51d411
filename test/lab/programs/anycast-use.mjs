// Asks services who they are, as it is told, one command in JSON a line, and says what came of it. Knows nothing of
// anycast; of mobility only that it can look sessions up.
//
//   {"way":"net","host":"fd77:100::53","port":7061,"times":100}
//
// `times` at once; the report has a result for each. `lookup`: what the name `host` is to be resolved to; `nameServer`:
// who is to be asked for that. UDP asks
// again every 50 ms, by a fresh socket where the way is "udp fresh", by the one of the last time where it is "udp kept",
// for `giveUpMs`; after that, "silence".
import dgram from 'node:dgram';
import dns from 'node:dns';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { createInterface } from 'node:readline';
import tls from 'node:tls';
import { promisify } from 'node:util';

const { TEST_CERTIFICATE: ca } = process.env;
const ASK_AGAIN_MS = 50;
const say = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));
const authority = (host, port) => (net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`);

/** Node's own options, with the lookup that the command wants. */
function target({ host, port, timeout, lookup, nameServer, localAddress }) {
  const options = { host, port, timeout, localAddress };
  if (lookup !== undefined) options.lookup = (_name, asked, done) => tell(lookup, asked, done);
  if (nameServer !== undefined) {
    const names = nameClient(new dns.Resolver(), nameServer);
    options.lookup = (name, asked, done) => {
      names.resolve6(name, (error, found) => (error ? done(error) : tell(found, asked, done)));
    };
  }
  return options;
}

function tell(addresses, { all }, done) {
  const found = addresses.map((address) => ({ address, family: net.isIP(address) }));
  if (all) done(null, found);
  else done(null, found[0].address, found[0].family);
}

function nameClient(client, server) {
  client.setServers([server]);
  return client;
}

async function sayWho(socket, connected, look = () => ({})) {
  socket.once('timeout', () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
  await once(socket, connected);
  socket.setTimeout(0);
  const peer = socket.remoteAddress;
  socket.write('who\n');
  const [text] = await once(socket, 'data');
  const seen = look();
  socket.end();
  return { text: String(text).trim(), peer, ...seen };
}

async function request(library, command, more = {}) {
  const asking = library.get({ ...target(command), ...more });
  asking.once('timeout', () => asking.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
  const [response] = await once(asking, 'response');
  const peer = response.socket.remoteAddress;
  return { text: Buffer.concat(await response.toArray()).toString(), peer };
}

/** One after the other, over one agent. */
async function requestsInARow(command) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set();
  agent.on('free', (socket) => sockets.add(socket));
  const answers = [];
  for (let i = 0; i < 3; i++) {
    answers.push(await request(http, command, { agent }));
    // The agent takes the socket back a little later.
    await new Promise(setImmediate);
  }
  agent.destroy();
  const [{ peer }] = answers;
  return { text: answers.map(({ text }) => text).join(' '), peer, sockets: sockets.size };
}

async function streamOfHttp2({ host, port }) {
  const session = http2.connect(`http://${authority(host, port)}`);
  try {
    await once(session, 'connect');
    const peer = session.socket.remoteAddress;
    const stream = session.request({ ':path': '/' });
    return { text: Buffer.concat(await stream.toArray()).toString(), peer };
  } finally {
    session.close();
  }
}

/** A connected socket for each question, as name servers are asked by many. */
async function askByFreshSockets({ host, port, giveUpMs = 5_000 }) {
  const answers = new EventEmitter();
  const sockets = [];
  const ask = () => {
    const socket = dgram.createSocket('udp6');
    sockets.push(socket);
    socket.on('error', () => {}); // the next one asks again
    socket.on('message', (text, { address }) => {
      answers.emit('answer', { text: String(text), peer: socket.remoteAddress().address, from: address });
    });
    socket.connect(port, host, (error) => error ?? socket.send('who'));
  };
  const again = setInterval(ask, ASK_AGAIN_MS);
  try {
    ask();
    const [answer] = await once(answers, 'answer', { signal: AbortSignal.timeout(giveUpMs) });
    return answer;
  } finally {
    clearInterval(again);
    for (const socket of sockets) socket.close();
  }
}

/** Until it is answered; `open` gives what asks. */
async function askByDatagrams({ giveUpMs = 5_000 }, open) {
  const socket = dgram.createSocket('udp6');
  const { ask, peer } = await open(socket);
  const again = setInterval(ask, ASK_AGAIN_MS);
  try {
    ask();
    const [text, { address }] = await once(socket, 'message', { signal: AbortSignal.timeout(giveUpMs) });
    return { text: String(text), peer: peer?.() ?? address, from: address };
  } finally {
    clearInterval(again);
    socket.close();
  }
}

const kept = new Map();

/** By the connected socket that an earlier command has left open, with its port. */
async function askByKeptSocket({ host, port, giveUpMs = 5_000 }) {
  const socket = kept.get(host) ?? dgram.createSocket('udp6');
  if (!kept.has(host)) {
    kept.set(host, socket);
    socket.connect(port, host);
    await once(socket, 'connect');
  }
  const ask = () => socket.send('who');
  const again = setInterval(ask, ASK_AGAIN_MS);
  try {
    ask();
    const [text, { address }] = await once(socket, 'message', { signal: AbortSignal.timeout(giveUpMs) });
    const peer = socket.remoteAddress();
    return { text: String(text), peer: peer.address, from: address, localPort: socket.address().port };
  } finally {
    clearInterval(again);
  }
}

async function askNameServer(client, { ask }) {
  const [[text]] = await promisify(client.resolveTxt).call(client, ask);
  return { text, peer: client.getServers().join() };
}

/** With what mobisock says of its sessions meanwhile. */
async function session(command) {
  const { sessions } = await import(process.env.TEST_MOBISOCK);
  return await sayWho(net.connect(target(command)), 'connect', () => ({
    sessions: sessions().map(({ path }) => path.remote.ip),
  }));
}

const WAYS = {
  dns: (command) => askNameServer(nameClient(new dns.Resolver({ timeout: 2_000, tries: 1 }), command.host), command),
  'dns default': (command) => askNameServer(nameClient(dns, command.host), command),
  net: (command) => sayWho(net.connect(target(command)), 'connect'),
  session,
  tls: (command) => sayWho(tls.connect({ ...target(command), ca }), 'secureConnect'),
  http: (command) => request(http, command),
  https: (command) => request(https, command, { ca }),
  agent: requestsInARow,
  http2: streamOfHttp2,
  async fetch({ host, port }) {
    const response = await fetch(`http://${authority(host, port)}/`);
    return { text: await response.text() };
  },
  'udp connected': (command) =>
    askByDatagrams(command, async (socket) => {
      socket.connect(command.port, command.host);
      await once(socket, 'connect');
      return { ask: () => socket.send('who'), peer: () => socket.remoteAddress().address };
    }),
  'udp kept': askByKeptSocket,
  'udp fresh': askByFreshSockets,
  'udp send': (command) =>
    askByDatagrams(command, (socket) => ({ ask: () => socket.send('who', command.port, command.host) })),
};

async function use(way, command) {
  const startedAt = performance.now();
  const took = () => ({ tookMs: performance.now() - startedAt });
  try {
    return { ...(await WAYS[way](command)), ...took() };
  } catch (error) {
    const { code, address } = error.cause ?? error;
    return { code: error.name === 'AbortError' ? 'silence' : code, address, ...took() };
  }
}

createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, way, times = 1, ...command } = JSON.parse(line);
  const results = await Promise.all(Array.from({ length: times }, () => use(way, command)));
  say('used', { id, results });
});
say('ready');
