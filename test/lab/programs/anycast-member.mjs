// A member of an anycast address: the package as users get it, its options as JSON, and a TCP service that says who it is.
import { createServer } from 'node:net';
import { pathToFileURL } from 'node:url';

const [built, options, name, servicePort] = process.argv.slice(2);
const { openAnycastMember } = await import(pathToFileURL(built).href);
/** Keys come as hexadecimal text. */
const keyBytes = (name, value) => (name === 'key' ? Buffer.from(value, 'hex') : value);
const say = (event, more = {}) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));

try {
  const member = await openAnycastMember(JSON.parse(options, keyBytes));
  const service = createServer((socket) => socket.end(name));
  service.listen(Number(servicePort), '::', () => say('serving', { joined: member.joined }));
  process.stdin.on('data', () => say('counters', member.counters()));
} catch (error) {
  say('refused', { code: error.code, message: error.message });
}
