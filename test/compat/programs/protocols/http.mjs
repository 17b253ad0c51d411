// http with a keep-alive agent: one connection, one request after the other.
import http from 'node:http';
import { check, pause } from './check.mjs';

export const handler = (request, response) => {
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text) => {
    body += text;
  });
  request.on('end', () => response.end(`${request.url} ${body}`));
};

export const serve = (port) => new Promise((resolve) => http.createServer(handler).listen(port, '::', resolve));

export const use = (host, port, another) =>
  roundsWith(http.request, { host, port, agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) }, another);

export async function roundsWith(request, options, another) {
  const sockets = new Set();
  let round = 0;
  do {
    const sent = 'x'.repeat(round * 100);
    const answer = await new Promise((resolve, reject) => {
      const outgoing = request({ ...options, method: 'POST', path: `/${round}` }, async (response) => {
        let text = '';
        for await (const piece of response.setEncoding('utf8')) text += piece;
        resolve(text);
      });
      outgoing.on('error', reject);
      outgoing.on('socket', (socket) => sockets.add(socket));
      outgoing.end(sent);
    });
    check(answer, `/${round} ${sent}`, 'answer');
    round += 1;
    await pause(5);
  } while (another());
  return { connections: sockets.size };
}
