/**
 * A client that moves: in the laboratory (real kernels, two access networks, a router) it loses its address, has no
 * network for a while, and gets an address on the other network, while both ends send a light steady stream. The figure
 * is the time from the new default route, as `ip monitor` saw it, to the first byte that the client's application gets.
 */
import { join } from 'node:path';
import { createLab, type Lab, labAvailable, type Program } from '../test/lab/index.ts';
import { MoveWatch } from '../test/lab/pause.ts';
import { median, NEVER } from './figures.ts';
import type { Variant } from './variants.ts';

const MOVES = 5;
const OUTAGE_MS = 200;
/** A stream that is still silent by then counts as ended: a session takes milliseconds. */
export const GIVE_UP_MS = 5_000;
const PORT = 7000;
const PROGRAMS = join(import.meta.dirname, 'programs');

/** Why it can't be measured here, in words; undefined where it can. */
export async function handoverMissing(): Promise<string | undefined> {
  const availability = await labAvailable();
  return availability.available ? undefined : availability.reason;
}

/** The median of several moves, in milliseconds; NEVER as soon as a stream did not come back. */
export async function handoverMs(variant: Variant): Promise<number> {
  const lab = await createLab();
  try {
    const { nodeFlags, env } = variant;
    const server = lab.server.run('node', [join(PROGRAMS, 'handover-server.mjs'), String(PORT)], { nodeFlags, env });
    await server.line(/^listening$/);
    const target = [lab.server.address('east'), String(PORT)];
    const client = lab.client.run('node', [join(PROGRAMS, 'handover-client.mjs'), ...target], { nodeFlags, env });
    await client.line(/^streaming$/);
    return await pauseOf(lab, client);
  } finally {
    await lab.close();
  }
}

async function pauseOf(lab: Lab, client: Program): Promise<number> {
  const watch = await MoveWatch.start(lab.client);
  const pauses: number[] = [];
  for (let i = 0; i < MOVES; i++) {
    const usableAt = await watch.move(i % 2 === 0 ? 'lte' : 'wifi', { outageMs: OUTAGE_MS });
    client.write(`${usableAt} ${GIVE_UP_MS}\n`);
    const [, arrival] = await client.line(/^first (\S+)$/);
    if (arrival === 'never') return NEVER;
    pauses.push(Number(arrival) - usableAt);
  }
  return median(pauses);
}
