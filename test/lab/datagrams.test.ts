/** UDP sockets of unmodified programs in real kernels: the conversation goes on through moves, and names stay. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BUILT_FILE, builtPackage } from '../built-package.ts';
import { createLab, type Family, type Host, type Lab, labMissing } from './index.ts';
import { MoveWatch, pauseText } from './pause.ts';
import { type BasicReport, ReportingProgram } from './reporting-program.ts';

const missing = await labMissing();
const PROGRAM = join(import.meta.dirname, 'programs', 'datagrams.mjs');
const COMMAND = join(BUILT_FILE, '..', 'cli', 'main.js');
const PORT = 7100;
/** Generous: it tells a pause from a stall. */
const STALL_MS = 2_000;
/** What is promised for a meeting at a rendezvous, from the moment when both have a network again. */
const MEETING_MS = 1_000;
/** A program under test that prints nothing for so long has stopped. */
const LINE_LIMIT_MS = 15_000;

interface Line extends BasicReport {
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly code: string;
}

/** One of the two programs, and the lines that it prints. */
class Talker extends ReportingProgram<Line> {
  constructor(host: Host, args: readonly string[], env: Readonly<Record<string, string>>) {
    const program = host.run('node', [PROGRAM, ...args], {
      nodeFlags: ['--import', builtPackage()],
      env: { MOBISOCK_EVENTS: 'stderr', ...env },
    });
    super(program);
  }

  /** The first line of that kind from that moment on. */
  line(event: string, fromAt = 0): Promise<Line> {
    return this.report(event, ({ at }) => at >= fromAt, LINE_LIMIT_MS);
  }

  names(event: 'heard' | 'answer'): string[] {
    return [...new Set(this.reports(event).map(({ from }) => from))];
  }

  numbers(event: 'heard' | 'answer'): string[] {
    return this.reports(event).map(({ text }) => text.split(' ')[0] as string);
  }
}

