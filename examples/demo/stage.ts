/**
 * Where the demo plays: something that runs servers and clients, takes the client's network away and gives it another.
 * Two exist: network namespaces (lab-stage.ts), and loopback addresses where those are not possible
 * (loopback-stage.ts).
 */
import type { Program } from '../../test/lab/index.ts';

export interface Place {
  readonly network: string;
  readonly address: string;
}

export interface ProgramPlan {
  readonly script: string;
  readonly args: readonly string[];
  /** Path of dist/index.js, for a program that runs with mobisock. */
  readonly shim: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Stage {
  /** A sentence for the audience when this is not the real thing. */
  readonly notice: string | undefined;
  /** What loseNetwork() does, as the story tells it. */
  readonly loss: string;
  /** For files of the demo; removed at close. */
  readonly directory: string;
  /** Where the client is now; undefined while it has no network. */
  readonly place: Place | undefined;
  /** The address and port that a client is to be given for this server, once it listens. */
  startServer(plan: ProgramPlan): Promise<string>;
  startClient(plan: ProgramPlan): Program;
  loseNetwork(): Promise<void>;
  gainNetwork(): Promise<void>;
  close(): Promise<void>;
}

export function nodeFlags(plan: ProgramPlan): readonly string[] {
  return plan.shim === undefined ? [] : ['--import', plan.shim];
}
