// redis: Debian's redis-server behind a TCP proxy, so that a server in C takes part. Pipelined commands on one
// connection, publish and subscribe on two more.
import { spawn } from 'node:child_process';
import net from 'node:net';
import { createClient } from 'redis';
import { check, pause } from './check.mjs';

const SOCKET = `/tmp/mobisock-redis-${process.pid}.sock`;

export async function serve(port) {
  const options = { '--port': '0', '--unixsocket': SOCKET, '--save': '', '--appendonly': 'no' };
  const redis = spawn('redis-server', Object.entries(options).flat(), { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => redis.kill());
  for await (const chunk of redis.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    if (/ready to accept connections/i.test(chunk)) break;
  }
  redis.stdout.resume();
  const proxy = net.createServer((client) => {
    const server = net.connect(SOCKET);
    client.pipe(server).pipe(client);
    client.on('error', () => server.destroy());
    server.on('error', () => client.destroy());
  });
  await new Promise((resolve) => proxy.listen(port, '::', resolve));
}

export async function use(host, port, another) {
  let reconnections = 0;
  const open = async () => {
    const client = createClient({ socket: { host, port } });
    client.on('error', (error) => console.log('redis error', error.message));
    client.on('reconnecting', () => {
      reconnections += 1;
    });
    return client.connect();
  };
  const [commands, subscriber, publisher] = [await open(), await open(), await open()];
  let heard = 0;
  await subscriber.subscribe('news', (message) => check(message, String(heard++), 'message'));
  let count = 0;
  let published = 0;
  do {
    const results = await Promise.all(Array.from({ length: 20 }, () => commands.incr('count')));
    for (const result of results) check(result, ++count, 'count');
    check(await publisher.publish('news', String(published++)), 1, 'receivers');
    await pause(5);
  } while (another());
  while (heard < published) await pause(5);
  for (const client of [commands, subscriber, publisher]) await client.close();
  return { connections: 3, reconnections };
}
