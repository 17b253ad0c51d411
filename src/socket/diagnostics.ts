/**
 * How people and programs watch: diagnostics channels `mobisock:session:open|move|suspend|resume|close` and
 * `mobisock:aarp:resolve`, `NODE_DEBUG=mobisock`, and JSON lines where the policy names a target (`MOBISOCK_EVENTS`).
 */
import diagnosticsChannel from 'node:diagnostics_channel';
import { openSync } from 'node:fs';
import { debuglog } from 'node:util';
import type { SessionLifeEvent, SessionLifeEventName } from '../l4mob/io/mobile-stream.ts';
import { EventLines } from './event-lines.ts';
import type { EventsTarget } from './policy/settings.ts';
import type { ResolveEvent } from './reported-resolver.ts';

export const debug: (message: string, ...values: unknown[]) => void = debuglog('mobisock');

const SESSION_CHANNELS: Readonly<Record<SessionLifeEventName, diagnosticsChannel.Channel>> = {
  open: diagnosticsChannel.channel('mobisock:session:open'),
  move: diagnosticsChannel.channel('mobisock:session:move'),
  suspend: diagnosticsChannel.channel('mobisock:session:suspend'),
  resume: diagnosticsChannel.channel('mobisock:session:resume'),
  close: diagnosticsChannel.channel('mobisock:session:close'),
};
const RESOLVE_CHANNEL = diagnosticsChannel.channel('mobisock:aarp:resolve');

/** The function to give to the endpoint. Nothing is opened before the first event. */
export function sessionLifeReporter(target: EventsTarget | undefined): (event: SessionLifeEvent) => void {
  return (event) => {
    const { name, ...rest } = event;
    publish(SESSION_CHANNELS[name], event);
    if (target !== undefined) writeLine(target, `session:${name}`, rest);
  };
}

/** The same for resolutions of anycast addresses. */
export function resolveReporter(target: EventsTarget | undefined): (event: ResolveEvent) => void {
  return (event) => {
    publish(RESOLVE_CHANNEL, event);
    if (target !== undefined) writeLine(target, 'aarp:resolve', event);
  };
}

function publish(channel: diagnosticsChannel.Channel, event: object): void {
  debug('%j', event);
  if (channel.hasSubscribers) channel.publish(event);
}

/** By target: two writers of one would cut into each other's lines. A process has one, by its environment. */
const writers = new Map<string, EventLines | 'failed'>();

function writeLine(target: EventsTarget, event: string, facts: object): void {
  const name = target.kind === 'stderr' ? '' : target.path;
  let lines = writers.get(name);
  if (lines === 'failed') return;
  const fail = (error: Error): void => {
    writers.set(name, 'failed');
    process.emitWarning(`session events can't be written: ${error.message}`, 'MobisockWarning');
  };
  try {
    lines ??= new EventLines(target.kind === 'stderr' ? 2 : openSync(target.path, 'a'), fail);
    writers.set(name, lines);
  } catch (error) {
    return fail(error as Error);
  }
  lines.write({ event, at: Date.now(), ...facts });
}
