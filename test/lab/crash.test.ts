/** The end of a process, told from an outage: whoever is left behind hears of it soon, and never in vain. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Exchange,
  type ExchangePlan,
  PACED,
  type Pair,
  type Report,
  startClient,
  startPair,
  startServer,
} from './exchange.ts';
import { createLab, type Lab, labMissing } from './index.ts';

const missing = await labMissing();
/** The promise of docs/protocol.md to an application whose peer's process is gone. */
const NOTICE_MS = 3_000;

describe.skipIf(missing)('when a process ends', () => {
  let lab: Lab;
  const notices: string[] = [];
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  const SENDING: ExchangePlan = { send: PACED };
  const SILENT: ExchangePlan = {};

  describe.each([
    ['', false],
    [' behind a NAT', true],
  ] as const)('by SIGKILL%s', (where, behindNat) => {
    describe.each(['client', 'server'] as const)('the other side of a killed %s', (victim) => {
      test.each([
        ['nobody said anything', SILENT, SILENT],
        ['both sent', SENDING, SENDING],
        ['only the client sent', SENDING, SILENT],
        ['only the server sent', SILENT, SENDING],
      ])('gets ECONNRESET within 3 seconds where %s', async (what, clientPlan, serverPlan) => {
        if (behindNat) {
          await lab.nat.enable({ networks: ['wifi'] });
          await lab.conditions.blockInbound('wifi');
        }
        const pair = await startPair(lab, { family: 'ipv4', client: clientPlan, server: serverPlan });
        const survivor = pair[victim === 'client' ? 'server' : 'client'];
        const killedAt = Date.now();
        pair[victim].program.kill('SIGKILL');
        const { code, at } = await survivor.report('error');
        notices.push(`${victim} killed${where}, ${what}: ${at - killedAt} ms`);
        expect(code).toBe('ECONNRESET');
        expect(at - killedAt).toBeLessThan(NOTICE_MS);
        await survivor.report('close');
      });
    });
  });

  test('the times of all these notices', () => {
    console.log(`ECONNRESET after SIGKILL\n  ${notices.join('\n  ')}`);
    expect(notices.length).toBeGreaterThan(0);
  });

  describe('by process.exit()', () => {
    async function plainOrMobile(mobile: boolean): Promise<Pair> {
      if (mobile) return await startPair(lab, { client: SILENT, server: SILENT });
      const env = { MOBISOCK: 'off' };
      const server = await startServer(lab.server, { env });
      const client = startClient(lab.client, lab.server.address('east', 'ipv6'), { env });
      await client.report('connected');
      await server.report('connected');
      return { client, server };
    }

    /** What the survivor's application hears, in order, until its socket is closed. */
    async function story(survivor: Exchange): Promise<string[]> {
      const heard = ['end', 'error', 'close'] as const;
      const reports: Report[] = [];
      await survivor.report('close');
      for (const event of heard) reports.push(...survivor.reports(event));
      return reports.map(({ event, code, error }) => [event, code ?? error].filter(Boolean).join(' '));
    }

    test.each(['client', 'server'] as const)(
      'the other side of a %s hears what it would without mobisock',
      async (leaver) => {
        const stories: string[][] = [];
        for (const mobile of [false, true]) {
          const pair = await plainOrMobile(mobile);
          const survivor = pair[leaver === 'client' ? 'server' : 'client'];
          pair[leaver].tell('exit 0');
          await survivor.report('end');
          survivor.tell('finish');
          stories.push(await story(survivor));
          await survivor.program.stop();
        }
        expect(stories[1]).toEqual(stories[0]);
        expect(stories[0]).toEqual(['end', 'close']);
      },
    );
  });
});
