// tftp: a file each way at the same time; what is put is named by its SHA-256, and the server says whether it is whole.
// Each transfer has a socket of its own at both ends: answers come from a port that nobody asked (RFC 1350).
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import tftp from 'tftp';
import { check } from './check.mjs';

const FILE = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(3 * 2 ** 20));
const PIECE_BYTES = 2 ** 13;
/** Two seconds for all, or a little more: time enough for a move, and for an exchange that lasts. */
const PIECE_MS = 5;
/**
 * One block at a time, and who sends data repeats sooner than who receives it: this package brings windows, and
 * acknowledgements that come twice, into disorder.
 */
const common = { retries: 10, windowSize: 1 };
const SERVER = { ...common, timeout: 1_000 };
const GETTER = { ...common, timeout: 3_000 };
const PUTTER = { ...common, timeout: 300 };

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

async function write(stream, bytes) {
  const last = bytes.length - PIECE_BYTES;
  for (let at = 0; at < last; at += PIECE_BYTES) {
    await new Promise((resolve) => stream.write(bytes.subarray(at, at + PIECE_BYTES), resolve));
    await pause(PIECE_MS);
  }
  stream.end(bytes.subarray(last));
}

/** These streams close before they end, which node's own helpers take for an error. */
function collect(stream) {
  const pieces = [];
  return new Promise((resolve, reject) => {
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('end', () => resolve(Buffer.concat(pieces))).on('error', reject);
  });
}

export async function serve(port) {
  const server = tftp.createServer({ host: '::', port, ...SERVER }, async (request, response) => {
    request.on('error', (error) => console.log('transfer', error.message));
    if (request.method === 'PUT') {
      console.log('put', sha256(await collect(request)) === request.file ? 'whole' : 'damaged');
    } else {
      response.setSize(FILE.length);
      await write(response, FILE);
    }
  });
  server.listen();
  await once(server, 'listening');
}

export async function use(host, port, another) {
  const [getter, putter] = [GETTER, PUTTER].map((options) => tftp.createClient({ host, port, ...options }));
  const name = sha256(FILE);
  const put = putter.createPutStream(name, { size: FILE.length });
  const get = getter.createGetStream('file').on('data', another);
  const [got] = await Promise.all([collect(get), once(put, 'finish'), write(put, FILE)]);
  check(sha256(got), name, 'SHA-256');
  return { connections: 2 };
}
