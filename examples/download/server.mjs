// Serves one pseudo-random file over HTTP, with its SHA-256 in the header:
// node server.mjs [--host ::] [--port 8080] [--megabytes 240] [--seed 1]
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { content, digest } from './content.mjs';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '::' },
    port: { type: 'string', default: '8080' },
    megabytes: { type: 'string', default: '240' },
    seed: { type: 'string', default: '1' },
  },
});

const size = Number(values.megabytes) * 1_000_000;
const sha256 = digest(values.seed, size);

const server = createServer(async (request, response) => {
  if (request.url !== '/file') return response.writeHead(404).end();
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': size,
    'repr-digest': `sha-256=:${sha256}:`,
  });
  try {
    await pipeline(Readable.from(content(values.seed, size)), response);
  } catch (error) {
    console.error(`download by ${request.socket.remoteAddress} failed: ${error.code ?? error.message}`);
  }
});

server.listen(Number(values.port), values.host, () => {
  console.log(`serving ${values.megabytes} MB at http://${values.host}:${server.address().port}/file`);
});
