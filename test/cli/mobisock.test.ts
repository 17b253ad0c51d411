/** The command `mobisock`, as users get it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { openUdpPort } from '../../src/host/udp-port.ts';
import { BUILT_FILE } from '../built-package.ts';

const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');
const running = new Set<ChildProcess>();

afterEach(() => {
  for (const child of running) child.kill('SIGKILL');
});

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

async function run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = start(args);
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('mobisock', () => {
  it('tells what there is', async () => {
    for (const args of [[], ['--help'], ['help']]) {
      expect(await run(...args)).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('rendezvous') });
    }
    const { code, stdout } = await run('rendezvous', '--help');
    expect(code).toBe(0);
    for (const option of ['--listen', '--rate', '--cookies-above', '--entries', '--per-source', '4474']) {
      expect(stdout).toContain(option);
    }
  });

  it.each([
    [['rendezvouz'], 'unknown command "rendezvouz", expected one of addrsel, doctor, rendezvous, resolve'],
    [['toString'], 'unknown command "toString"'],
    [['rendezvous', '--port', '1'], "'--port'"],
    [['rendezvous', 'now'], "'now'"],
    [['rendezvous', '--rate', '0'], '--rate: found "0", expected a whole number from 1 to 1000000'],
    [['rendezvous', '--entries', '1e3'], '--entries: found "1e3", expected a whole number from 2 to 10000000'],
    [['rendezvous', '--listen', 'example.org:1'], '--listen: found "example.org:1", expected a port, or an address'],
    [['rendezvous', '--listen', '2001:db8::1'], '--listen: found "2001:db8::1"'],
    [['rendezvous', '--listen', '[192.0.2.1]:5'], '--listen: found "[192.0.2.1]:5"'],
    [['rendezvous', '--listen', '65536'], '--listen: found "65536"'],
  ])('%j is told, with status 2', async (args, message) => {
    const { code, stderr, stdout } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`mobisock: ${message.startsWith("'") ? '' : message}`);
    expect(stderr).toContain(message);
  });

  it('that cannot have its port says so, with status 1', async () => {
    const taken = openUdpPort({ address: '127.0.0.1', port: 0, onDatagram: () => {} });
    const { code, stderr } = await run('rendezvous', '--listen', `127.0.0.1:${taken.port}`);
    taken.close();
    expect({ code, stderr }).toEqual({ code: 1, stderr: `mobisock: bind EADDRINUSE 127.0.0.1:${taken.port}\n` });
  });

  it.each(['SIGTERM', 'SIGINT'] as const)('rendezvous runs until %s, and then says what it did', async (signal) => {
    const child = start(['rendezvous', '--listen', '127.0.0.1:0']);
    if (child.stdout === null) throw new Error('no output');
    const lines = createInterface({ input: child.stdout });
    const [ready] = (await once(lines, 'line')) as [string];
    expect(ready).toMatch(/^rendezvous: ready on udp 127\.0\.0\.1:\d+$/);
    child.kill(signal);
    const [summary] = (await once(lines, 'line')) as [string];
    expect(summary).toMatch(new RegExp(`^rendezvous: ${signal}, asks 0, malformed 0, `));
    if (child.exitCode === null) await once(child, 'exit');
    expect([child.exitCode, child.signalCode]).toEqual([0, null]);
  });
});
