// Downloads a file, keeps nothing, and checks its SHA-256: node client.mjs [--json] URL
// Ends with 0 when every byte was right, else with 1.
import { createHash } from 'node:crypto';
import { get } from 'node:http';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean', default: process.env.DOWNLOAD_JSON === '1' } },
});

const started = Date.now();
const hash = createHash('sha256');
let received = 0;
let total = 0;

const report = (facts, sentence) => console.log(values.json ? JSON.stringify(facts) : sentence);
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

function progress() {
  const ms = Date.now() - started;
  report({ received, total, ms }, `${mb(received)} of ${mb(total)}, ${(ms / 1000).toFixed(1)} s`);
}

function fail(error) {
  report({ error: error.code ?? error.message, received, total }, `failed after ${mb(received)}: ${error.message}`);
  process.exit(1);
}

const request = get(positionals[0], (response) => {
  if (response.statusCode !== 200) return fail(new Error(`HTTP status ${response.statusCode}`));
  total = Number(response.headers['content-length']);
  const expected = /sha-256=:([^:]+):/.exec(response.headers['repr-digest'] ?? '')?.[1];
  const timer = setInterval(progress, values.json ? 100 : 1000);
  response.on('data', (chunk) => {
    hash.update(chunk);
    received += chunk.length;
  });
  response.on('error', fail);
  response.on('end', () => {
    clearInterval(timer);
    progress();
    const sha256 = hash.digest('base64');
    if (sha256 !== expected) fail(new Error(`SHA-256 is ${sha256}, expected ${expected}`));
    report({ done: true, sha256, ms: Date.now() - started }, `complete, SHA-256 ${sha256} is right`);
  });
});
request.on('error', fail);
