/**
 * Runs one short administrative command (ip, nft, conntrack, sh) and waits for it. A command that fails is an error
 * with the command and what it printed. Programs under test are not started here but in program.ts.
 */
import { spawn, spawnSync } from 'node:child_process';
import { UsageError } from '../../src/core/errors.ts';

/** No administrative command here takes a tenth of this; one that hangs must not hang the test run. */
const COMMAND_LIMIT_MS = 20_000;

export function runCommand(argv: readonly string[], input = ''): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: COMMAND_LIMIT_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.once('error', (cause) => reject(commandError(argv, input, String(cause), cause)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else reject(commandError(argv, input, `${signal ?? `exit code ${code}`}: ${stderr.trim() || stdout.trim()}`));
    });
    // A command that ends without reading its input is judged by its exit code, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** For exit handlers, where nothing may be awaited. Never throws: clean-up goes on with the next command. */
export function runCommandSync(argv: readonly string[], input = ''): string {
  const [program = '', ...args] = argv;
  return spawnSync(program, args, { input, timeout: COMMAND_LIMIT_MS, encoding: 'utf8' }).stdout ?? '';
}

function commandError(argv: readonly string[], input: string, outcome: string, cause?: unknown): UsageError {
  const shown = input === '' ? '' : `\ninput:\n${input.trimEnd()}`;
  return new UsageError(`"${argv.join(' ')}" failed, ${outcome}${shown}`, 'ERR_MOBISOCK_ENVIRONMENT', { cause });
}
