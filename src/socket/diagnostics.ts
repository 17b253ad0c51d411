/**
 * How people and programs watch sessions: diagnostics channels `mobisock:session:open|move|suspend|resume|close`,
 * `NODE_DEBUG=mobisock`, and JSON lines where the policy names a target (`MOBISOCK_EVENTS`). One function takes every
 * event, from the endpoint.
 */
import diagnosticsChannel from 'node:diagnostics_channel';
import { openSync } from 'node:fs';
import { debuglog } from 'node:util';
import type { SessionLifeEvent, SessionLifeEventName } from '../l4mob/io/mobile-stream.ts';
import { EventLines } from './event-lines.ts';
import type { EventsTarget } from './policy/settings.ts';

export const debug: (message: string, ...values: unknown[]) => void = debuglog('mobisock');

const CHANNELS: Readonly<Record<SessionLifeEventName, diagnosticsChannel.Channel>> = {
  open: diagnosticsChannel.channel('mobisock:session:open'),
  move: diagnosticsChannel.channel('mobisock:session:move'),
  suspend: diagnosticsChannel.channel('mobisock:session:suspend'),
  resume: diagnosticsChannel.channel('mobisock:session:resume'),
  close: diagnosticsChannel.channel('mobisock:session:close'),
};

/** The function to give to the endpoint. Nothing is opened before the first event. */
export function sessionLifeReporter(target: EventsTarget | undefined): (event: SessionLifeEvent) => void {
  let lines: EventLines | undefined;
  let silent = target === undefined;
  const fail = (error: Error): void => {
    silent = true;
    process.emitWarning(`session events can't be written: ${error.message}`, 'MobisockWarning');
  };
  return (event) => {
    debug('%j', event);
    const channel = CHANNELS[event.name];
    if (channel.hasSubscribers) channel.publish(event);
    if (silent || target === undefined) return;
    try {
      lines ??= new EventLines(target.kind === 'stderr' ? 2 : openSync(target.path, 'a'), fail);
    } catch (error) {
      return fail(error as Error);
    }
    const { name, ...rest } = event;
    lines.write({ event: `session:${name}`, at: Date.now(), ...rest });
  };
}
