/**
 * UDP programs as people write them, unmodified: they go on when an end moves, where the same without mobisock comes to a
 * halt; and their plain peers notice nothing. The programs check every byte and every name; the session events say that
 * there were flows and that they moved.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLab, type Family, type Host, type Lab, labMissing, type Program } from '../lab/index.ts';
import { type Environment, runMobile, runPlain, sessionEvent, sessionEvents } from './lab-programs.ts';

const missing = await labMissing();
const OUTAGE_MS = 200;
/** A TFTP server answers from a port that the client did not ask, so its flows have to be wanted. */
const PREFER = { MOBISOCK_MOBILITY: 'prefer' };

describe.skipIf(missing)('UDP programs', { timeout: 60_000 }, () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ hosts: { client: ['wifi', 'lte'], server: ['east', 'west'], third: ['home'] } });
  });
  afterEach(() => lab.close());

  type Run = typeof runMobile;
  interface Plan {
    readonly protocol: 'coap' | 'coap-multicast' | 'tftp';
    readonly run?: Run;
    readonly env?: Environment;
  }

  async function serve(at: Host, { protocol, run = runMobile, env = {} }: Plan): Promise<Program> {
    const server = run(at, 'use.mjs', [protocol, 'serve'], env);
    await server.line(/^listening/);
    return server;
  }

  async function use(at: Host, plan: Plan, ...servers: string[]): Promise<Program> {
    const { protocol, run = runMobile, env = {} } = plan;
    const client = run(at, 'use.mjs', [protocol, servers.join(',')], env);
    await client.line(/^going/);
    return client;
  }

  async function outcome(client: Program): Promise<string> {
    client.write('finish\n');
    const [text] = await client.line(/^(?:done|failed) .*/);
    return text;
  }

  async function move(mover: 'client' | 'server'): Promise<void> {
    await lab.host(mover).move(mover === 'client' ? 'lte' : 'west', { outageMs: OUTAGE_MS });
  }

  const MOVES = [
    ['client', 'ipv4'],
    ['client', 'ipv6'],
    ['server', 'ipv4'],
    ['server', 'ipv6'],
  ] as const satisfies readonly (readonly ['client' | 'server', Family])[];

  describe('coap, which observes and transfers blocks,', () => {
    const plan = { protocol: 'coap' } as const;

    test.each(MOVES)('goes on when the %s moves, over %s', async (mover, family) => {
      const server = await serve(lab.server, plan);
      const client = await use(lab.client, plan, lab.server.address('east', family));
      await Promise.all([sessionEvent(client, 'open'), sessionEvent(server, 'open')]);
      await move(mover);
      await sessionEvent(mover === 'client' ? server : client, 'move');
      expect(await outcome(client)).toBe('done {"connections":1}');
      for (const end of [client, server]) expect(sessionEvents(end, 'open')).toHaveLength(1);
    });

    test.each(['client', 'server'] as const)('without mobisock stops when the %s moves', async (mover) => {
      const plain = { ...plan, run: runPlain };
      await serve(lab.server, plain);
      const client = await use(lab.client, plain, lab.server.address('east'));
      await move(mover);
      expect(await outcome(client)).toMatch(/^failed Error: (?:no news|send ENETUNREACH)/);
    });

    test('serves plain clients and has plain servers beside mobile ones, on the same sockets', async () => {
      const [server, plainServer] = [
        await serve(lab.server, plan),
        await serve(lab.host('third'), { ...plan, run: runPlain }),
      ];
      const [east, home] = [lab.server.address('east'), lab.host('third').address('home')];
      const client = await use(lab.client, plan, east, home);
      const plainClient = await use(lab.host('third'), { ...plan, run: runPlain }, east);
      await Promise.all([sessionEvent(client, 'open'), sessionEvent(server, 'open')]);
      expect(await outcome(plainClient)).toBe('done {"connections":1}');
      await move('server');
      await sessionEvent(client, 'move');
      expect(await outcome(client)).toBe('done {"connections":1}');
      for (const end of [client, server]) expect(sessionEvents(end, 'open')).toHaveLength(1);
      expect(plainServer.stderr).toBe('');
    });

    test.each([
      ['mobile', runMobile],
      ['plain', runPlain],
    ] as const)('finds servers by multicast, %s', async (kind, run) => {
      const found = { protocol: 'coap-multicast', run } as const;
      const address = lab.client.address('wifi');
      const server = await serve(lab.client, found);
      const client = await use(lab.client, found, address);
      // What was found is used over a flow then.
      if (kind === 'mobile') await Promise.all([sessionEvent(client, 'open'), sessionEvent(server, 'open')]);
      expect(await outcome(client)).toBe('done {"connections":1}');
      expect(client.stdout).toContain(`found here ${address} 7000\n`);
    });
  });

  describe('tftp, whose every transfer has sockets of its own,', () => {
    test.each([MOVES[0], MOVES[3]])('brings whole files when the %s moves, over %s', async (mover, family) => {
      const plan = { protocol: 'tftp', env: PREFER } as const;
      const server = await serve(lab.server, plan);
      const client = await use(lab.client, plan, lab.server.address('east', family));
      for (let i = 0; i < 2; i++) await Promise.all([sessionEvent(client, 'open'), sessionEvent(server, 'open')]);
      await move(mover);
      for (let i = 0; i < 2; i++) await sessionEvent(mover === 'client' ? server : client, 'move');
      expect(await outcome(client)).toBe('done {"connections":2}');
      await server.line(/^put whole/);
    });

    test.each(['client', 'server'] as const)('without mobisock gives up when the %s moves', async (mover) => {
      const plain = { protocol: 'tftp', run: runPlain } as const;
      await serve(lab.server, plain);
      const client = await use(lab.client, plain, lab.server.address('east'));
      await move(mover);
      expect(await outcome(client)).toMatch(/^failed Error/);
    });

    test.each([
      ['server', runMobile, runPlain],
      ['client', runPlain, runMobile],
    ] as const)('is let alone by a mobile %s', async (_mobile, runServer, runClient) => {
      const server = await serve(lab.server, { protocol: 'tftp', run: runServer });
      const client = await use(lab.client, { protocol: 'tftp', run: runClient }, lab.server.address('east'));
      expect(await outcome(client)).toBe('done {"connections":2}');
      await server.line(/^put whole/);
    });
  });
});
