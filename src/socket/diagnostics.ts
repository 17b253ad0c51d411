/**
 * How people and programs watch sessions: diagnostics channels `mobisock:session:open|move|suspend|resume|close`,
 * `NODE_DEBUG=mobisock`, and JSON lines where the policy names a target (`MOBISOCK_EVENTS`). One function takes every
 * event, from the endpoint.
 */
import diagnosticsChannel from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import { debuglog } from 'node:util';
import type { SessionLifeEvent, SessionLifeEventName } from '../l4mob/io/mobile-stream.ts';
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
  let file: number | undefined;
  let silent = target === undefined;
  return (event) => {
    debug('%j', event);
    const channel = CHANNELS[event.name];
    if (channel.hasSubscribers) channel.publish(event);
    if (silent || target === undefined) return;
    try {
      file ??= target.kind === 'stderr' ? 2 : openSync(target.path, 'a');
      // Written at once: whoever looks into the file after a crash wants the last line most.
      const { name, ...rest } = event;
      writeSync(file, `${JSON.stringify({ event: `session:${name}`, at: Date.now(), ...rest })}\n`);
    } catch (error) {
      silent = true;
      process.emitWarning(`session events can't be written: ${(error as Error).message}`, 'MobisockWarning');
    }
  };
}
