/**
 * Starts the bench's programs as processes of their own, since that is how sockets are used: a server, told ready by
 * its first message, and a client beside it.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Variant } from './variants.ts';

export interface Program {
  readonly process: ChildProcess;
  /** The next message; rejects when the program ends first. */
  message(): Promise<unknown>;
  stop(): void;
}

export function start(name: string, args: readonly string[], { nodeFlags, env }: Variant): Program {
  const child = fork(join(import.meta.dirname, 'programs', `${name}.mjs`), args, {
    execArgv: ['--expose-gc', ...nodeFlags],
    env: { PATH: process.env.PATH, ...env },
  });
  return {
    process: child,
    message: async () => {
      const ended = new AbortController();
      try {
        return await Promise.race([
          once(child, 'message', { signal: ended.signal }).then(([message]) => message as unknown),
          once(child, 'exit', { signal: ended.signal }).then(([code]) => {
            throw new Error(`${name} ended with ${code}`);
          }),
        ]);
      } finally {
        ended.abort();
      }
    },
    stop: () => child.kill('SIGKILL'),
  };
}

/** Runs a client against a server of the same variant and gives the client's figure. */
export async function runPair<T>(
  variant: Variant,
  server: { name: string; args?: readonly string[] },
  client: { name: string; args: (ready: unknown) => readonly string[] },
): Promise<T> {
  const running = start(server.name, server.args ?? [], variant);
  try {
    const asking = start(client.name, client.args(await running.message()), variant);
    try {
      return (await asking.message()) as T;
    } finally {
      asking.stop();
    }
  } finally {
    running.stop();
  }
}
