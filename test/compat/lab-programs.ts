/** Programs of this folder in the laboratory, with and without mobisock, and what it says of its sessions. */
import { join } from 'node:path';
import { builtPackage } from '../built-package.ts';
import type { Host } from '../lab/host.ts';
import type { Program } from '../lab/program.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const PROGRAMS = join(import.meta.dirname, 'programs');

export function runPlain(host: Host, program: string, args: readonly string[] = [], env: Environment = {}): Program {
  return host.run('node', [join(PROGRAMS, program), ...args], { env });
}

/** With the preload; session events go to the program's stderr. */
export function runMobile(host: Host, program: string, args: readonly string[] = [], env: Environment = {}): Program {
  return host.run('node', [join(PROGRAMS, program), ...args], {
    nodeFlags: ['--import', builtPackage()],
    env: { MOBISOCK_EVENTS: 'stderr', TEST_MOBISOCK: builtPackage(), ...env },
  });
}

export interface SessionEvent {
  readonly event: string;
  readonly session: string;
  readonly local: { readonly ip: string; readonly port: number };
  readonly remote: { readonly ip: string; readonly port: number };
  readonly error?: string;
}

/** The session events that the program has written by now, of that kind. */
export function sessionEvents({ stderr }: Program, kind: string): SessionEvent[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith(`{"event":"session:${kind}"`));
  return lines.map((line) => JSON.parse(line) as SessionEvent);
}

/** The next session event of that kind. */
export async function sessionEvent(program: Program, kind: string): Promise<SessionEvent> {
  const [line] = await program.line(new RegExp(`^{"event":"session:${kind}".*`), { stream: 'stderr' });
  return JSON.parse(line) as SessionEvent;
}
