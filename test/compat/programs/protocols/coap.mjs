// coap: of each host one observation, and block-wise transfers both ways, all over one socket.
//
// A notification says which registration it belongs to, its number, and by what name the server knows the client: all
// of it stays, or rises, wherever the two ends move.
import coap from 'coap';
import { check } from './check.mjs';

/** More than one block, and a last one that is not full. */
const LARGE = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7919) % 251));
const NEWS_MS = 20;
/** Long for a pause, short for a test. */
const SILENCE_MS = 3_000;
/** Blocks of 1024 bytes (RFC 7959). */
const BLOCK1 = Buffer.of(6);

// What an outage swallows is repeated soon.
coap.updateTiming({ ackTimeout: 0.25 });

export const serve = (port) => serveWith({ type: 'udp6' }, port);

export async function serveWith(options, port) {
  const server = coap.createServer(options);
  let registrations = 0;
  server.on('request', (request, response) => {
    if (request.headers.Observe === 0) tell(request, response, ++registrations);
    else if (request.url === '/found') response.end('here');
    else response.end(request.method === 'PUT' ? request.payload : LARGE);
  });
  await new Promise((resolve) => server.listen(port, resolve));
}

function tell({ rsinfo }, response, registration) {
  let number = 0;
  const news = () => response.write(`${registration} ${rsinfo.address} ${rsinfo.port} ${number++}`);
  const telling = setInterval(news, NEWS_MS);
  response.on('finish', () => clearInterval(telling));
  news();
}

export const use = (hosts, port, another) =>
  useWith(new coap.Agent({ type: hosts.includes(':') ? 'udp6' : 'udp4' }), hosts.split(','), port, another);

export async function useWith(agent, hosts, port, another) {
  const servers = hosts.map((host) => ({ host, port, agent }));
  const observations = await Promise.all(servers.map((server) => observe(server)));
  const round = async (server, i) => {
    const news = observations[i].next();
    check((await ask(server, 'GET')).equals(LARGE), true, 'content got');
    check((await ask(server, 'PUT', LARGE)).equals(LARGE), true, 'content put');
    await news;
  };
  const rounds = async () => {
    do await Promise.all(servers.map(round));
    while (another());
  };
  await Promise.race([rounds(), ...observations.map(({ over }) => over)]);
  return { connections: 1 };
}

async function ask(server, method, payload) {
  const request = coap.request({
    ...server,
    method,
    pathname: '/large',
    ...(payload && { options: { Block1: BLOCK1 } }),
  });
  const response = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
  request.end(payload);
  return (await response).payload;
}

/** `over` rejects when the observation has ended, in whatever way; `next()` resolves with the next notification. */
async function observe(server) {
  const request = coap.request({ ...server, pathname: '/news', observe: true });
  const answer = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
  request.end();
  const stream = await answer;
  let first;
  let last = -1;
  const waiting = [];
  const over = new Promise((_, reject) => {
    const silence = setTimeout(() => reject(new Error(`no news from ${server.host}`)), SILENCE_MS);
    stream.on('end', () => reject(new Error('the observation has ended'))).on('error', reject);
    stream.on('data', (bytes) => {
      silence.refresh();
      const [, name, number] = /^(.*) (\d+)$/.exec(bytes.toString());
      first ??= name;
      if (name !== first) reject(new Error(`told as ${name}, ${first} expected`));
      if (Number(number) <= last) reject(new Error(`number ${number} after ${last}`));
      last = Number(number);
      for (const resolve of waiting.splice(0)) resolve();
    });
  });
  return { over, next: () => new Promise((resolve) => waiting.push(resolve)) };
}
