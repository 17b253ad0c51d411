// Resolves and connects as it is told, a line each: `resolve ADDRESS`, `failed ADDRESS UNICAST`, `connect ADDRESS PORT`.
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [built, options] = process.argv.slice(2);
const { openResolver } = await import(pathToFileURL(built).href);
/** Keys come as hexadecimal text. */
const keyBytes = (name, value) => (name === 'key' ? Buffer.from(value, 'hex') : value);
const say = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));

let resolver;
try {
  resolver = openResolver(JSON.parse(options, keyBytes));
} catch (error) {
  say('refused', { code: error.code, message: error.message });
  process.exit(1);
}

const commands = {
  async resolve(address) {
    const startedAt = performance.now();
    try {
      const resolution = await resolver.resolve(address);
      say('resolved', { ...resolution, tookMs: performance.now() - startedAt });
    } catch (error) {
      say('unresolved', { code: error.code, reason: error.reason, tookMs: performance.now() - startedAt });
    }
  },
  failed(address, unicast) {
    resolver.failed(address, unicast);
  },
  connect(address, port) {
    let text = '';
    const socket = connect({ host: address, port: Number(port), timeout: 2_000 });
    socket.on('data', (bytes) => {
      text += bytes;
    });
    socket.once('timeout', () => socket.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    socket.once('error', ({ code }) => say('failed', { code }));
    socket.once('end', () => say('connected', { text }));
  },
};
say('ready');
createInterface({ input: process.stdin }).on('line', (line) => {
  const [command, ...args] = line.split(' ');
  commands[command](...args);
});
