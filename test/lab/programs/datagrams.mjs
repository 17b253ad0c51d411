/**
 * A datagram conversation between two unmodified programs: `server` answers each datagram with its number and the name
 * of who sent it; `client` connects and sends a number every 20 ms. Both print a line for each datagram that comes.
 *
 *     node datagrams.mjs server <address> <port>
 *     node datagrams.mjs client <host> <port> <udp4 | udp6>
 */
import dgram from 'node:dgram';

const EVERY_MS = 20;
const [role, host, port, type] = process.argv.slice(2);
const print = (event, more) => console.log(JSON.stringify({ event, at: Date.now(), ...more }));
const nameOf = ({ address, port: from }) => `${address} ${from}`;

if (role === 'server') {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (bytes, from) => {
    print('heard', { text: bytes.toString('latin1'), from: nameOf(from) });
    socket.send(`${bytes} ${nameOf(from)}`, from.port, from.address);
  });
  socket.bind(Number(port), host, () => print('ready'));
} else {
  const socket = dgram.createSocket(type);
  let number = 0;
  socket.on('message', (bytes, from) => print('answer', { text: bytes.toString('latin1'), from: nameOf(from) }));
  socket.on('error', (error) => print('error', { code: error.code }));
  socket.connect(Number(port), host, () => {
    print('connected', { from: nameOf(socket.address()), to: nameOf(socket.remoteAddress()) });
    setInterval(() => {
      number += 1;
      socket.send(`${number}`, (error) => {
        if (error) print('error', { code: error.code });
      });
    }, EVERY_MS);
  });
}
