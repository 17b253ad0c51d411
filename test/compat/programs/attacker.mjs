// An attacker who sends raw bytes. Commands are JSON lines, and so are the answers:
//
//   { "udp": [HEX...], "host", "port" }    one datagram each
//   { "flood": HEX, "random": [[FROM, TO]...], "count", "host", "port" }    datagrams with these parts random
//   { "tcp": HEX, "host", "port" }    a connection, the bytes, the end: what came back
//   { "serve": [HEX...], "port" }    answers each datagram on the port with all of these; TCP there says "hello"
//   { "count": true }    datagrams and bytes sent and received
import { randomFillSync } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { createInterface } from 'node:readline';

const BURST = 32;
const counts = { sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, amplified: 0 };
const socket = dgram.createSocket('udp4');
socket.on('message', (bytes) => {
  counts.received += 1;
  counts.receivedBytes += bytes.length;
});
socket.bind();

const send = (bytes, { host, port }) =>
  new Promise((resolve, reject) => {
    counts.sent += 1;
    counts.sentBytes += bytes.length;
    socket.send(bytes, port, host, (error) => (error ? reject(error) : resolve()));
  });

const commands = {
  async udp({ udp, ...to }) {
    for (const hex of udp) await send(Buffer.from(hex, 'hex'), to);
    return {};
  },

  async flood({ flood, random, count, ...to }) {
    const init = Buffer.from(flood, 'hex');
    for (let i = 0; i < count; i += BURST) {
      const burst = Array.from({ length: BURST }, () => {
        const bytes = Buffer.from(init);
        for (const range of random) randomFillSync(bytes.subarray(...range));
        return send(bytes, to);
      });
      await Promise.all(burst);
    }
    return {};
  },

  tcp({ tcp, host, port }) {
    return new Promise((resolve) => {
      const answer = [];
      const connection = net.connect({ host, port, allowHalfOpen: true });
      connection.on('data', (bytes) => answer.push(bytes));
      connection.on('error', () => {});
      connection.on('end', () => connection.destroy());
      connection.on('close', () => resolve({ answer: Buffer.concat(answer).toString('hex') }));
      connection.end(Buffer.from(tcp, 'hex'));
    });
  },

  async serve({ serve, port }) {
    const trap = dgram.createSocket('udp4');
    trap.on('message', (_, from) => {
      for (const hex of serve) trap.send(Buffer.from(hex, 'hex'), from.port, from.address);
    });
    await new Promise((resolve) => trap.bind(port, resolve));
    const server = net.createServer({ allowHalfOpen: true }, (peer) => {
      peer.on('error', () => {});
      peer.resume().on('end', () => peer.end('hello'));
    });
    await new Promise((resolve) => server.listen(port, resolve));
    return {};
  },

  async count() {
    return counts;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const [name] = Object.keys(command);
  console.log(JSON.stringify(await commands[name](command)));
}
