/**
 * One network namespace by name, and the naming that makes left-overs recognisable: `mbs-<pid>-<lab>-<role>`. A
 * namespace whose pid is dead was left by a killed process; sweepNamespaces() removes it and what still runs in it.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand, runCommandSync } from './command.ts';
import type { Realm } from './realm.ts';

const NAMESPACE_DIRECTORY = '/run/netns';
const OWNED = /^mbs-(\d+)-/;

let labs = 0;

/** Unique among all labs of this machine that still live: the pid, and a number that no other module instance took. */
export function nextLabName(): string {
  for (;;) {
    labs += 1;
    const name = `mbs-${process.pid}-${labs}`;
    if (!existsSync(join(tmpdir(), name)) && !existsSync(join(NAMESPACE_DIRECTORY, `${name}-router`))) return name;
  }
}

export class Namespace {
  readonly name: string;
  readonly #realm: Realm;

  constructor(realm: Realm, name: string) {
    this.#realm = realm;
    this.name = name;
  }

  /** The command line that runs `argv` in here; `ip netns exec` becomes the program, so the pid is the program's. */
  enter(argv: readonly string[], directory?: string): string[] {
    return this.#realm.enter(['ip', 'netns', 'exec', this.name, ...argv], directory);
  }

  command(argv: readonly string[], input?: string): Promise<string> {
    return runCommand(this.enter(argv), input);
  }

  /** `ip` command lines, in this order, stopping at the first that fails. */
  async ip(lines: readonly string[]): Promise<void> {
    await runCommand(this.#realm.enter(['ip', '-n', this.name, '-batch', '-']), `${lines.join('\n')}\n`);
  }

  async nft(script: string): Promise<string> {
    return await this.command(['nft', '--echo', '--handle', '-f', '-'], `${script}\n`);
  }
}

/**
 * Ends every process in the namespaces, whatever its process group. Synchronous like the next one, since exit handlers
 * have no other choice.
 */
export function killProcessesSync(realm: Realm, names: readonly string[]): void {
  for (const name of names) {
    for (const line of runCommandSync(realm.enter(['ip', 'netns', 'pids', name])).split('\n')) {
      const pid = Number(line);
      if (pid > 0) killQuietly(pid);
    }
  }
}

export function removeNamespacesSync(realm: Realm, names: readonly string[]): void {
  const lines = names.map((name) => `netns delete ${name}\n`).join('');
  runCommandSync(realm.enter(['ip', '-force', '-batch', '-']), lines);
}

/** Removes what dead processes left: namespaces (root realm only; the others vanish by themselves) and directories. */
export function sweepNamespaces(realm: Realm): void {
  if (realm.kind === 'root' && existsSync(NAMESPACE_DIRECTORY)) {
    const abandoned = readdirSync(NAMESPACE_DIRECTORY).filter(isAbandoned);
    if (abandoned.length > 0) {
      killProcessesSync(realm, abandoned);
      removeNamespacesSync(realm, abandoned);
    }
  }
  for (const name of readdirSync(tmpdir()).filter(isAbandoned)) {
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function isAbandoned(name: string): boolean {
  const pid = Number(OWNED.exec(name)?.[1] ?? 0);
  if (pid === 0) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    // EPERM means it lives and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
  }
}
