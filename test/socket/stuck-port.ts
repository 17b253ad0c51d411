import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { onTestFinished } from 'vitest';
import { nativeConnect } from '../../src/host/native.ts';

export interface StuckPort {
  readonly port: number;
  /** Takes what waits after all, and passes it on; the kernel asks again within a second. */
  accept(): void;
  /** From now on it is closed. */
  close(): void;
}

/** A port where the kernel leaves a connect waiting: a process that doesn't accept, and a full backlog. */
export async function stuckPort(host = '127.0.0.1', passesTo = 0): Promise<StuckPort> {
  const program = `const net = require('net');
    const pass = (socket) => {
      const onward = net.connect({ port: ${passesTo}, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => onward.destroy()).pipe(onward);
      onward.on('error', () => socket.destroy()).pipe(socket);
    };
    const s = net.createServer({ allowHalfOpen: true }, pass).listen({ port: 0, host: '${host}', backlog: 1 }, () => {
      require('fs').writeSync(1, String(s.address().port));
      if (require('fs').readSync(0, Buffer.alloc(1)) === 0) process.exit();
    });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const { stdin, stdout } = child;
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [port] = await once(stdout, 'data');
  for (let i = 0; i < 2; i++) {
    const filler = nativeConnect.call(new net.Socket(), { port: Number(port), host });
    filler.on('error', () => {});
    await once(filler, 'connect');
  }
  return { port: Number(port), accept: () => stdin.write('.'), close: () => child.kill('SIGKILL') };
}
