import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { onTestFinished } from 'vitest';
import { nativeConnect } from '../../src/host/native.ts';

/** A port where the kernel leaves a connect waiting: a process that doesn't accept, and a full backlog. */
export async function stuckPort(host = '127.0.0.1'): Promise<{ port: number; close: () => void }> {
  const program = `const s = require('net').createServer().listen({ port: 0, host: '${host}', backlog: 1 }, () => {
    require('fs').writeSync(1, String(s.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const [port] = await once(child.stdout, 'data');
  for (let i = 0; i < 2; i++) {
    const filler = nativeConnect.call(new net.Socket(), { port: Number(port), host });
    filler.on('error', () => {});
    await once(filler, 'connect');
  }
  return { port: Number(port), close: () => child.kill('SIGKILL') };
}
