// http2: one session, several streams in both directions at the same time.
import { connect, createServer } from 'node:http2';
import { check, lines, pause } from './check.mjs';

export const serve = (port) =>
  new Promise((resolve) => {
    const server = createServer();
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    server.listen(port, '::', resolve);
  });

export async function use(host, port, another) {
  const session = connect(`http://${host}:${port}`);
  let goOn = true;
  const one = async (name) => {
    const stream = session.request({ ':method': 'POST', ':path': `/${name}` });
    const answers = lines(stream);
    for (let round = 0; goOn; round++) {
      stream.write(`${name} ${round} ${'x'.repeat(round)}\n`);
      const { value } = await answers.next();
      check(value, `${name} ${round} ${'x'.repeat(round)}`, 'answer');
      await pause(5);
      if (name === 0) goOn = another();
    }
    stream.end();
    check((await answers.next()).done, true, 'end');
  };
  await Promise.all([0, 1, 2, 3].map(one));
  session.close();
  return { connections: 1 };
}
