// One connection to warm up, one that counts: 64 KiB writes, as fast as the socket takes them. Prints GB/s.
import { dial } from './endpoint.mjs';

const [port, warmUpBytes, countedBytes] = process.argv.slice(2).map(Number);
const chunk = Buffer.alloc(64 << 10, 'mobisock');

function send(total) {
  return new Promise((resolve, reject) => {
    let startedAt = 0;
    let sent = 0;
    const socket = dial(port, () => {
      startedAt = performance.now();
      go();
    });
    const go = () => {
      while (sent < total) {
        sent += chunk.length;
        if (!socket.write(chunk)) return void socket.once('drain', go);
      }
      socket.end();
    };
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', reject);
    socket.on('end', () => {
      if (Number(answer) !== sent) return reject(new Error(`${sent} bytes sent, ${answer} counted`));
      resolve(sent / 1e6 / (performance.now() - startedAt));
    });
  });
}

await send(warmUpBytes);
process.send(await send(countedBytes));
process.disconnect();
