/** What those who watch hear of anycast addresses. */
import diagnosticsChannel from 'node:diagnostics_channel';
import { expect, it } from 'vitest';
import { resolveReporter } from '../../src/socket/diagnostics.ts';
import { ReportedResolver, type ResolveEvent } from '../../src/socket/reported-resolver.ts';
import { HeldResolver } from './held-resolver.ts';

const ADDRESS = 'fd00::53';
const MEMBER = '2001:db8::7';

it('is one event for each address that somebody was asked about, however many asked, and none from memory', async () => {
  const held = new HeldResolver();
  const events: ResolveEvent[] = [];
  const resolver = new ReportedResolver(held, (event) => events.push(event));
  const asked = [resolver.resolve(ADDRESS), resolver.resolve(ADDRESS)];
  await held.answer(MEMBER);
  expect((await Promise.all(asked)).map(({ unicast }) => unicast)).toEqual([MEMBER, MEMBER]);
  expect((await resolver.resolve(ADDRESS)).unicast).toBe(MEMBER);
  expect(events).toEqual([
    expect.objectContaining({ address: ADDRESS, kind: 'anycast', unicast: MEMBER, ms: expect.any(Number) }),
  ]);
});

it('says why nobody was found, and whoever asked hears it as ever', async () => {
  const held = new HeldResolver();
  const events: ResolveEvent[] = [];
  const resolver = new ReportedResolver(held, (event) => events.push(event));
  const asked = expect(resolver.resolve(ADDRESS)).rejects.toThrow('no answer to probes');
  await held.answer(undefined);
  await asked;
  expect(events).toEqual([{ address: ADDRESS, error: 'silent', ms: expect.any(Number) }]);
});

it('is published on the channel', () => {
  const published: unknown[] = [];
  const take = (message: unknown): void => void published.push(message);
  const event: ResolveEvent = { address: ADDRESS, error: 'unreachable', ms: 1 };
  diagnosticsChannel.subscribe('mobisock:aarp:resolve', take);
  resolveReporter(undefined)(event);
  diagnosticsChannel.unsubscribe('mobisock:aarp:resolve', take);
  expect(published).toEqual([event]);
});
