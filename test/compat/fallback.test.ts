/** Where the peer or the network does not let a session be: plain TCP as node makes it, and no asking twice. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Capture } from '../lab/capture.ts';
import { createLab, type Lab, labMissing } from '../lab/index.ts';
import type { TrafficMatch } from '../lab/link-conditions.ts';
import type { Program } from '../lab/program.ts';
import { type Environment, runMobile, runPlain, sessionEvents } from './lab-programs.ts';

const missing = await labMissing();
const PORT = 7000;
const SESSION_PORT = 4433;
const UDP_TO_SERVER: TrafficMatch = { to: 'east', protocol: 'udp' };
const TO_SESSION_PORT: TrafficMatch = { to: 'east', protocol: 'tcp', destinationPort: SESSION_PORT };

describe.skipIf(missing)('Without mobility at one end', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test('TCP is what it would be without mobisock, and there is one L4_INIT, once', async () => {
    const asItWould = await segments(lab, runPlain, runPlain);
    const shimmedClient = await segments(lab, runMobile, runPlain);
    expect(shimmedClient.tcp).toEqual(asItWould.tcp);
    expect([asItWould.udpSources, shimmedClient.udpSources]).toEqual([0, 1]);
    const shimmedServer = await segments(lab, runPlain, runMobile);
    expect(shimmedServer.tcp).toEqual(asItWould.tcp);
    expect(shimmedServer.udpSources).toBe(0);
  });

  test('a policy that requires mobility makes the connection fail, and the error says why', async () => {
    await serve(lab, runPlain);
    const client = runMobile(lab.client, 'contact.mjs', [], { MOBISOCK_MOBILITY: 'require' });
    expect(await ask(lab, client)).toBe(
      `error ECONNREFUSED connect ECONNREFUSED ${lab.server.address('east')}:${PORT} ` +
        '(policy requires mobility: the peer does not speak the protocol)',
    );
  });
});

describe.skipIf(missing)('A listener that requires mobility', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test('takes sessions and turns plain connections away', async () => {
    const server = runMobile(lab.server, 'answer.mjs', [`:::${PORT}`], { MOBISOCK_MOBILITY: 'require' });
    await server.line(/^listening/);
    expect(await ask(lab, runPlain(lab.client, 'contact.mjs'))).toMatch(/^error (ECONNRESET|EPIPE) /);
    const mobile = runMobile(lab.client, 'contact.mjs', [], { MOBISOCK_MOBILITY: 'require' });
    expect(await ask(lab, mobile)).toBe(`answer "answer to question over ${PORT}"`);
    expect(server.stdout.match(/^request/gm)).toHaveLength(1);
  });
});

describe.skipIf(missing)('Between two ends that could, a network', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab();
  });
  afterEach(() => lab.close());

  test.each([
    ['drops UDP', 'drop', UDP_TO_SERVER],
    ['answers UDP with "port unreachable"', 'port-unreachable', UDP_TO_SERVER],
    ['answers UDP with "administratively prohibited"', 'admin-prohibited', UDP_TO_SERVER],
    ['answers UDP with "host unreachable"', 'host-unreachable', UDP_TO_SERVER],
    ['drops what goes to the session port', 'drop', TO_SESSION_PORT],
    ['resets what goes to the session port', 'tcp-reset', TO_SESSION_PORT],
    ['prohibits what goes to the session port', 'admin-prohibited', TO_SESSION_PORT],
  ] as const)('that %s makes connections plain, and is remembered', async (_, how, match) => {
    if (how === 'drop') await lab.conditions.blackhole(match);
    else await lab.conditions.refuse(how, match);
    const server = await serve(lab, runMobile);
    // An answer that a busy machine is late to read would be good for another try.
    const patience = match === TO_SESSION_PORT ? { MOBISOCK_HEAD_START: '5s' } : {};
    const client = runMobile(lab.client, 'contact.mjs', [], patience);
    const inits = await lab.capture('wifi', { filter: `udp dst port ${PORT}` });
    const dials = await lab.capture('wifi', { filter: `tcp[tcpflags] == tcp-syn and dst port ${SESSION_PORT}` });
    expect(await ask(lab, client)).toBe(`answer "answer to question over ${PORT}"`);
    await server.line(/^request/);
    const dialed = await dials.count();
    for (let i = 0; i < 3; i++) {
      expect(await ask(lab, client)).toBe(`answer "answer to question over ${PORT}"`);
      await server.line(/^request/);
    }
    expect(await sources(inits)).toBe(1);
    expect(await dials.count()).toBe(dialed);
    expect(dialed > 0).toBe(match === TO_SESSION_PORT);
    expect([...sessionEvents(client, 'open'), ...sessionEvents(server, 'open')]).toEqual([]);
  });

  test('that drops UDP does not matter for a configured peer', async () => {
    await lab.conditions.blackhole({ protocol: 'udp' });
    const server = await serve(lab, runMobile);
    const host = lab.server.address('east');
    const peers = [{ host, port: PORT, sessionPort: SESSION_PORT }];
    const client = runMobile(lab.client, 'contact.mjs', [], { MOBISOCK_POLICY: policyFile(lab, { peers }) });
    for (let i = 0; i < 2; i++) {
      expect(await ask(lab, client)).toBe(`answer "answer to question over ${PORT}"`);
      await server.line(/^request/);
    }
    expect(sessionEvents(client, 'open')).toHaveLength(2);
    expect(sessionEvents(server, 'open')).toHaveLength(2);
  });
});

describe.skipIf(missing)('A listener is reachable for sessions where it is for connections and nowhere else:', () => {
  let lab: Lab;
  beforeEach(async () => {
    lab = await createLab({ attached: { client: ['wifi'], server: ['east', 'west'] } });
  });
  afterEach(() => lab.close());

  test('one on loopback opens no port to the outside', async () => {
    const places = [`127.0.0.1:${PORT}`, `::1:${PORT}`];
    const alone = await ports(lab, runPlain, places);
    expect(await ports(lab, runMobile, places)).toEqual(alone);
    const preferring = await ports(lab, runMobile, places, { MOBISOCK_MOBILITY: 'prefer' });
    expect(preferring.length).toBeGreaterThan(alone.length);
    expect(preferring.filter((place) => !/ (127\.0\.0\.1|\[::1\]):/.test(place))).toEqual([]);
  });

  test('one on one address has its session port there', async () => {
    const east = lab.server.address('east');
    const open = await ports(lab, runMobile, [`${east}:${PORT}`], { MOBISOCK_SESSION_PORT: String(SESSION_PORT) });
    const expected = [PORT, SESSION_PORT].flatMap((port) => [`tcp ${east}:${port}`, `udp ${east}:${port}`]);
    expect(open).toEqual(expected.sort());
  });

  test('and not through the session port of a listener on all addresses', async () => {
    const [east, west] = [lab.server.address('east'), lab.server.address('west')];
    const server = runMobile(lab.server, 'answer.mjs', [`${east}:7001`, ':::7002'], {
      MOBISOCK_SESSION_PORT: `${SESSION_PORT}-${SESSION_PORT + 7}`,
    });
    await server.line(/^listening/);
    await server.line(/^listening/);
    const everywhere = await sessionPortEverywhere(lab);
    const peers = [east, west].flatMap((host) => [7001, 7002].map((port) => ({ host, port, sessionPort: everywhere })));
    const client = runMobile(lab.client, 'contact.mjs', [], { MOBISOCK_POLICY: policyFile(lab, { peers }) });
    // To check the way itself: the listener on all addresses is there.
    expect(await ask(lab, client, west, 7002)).toBe('answer "answer to question over 7002"');
    expect(sessionEvents(client, 'open')).toHaveLength(1);
    expect(await ask(lab, client, west, 7001)).toBe(`error ECONNREFUSED connect ECONNREFUSED ${west}:7001`);
    expect(await ask(lab, client, east, 7001)).toBe('answer "answer to question over 7001"');
    expect(sessionEvents(client, 'open')).toHaveLength(1);
  });
});

type Run = typeof runPlain;

async function serve(lab: Lab, run: Run): Promise<Program> {
  const server = run(lab.server, 'answer.mjs', [`:::${PORT}`], { MOBISOCK_SESSION_PORT: String(SESSION_PORT) });
  await server.line(/^listening/);
  return server;
}

async function ask(
  lab: Lab,
  client: Program,
  host: string = lab.server.address('east'),
  port: number = PORT,
): Promise<string> {
  client.write(`${host} ${port}\n`);
  return (await client.line(/^(answer|error) .*/))[0];
}

