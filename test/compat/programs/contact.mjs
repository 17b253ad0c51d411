// A client that makes one connection for each line it reads, `HOST PORT [LOCAL ADDRESS]`: asks, and says what came of it.
import net from 'node:net';
import { createInterface } from 'node:readline';

for await (const line of createInterface({ input: process.stdin })) {
  const [host, port, localAddress] = line.split(' ');
  const socket = net.connect({ host, port: Number(port), localAddress, allowHalfOpen: true });
  socket.end(`question over ${port}`);
  let answer = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) answer += chunk;
    console.log('answer', JSON.stringify(answer));
  } catch (error) {
    console.log('error', error.code, error.message);
  }
}
