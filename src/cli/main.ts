#!/usr/bin/env node
/**
 * The command `mobisock`: one word for what is to be done, then its options. A command line that cannot be understood
 * ends with status 2 and says why; one that fails, with status 1.
 */
import { UsageError } from '../core/errors.ts';
import { addrselCommand } from './addrsel-command.ts';
import type { Command } from './command.ts';
import { doctorCommand } from './doctor-command.ts';
import { rendezvousCommand } from './rendezvous-command.ts';
import { resolveCommand } from './resolve-command.ts';

const COMMANDS: Readonly<Record<string, Command>> = {
  addrsel: addrselCommand,
  doctor: doctorCommand,
  rendezvous: rendezvousCommand,
  resolve: resolveCommand,
};

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((name) => name.length));
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: mobisock COMMAND [OPTION]...\n\n${lines.join('\n')}\n\nmobisock COMMAND --help tells more.\n`;
}

async function main([name = '--help', ...rest]: readonly string[]): Promise<void> {
  if (name === '--help' || name === '-h' || name === 'help') return void process.stdout.write(overview());
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    throw new UsageError(`unknown command "${name}", expected one of ${Object.keys(COMMANDS).join(', ')}`);
  }
  if (rest.includes('--help') || rest.includes('-h')) return void process.stdout.write(command.help);
  await command.run(rest);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const isUsage = error instanceof UsageError;
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`mobisock: ${text}\n${isUsage ? 'mobisock --help tells what there is.\n' : ''}`);
  process.exitCode = isUsage ? 2 : 1;
}