function policyFile(lab: Lab, policy: object): string {
  const path = join(lab.directory, 'policy.json');
  writeFileSync(path, JSON.stringify(policy));
  return path;
}

/** Two exchanges on the wire: segments that carry anything, in order for each direction, and who sent UDP. */
async function segments(
  lab: Lab,
  runClient: Run,
  runServer: Run,
): Promise<{ tcp: { toServer: string[]; toClient: string[] }; udpSources: number }> {
  const server = await serve(lab, runServer);
  const client = runClient(lab.client, 'contact.mjs');
  const tcp = await lab.capture('wifi', { filter: `tcp port ${PORT}` });
  const udp = await lab.capture('wifi', { filter: 'udp' });
  for (let i = 0; i < 2; i++) {
    expect(await ask(lab, client)).toBe(`answer "answer to question over ${PORT}"`);
    await server.line(/^request/);
  }
  client.endInput();
  await client.exit;
  await server.stop('SIGKILL');
  const seen = (filter: string): Promise<string[]> => carrying(tcp, filter);
  return {
    tcp: { toServer: await seen(`dst port ${PORT}`), toClient: await seen(`src port ${PORT}`) },
    udpSources: await sources(udp),
  };
}

async function carrying(capture: Capture, filter: string): Promise<string[]> {
  const packets = await capture.packets(filter);
  return packets
    .map((line) => /Flags \[([^\]]*)\].*?(options \[.*\])?, length (\d+)/.exec(line))
    .filter((found) => found !== null)
    .map(([, flags = '', options = '', length]) => `${flags} ${options.replace(/\d{3,}/g, 'N')} ${length}`)
    .filter((text) => !/^\. .* 0$/.test(text));
}

