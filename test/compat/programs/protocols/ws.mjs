// ws: numbered messages back and forth, many under way.
import { once } from 'node:events';
import { WebSocket, WebSocketServer } from 'ws';
import { check } from './check.mjs';

export async function serve(port) {
  const server = new WebSocketServer({ port, host: '::' });
  server.on('connection', (socket) => {
    socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
  });
  await once(server, 'listening');
}

export async function use(host, port, another) {
  const socket = new WebSocket(`ws://${host}:${port}`);
  const text = (number) => `${number} ${'z'.repeat(number % 5000)}`;
  await once(socket, 'open');
  let sent = 0;
  let received = 0;
  const sending = setInterval(() => {
    for (let i = 0; i < 10; i++) socket.send(text(sent++));
  }, 5);
  await new Promise((resolve, reject) => {
    socket.on('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('error', reject);
    socket.on('message', (message) => {
      try {
        check(message.toString(), text(received++), 'message');
      } catch (error) {
        reject(error);
      }
      if (received % 10 === 0 && sending.hasRef() && !another()) {
        clearInterval(sending);
        sending.unref();
      }
      if (!sending.hasRef() && received === sent) resolve();
    });
  });
  socket.removeAllListeners('close');
  socket.close();
  const [code] = await once(socket, 'close');
  return { connections: 1, code };
}
