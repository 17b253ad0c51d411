// How mobisock gets into processes and out again:  node loading.mjs MODE
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import Module from 'node:module';
import net from 'node:net';
import { closed, listen, next } from './trace.mjs';

const [, , mode, argument] = process.argv;
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const isInstalled = () => Symbol.for('mobisock.installation') in globalThis;
const isMobile = (socket) => socket._handle.constructor.name !== 'TCP';
const load = (name) => import(new URL(name, process.env.TEST_MOBISOCK));
const { connect } = net.Socket.prototype;

/** What an echo says of the module's sockets. */
async function echo({ createServer, connect }) {
  let mobileServer;
  const server = createServer((peer) => {
    mobileServer = isMobile(peer);
    peer.pipe(peer);
  });
  const client = connect(await listen(server), '127.0.0.1');
  await next(client, 'connect');
  const mobile = isMobile(client);
  client.end('echo');
  let text = '';
  for await (const piece of client.setEncoding('utf8')) text += piece;
  server.close();
  return { text, mobile, mobileServer };
}

const modes = {
  async look() {
    say({ installed: isInstalled(), ...(await echo(net)) });
  },

  /** Children of children, each started by fork with nothing but the environment. */
  async generations() {
    const depth = Number(argument ?? 0);
    say({ depth, installed: isInstalled(), ...(await echo(net)) });
    if (depth === 2) return;
    const child = fork(import.meta.filename, ['generations', depth + 1], { execArgv: [] });
    say({ depth, childExit: await next(child, 'exit') });
  },

  async childServes() {
    if (process.send !== undefined) {
      const server = net.createServer((peer) => {
        peer.pipe(peer);
        peer.on('close', () => server.close());
      });
      process.send(await listen(server));
      process.disconnect();
      return;
    }
    const child = fork(import.meta.filename, ['childServes']);
    const client = net.connect(await next(child, 'message'), '127.0.0.1');
    await next(client, 'connect');
    say({ mobile: isMobile(client) });
    client.end('x');
    await closed(client.resume());
    say({ childExit: await next(child, 'exit') });
  },

  async workersServe() {
    if (cluster.isWorker) {
      const server = net.createServer((peer) => peer.end(String(cluster.worker.id)));
      server.listen(Number(process.env.TEST_PORT), '127.0.0.1');
      return;
    }
    const probe = net.createServer();
    const port = await listen(probe);
    await new Promise((resolve) => probe.close(resolve));
    const workers = [1, 2].map(() => cluster.fork({ TEST_PORT: port }));
    await Promise.all(workers.map((worker) => next(worker, 'listening')));
    const answers = [];
    let mobile = 0;
    for (let i = 0; i < 12; i++) {
      const client = net.connect(port, '127.0.0.1');
      await next(client, 'connect');
      if (isMobile(client)) mobile += 1;
      let text = '';
      for await (const piece of client.setEncoding('utf8')) text += piece;
      answers.push(text);
    }
    say({ answers: answers.filter((answer) => ['1', '2'].includes(answer)).length, mobile });
    for (const worker of workers) worker.disconnect();
    say({ exits: await Promise.all(workers.map((worker) => next(worker, 'exit'))) });
  },

  /** Whether the code of sessions is there, at the start and after an echo over loopback. */
  async late() {
    const loaded = () => Object.keys(Module._cache).some((path) => path.endsWith('process-endpoint.js'));
    say({ loaded: loaded() });
    const echoed = await echo(net);
    say({ loaded: loaded(), ...echoed });
  },

  /** The program loads it itself. */
  async inside() {
    const before = await echo(net);
    const { sessions, stats, uninstall } = await load('index.js');
    const server = net.createServer((peer) => peer.resume());
    const port = await listen(server);
    const client = net.connect(port, '127.0.0.1');
    client.on('error', ({ code }) => say({ error: code }));
    const [peer] = await Promise.all([next(server, 'connection'), next(client, 'connect')]);
    peer.on('error', () => {});
    say({ before: before.mobile, mobile: isMobile(client), sessions: sessions().length, inits: stats().inits > 0 });
    uninstall();
    await closed(client);
    say({ restored: net.Socket.prototype.connect === connect, installed: isInstalled() });
    const plain = net.connect(port, '127.0.0.1');
    await next(plain, 'connect');
    say({ afterwards: isMobile(plain) });
    plain.destroy();
    server.close();
  },

  async ownNet() {
    const own = await load('net.js');
    say({ own: await echo(own), global: await echo(net), untouched: net.Socket.prototype.connect === connect });
    const plainClient = { createServer: own.createServer, connect: net.connect };
    say({ between: await echo(plainClient), same: own.isIP === net.isIP, also: own.default.connect === own.connect });
  },
};

await modes[mode]();
