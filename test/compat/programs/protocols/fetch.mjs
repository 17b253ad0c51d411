// The built-in fetch: one request whose body and whose answer both stream.
import http from 'node:http';
import { check, lines, pause } from './check.mjs';

export const serve = (port) =>
  new Promise((resolve) => {
    const server = http.createServer((request, response) => {
      response.flushHeaders();
      request.pipe(response);
    });
    server.listen(port, '::', resolve);
  });

export async function use(host, port, another) {
  let more;
  const body = new ReadableStream({
    start(controller) {
      more = controller;
    },
  });
  const line = (round) => `${round} ${'y'.repeat(round * 10)}`;
  const encoder = new TextEncoder();
  more.enqueue(encoder.encode(`${line(0)}\n`));
  const response = await fetch(`http://${host}:${port}/`, { method: 'POST', body, duplex: 'half' });
  const answers = lines(response.body);
  let round = 0;
  for (;;) {
    check((await answers.next()).value, line(round), 'answer');
    if (!another()) break;
    round += 1;
    await pause(5);
    more.enqueue(encoder.encode(`${line(round)}\n`));
  }
  more.close();
  check((await answers.next()).done, true, 'end');
  return { connections: 1 };
}
