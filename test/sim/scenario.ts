/** What the scenarios share. */
import { expect } from 'vitest';
import type { SessionEvent } from '../../src/l4mob/stream-session.ts';
import type { Plan, SimStream } from './stream.ts';
import { World, type WorldInit } from './world.ts';

export const ELSEWHERE = '192.0.2.200';
export const SERVER_ELSEWHERE = '198.51.100.200';

/** A transfer that takes some seconds. */
export const LONG_TRANSFER: Partial<Plan> = { bytes: 300_000, writeBytes: 1_000, pauseMs: 10 };

export function world(init: WorldInit = {}): World {
  return new World(init);
}

export function eventsOf(stream: SimStream, type: SessionEvent['type']): SessionEvent[] {
  return stream.events.filter((event) => event.type === type);
}

/** Both streams arrived whole, and both sides came to a good end. */
export function expectComplete({ client, server }: World): void {
  expect([client.stream.error, server.stream.error]).toEqual([undefined, undefined]);
  expect([client.stream.complete, server.stream.complete]).toEqual([true, true]);
  expect(server.stream.readBytes).toBe(client.stream.written);
  expect(client.stream.readBytes).toBe(server.stream.written);
}