describe.skipIf(missing)('a datagram conversation', { timeout: 60_000 }, () => {
  let lab: Lab;
  afterEach(() => lab.close());

  interface Conversation {
    readonly client: Talker;
    readonly server: Talker;
  }

  function startServer(family: Family, env: Readonly<Record<string, string>> = {}): Talker {
    return new Talker(lab.server, ['server', family === 'ipv6' ? '::' : '0.0.0.0', `${PORT}`], env);
  }

  /** Until a flow carries it both ways. */
  async function start(
    network: string,
    family: Family,
    env: Readonly<Record<string, string>> = {},
  ): Promise<Conversation> {
    const server = startServer(family, env);
    await server.line('ready');
    const type = family === 'ipv6' ? 'udp6' : 'udp4';
    const client = new Talker(lab.client, ['client', lab.server.address(network, family), `${PORT}`, type], env);
    await Promise.all([client.line('session:open'), server.line('session:open')]);
    return { client, server };
  }

  /** How long after that moment something came that was sent after it, at each end. */
  async function pauses({ client, server }: Conversation, usableAt: number): Promise<number[]> {
    const heard = await server.line('heard', usableAt);
    const answer = await client.line('answer', usableAt);
    return [answer.at - usableAt, heard.at - usableAt];
  }

  /** Nobody was ever called by another name, no datagram came twice, and there was no error. */
  function expectOneConversation({ client, server }: Conversation): void {
    const [connected] = client.reports('connected');
    expect(client.names('answer')).toEqual([connected?.to]);
    const [name, ...others] = server.names('heard');
    expect(others).toEqual([]);
    expect(client.reports('answer').every(({ text }) => text.endsWith(name as string))).toBe(true);
    for (const numbers of [client.numbers('answer'), server.numbers('heard')]) {
      expect(new Set(numbers).size).toBe(numbers.length);
    }
    for (const event of ['error', 'session:close']) {
      expect([...client.reports(event), ...server.reports(event)]).toEqual([]);
    }
  }

  describe('between two networks each', () => {
    beforeEach(async () => {
      lab = await createLab();
    });

    test.each(['ipv4', 'ipv6'] as const)('goes on when the client moves, over %s', async (family) => {
      const conversation = await start('east', family);
      const watch = await MoveWatch.start(lab.client);
      const all: number[] = [];
      for (let move = 0; move < 6; move++) {
        const usableAt = await watch.move(move % 2 === 0 ? 'lte' : 'wifi', { outageMs: 200 });
        all.push(...(await pauses(conversation, usableAt)));
      }
      console.log(`pause of datagrams, the client moves, ${family}: ${pauseText(all)}`);
      expect(Math.max(...all)).toBeLessThan(STALL_MS);
      expectOneConversation(conversation);
    });

    test.each(['ipv4', 'ipv6'] as const)('goes on when the server moves, over %s', async (family) => {
      const conversation = await start('east', family);
      const watch = await MoveWatch.start(lab.server);
      const all: number[] = [];
      for (let move = 0; move < 6; move++) {
        const usableAt = await watch.move(move % 2 === 0 ? 'west' : 'east', { outageMs: 200 });
        all.push(...(await pauses(conversation, usableAt)));
      }
      console.log(`pause of datagrams, the server moves, ${family}: ${pauseText(all)}`);
      expect(Math.max(...all)).toBeLessThan(STALL_MS);
      expectOneConversation(conversation);
    });

    test('goes on when a NAT forgets its mapping, and names stay', async () => {
      await lab.nat.enable({ networks: ['wifi'], families: 'both' });
      const conversation = await start('east', 'ipv4');
      for (let times = 0; times < 3; times++) {
        const at = Date.now();
        await lab.nat.rebind({ established: 'silent' });
        await pauses(conversation, at);
      }
      await conversation.server.line('session:move');
      expectOneConversation(conversation);
    });

    test('goes on with a server that is killed and started again', async () => {
      const { client, server } = await start('east', 'ipv4');
      server.program.kill('SIGKILL');
      await server.program.exit;
      const next = startServer('ipv4');
      await next.line('ready');
      await next.line('session:open');
      const at = Date.now();
      await client.line('answer', at);
      expect(client.names('answer')).toEqual([`${lab.server.address('east', 'ipv4')} ${PORT}`]);
      expect(next.names('heard')).toHaveLength(1);
      const noise = next.reports('heard').filter(({ text }) => !/^\d+$/.test(text));
      expect(noise.length).toBeLessThanOrEqual(1);
    });

    test('tells a client that nobody is there any more', async () => {
      const { client, server } = await start('east', 'ipv4');
      server.program.kill('SIGKILL');
      expect((await client.line('error')).code).toBe('ECONNREFUSED');
    });
  });

  test.each(['ipv4', 'ipv6'] as const)('goes on when both move at the same instant, over %s', async (family) => {
    const rounds = 4;
    const networks = (name: string): string[] => Array.from({ length: rounds + 1 }, (_, i) => `${name}${i}`);
    lab = await createLab({ hosts: { client: networks('home'), server: networks('rack'), third: ['hub'] } });
    const third = lab.host('third').run('node', [COMMAND, 'rendezvous']);
    await third.line(/^rendezvous: ready/);
    const env = { MOBISOCK_RENDEZVOUS: lab.host('third').address('hub', family) };
    const conversation = await start('rack0', family, env);
    const watches = [await MoveWatch.start(lab.client), await MoveWatch.start(lab.server)] as const;
    const all: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      // Without an outage the one that is a little earlier may still be heard by the other at its old address.
      const outageMs = round % 2 === 0 ? 0 : 100;
      const usable = await Promise.all([
        watches[0].move(`home${round}`, { outageMs }),
        watches[1].move(`rack${round}`, { outageMs }),
      ]);
      all.push(...(await pauses(conversation, Math.max(...usable))));
    }
    console.log(`pause of datagrams, both move, ${family}: ${pauseText(all)}`);
    expect(Math.max(...all)).toBeLessThan(MEETING_MS);
    expectOneConversation(conversation);
    // Nobody else could tell them where the other is.
    third.kill();
    const [, asks] = await third.line(/^rendezvous: SIGTERM, asks (\d+),/);
    expect(Number(asks)).toBeGreaterThanOrEqual(rounds);
  });

  test.each(['ipv4', 'ipv6'] as const)(
    'goes on when a server moves away from a client behind a NAT, over %s',
    async (family) => {
      const networks = ['rack0', 'rack1', 'rack2', 'rack3'];
      lab = await createLab({ hosts: { client: ['home'], server: networks, third: ['hub'] } });
      await lab.nat.enable({ networks: ['home'], families: 'both' });
      const third = lab.host('third').run('node', [COMMAND, 'rendezvous']);
      await third.line(/^rendezvous: ready/);
      const conversation = await start('rack0', family, {
        MOBISOCK_RENDEZVOUS: lab.host('third').address('hub', family),
      });
      const watch = await MoveWatch.start(lab.server);
      const all: number[] = [];
      for (const network of networks.slice(1)) all.push(...(await pauses(conversation, await watch.move(network))));
      console.log(`pause of datagrams, the server moves, the client behind a NAT, ${family}: ${pauseText(all)}`);
      expect(Math.max(...all)).toBeLessThan(STALL_MS);
      expectOneConversation(conversation);
    },
  );
});
