/** How long it takes to be connected: one contact after the other, each with a byte to and fro. */
import { runPair } from './run-programs.ts';
import type { Variant } from './variants.ts';

export interface Contacts {
  readonly warmUp: number;
  readonly counted: number;
}

/** Medians, in milliseconds from `connect()`. */
export interface ContactFigures {
  readonly connectedMs: number;
  readonly answeredMs: number;
}

/** `listeners`: how many the contacts go to in turn. One for each makes all of them first contacts. */
export function contactFigures(variant: Variant, contacts: Contacts, listeners: number): Promise<ContactFigures> {
  return runPair<ContactFigures>(
    variant,
    { name: 'setup-server', args: [String(listeners)] },
    { name: 'setup-client', args: (ports) => [JSON.stringify({ ports, ...contacts })] },
  );
}