/** Sockets that sent datagrams: a repetition comes from the same one. */
async function sources(capture: Capture): Promise<number> {
  const packets = await capture.packets();
  return new Set(packets.map((line) => /IP6? (\S+) >/.exec(line)?.[1])).size;
}

async function ports(lab: Lab, run: Run, places: readonly string[], env: Environment = {}): Promise<string[]> {
  const server = run(lab.server, 'answer.mjs', places, env);
  for (const _ of places) await server.line(/^listening/);
  const open = await listeningPorts(lab);
  await server.stop('SIGKILL');
  return open;
}

/** A session port that has to try several numbers listens a moment later than its listener. */
async function sessionPortEverywhere(lab: Lab): Promise<number> {
  for (;;) {
    const open = (await listeningPorts(lab)).filter((place) => place.startsWith('tcp '));
    const found = /(?:\*|\[::\]):(44\d\d)/.exec(open.join());
    if (found !== null) return Number(found[1]);
  }
}

async function listeningPorts(lab: Lab): Promise<string[]> {
  const lines = (await lab.server.namespace.command(['ss', '-Htuln'])).trim().split('\n');
  return lines
    .map((line) => line.split(/\s+/))
    .map(([protocol, , , , place]) => `${protocol} ${place}`)
    .sort();
}
