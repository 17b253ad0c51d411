/**
 * Somebody else on the network sends what they like: forged, replayed, cut, changed, reordered, raced. A session in use
 * is not disturbed, everything is counted, and nobody gets more bytes out of a server than they sent.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EndpointCounters } from '../../src/l4mob/io/mobile-stream.ts';
import type { Capture } from '../lab/capture.ts';
import { createLab, type Lab, labMissing } from '../lab/index.ts';
import type { Program } from '../lab/program.ts';
import { type Captured, capturedPackets } from './captured.ts';
import { runMobile, runPlain, sessionEvent, sessionEvents } from './lab-programs.ts';

const missing = await labMissing();
const PORT = 7000;
const SESSION_PORT = 4433;
const RESUME = 3;
const REFUSE = 5;
const SIGNAL_HEADER_BYTES = 8;
const BATCH = 64;

describe.skipIf(missing)('An attacker', () => {
  let lab: Lab;
  let server: Program;
  let client: Program;
  let attacker: Attacker;
  let captures: Capture[];

  beforeEach(async () => {
    lab = await createLab({
      hosts: { client: ['wifi', 'lte'], server: ['east'], attacker: ['cafe'] },
      families: 'ipv4',
    });
    captures = [await capture(lab, 'wifi'), await capture(lab, 'lte')];
    server = runMobile(lab.server, 'use.mjs', ['ws', 'serve'], { MOBISOCK_SESSION_PORT: String(SESSION_PORT) });
    await server.line(/^listening/);
    client = runMobile(lab.client, 'use.mjs', ['ws', lab.server.address('east')], { MOBISOCK_HEAD_START: '5s' });
    await client.line(/^going/);
    attacker = new Attacker(runPlain(lab.host('attacker'), 'attacker.mjs'), lab.server.address('east'));
  });
  afterEach(() => lab.close());

  test('with L4_INITs that are replayed, cut, changed or reordered gets no more bytes than they sent', async () => {
    const [init] = (await sent({ destinationPort: PORT, protocol: 'udp' })).map(({ payload }) => payload);
    if (init === undefined) throw new Error('no L4_INIT');
    const before = await counts();
    const variants = [init, init, ...cuts(init), ...flips(init), reordered(init)];
    const whole = variants.filter(isInit).length;
    const after = await sendAll(PORT, variants, isInit, ({ inits }) => inits - before.inits);
    expect(after.malformed - before.malformed).toBeGreaterThan(cuts(init).filter(isInit).length);
    const answered = after.offers - before.offers + after.askedAgain + after.cookiesDemanded + after.refused;
    // The second of two that are the same gets the first one's answer.
    expect(answered + after.malformed - before.malformed).toBe(whole - 1);
    const { sentBytes, receivedBytes } = await attacker.counts();
    expect(receivedBytes).toBeGreaterThan(0);
    expect(receivedBytes).toBeLessThan(sentBytes);
    await expectUndisturbed();
  });

  test('with OPENs and RESUMEs that are replayed, cut, changed or reordered opens nothing and moves nothing', async () => {
    await lab.client.move('lte', { families: 'ipv4' });
    await sessionEvent(client, 'move');
    const firsts = await firstPayloads();
    const open = firsts.find(([type]) => type === 1);
    const resume = firsts.find(([type]) => type === RESUME);
    if (open === undefined || resume === undefined) throw new Error('not both hellos');
    const before = await counts();
    const hellos = [open.subarray(0, 68), resume.subarray(0, 48)];
    const variants = [open, resume, ...hellos.flatMap((hello) => [...flips(hello), ...cuts(hello), reordered(hello)])];
    const answers = await Promise.all(variants.map((variant) => attacker.tcp(SESSION_PORT, variant)));
    for (const answer of answers) {
      // A refusal that tells nothing, or silence.
      expect(answer.length === 0 || answer[0] === REFUSE).toBe(true);
      expect(answer.length).toBeLessThanOrEqual(22);
    }
    expect(turnedAway(await counts()) - turnedAway(before)).toBe(variants.length);
    expect((await counts()).staleHellos - before.staleHellos).toBe(2);
    await expectUndisturbed();
  });

  test('with a RESUME of an earlier state gets nothing, however often the session has moved since', async () => {
    for (const network of ['lte', 'wifi', 'lte']) {
      await lab.client.move(network, { families: 'ipv4' });
      await sessionEvent(client, 'move');
    }
    const resumes = (await firstPayloads()).filter(([type]) => type === RESUME);
    expect(resumes.length).toBeGreaterThanOrEqual(3);
    const before = await counts();
    for (const resume of resumes) expect((await attacker.tcp(SESSION_PORT, resume))[0]).toBe(REFUSE);
    expect((await counts()).staleHellos - before.staleHellos).toBe(resumes.length);
    await expectUndisturbed();
  });

  test('with L4_UPDATEs that are replayed, cut, changed or reordered is counted and ignored by both sides', async () => {
    await lab.client.move('lte', { families: 'ipv4' });
    await sessionEvent(client, 'move');
    const updates = await sent({ destinationPort: SESSION_PORT, protocol: 'udp' });
    const answers = (await packets()).filter((p) => p.protocol === 'udp' && p.sourcePort === SESSION_PORT);
    const [update] = updates;
    const [answer] = answers;
    if (update === undefined || answer === undefined) throw new Error('no L4_UPDATE either way');
    const before = await counts();
    const variants = [
      ...updates.map(({ payload }) => payload),
      ...flips(update.payload),
      ...cuts(update.payload),
      reordered(update.payload),
    ];
    await sendAll(SESSION_PORT, variants, isUpdate, ({ forgedUpdates }) => forgedUpdates - before.forgedUpdates);
    const toClient = [answer.payload, ...flips(answer.payload), ...cuts(answer.payload)];
    await attacker.udp(answer.destinationPort, toClient, lab.client.address('lte'));
    expect((await attacker.counts()).received).toBe(0);
    await expectUndisturbed();
  });

  test('who is faster with a genuine RESUME than its sender holds the session up, and no longer', async () => {
    // The network lets connections be made, but nothing be sent on them: the RESUME gets as far as the router.
    const heldUp = 'iifname "lte" tcp dport 4433 ip length > 60 counter drop';
    const echo = await lab.router.nft(`add rule inet lab conditions ${heldUp}`);
    await lab.client.move('lte', { families: 'ipv4' });
    const resume = await firstOf(RESUME);
    const connection = attacker.tcp(SESSION_PORT, resume);
    const stolen = await sessionEvent(server, 'move');
    const handle = /# handle (\d+)/.exec(echo)?.[1];
    await lab.router.nft(`delete rule inet lab conditions handle ${handle}`);
    expect(stolen.remote.ip).toBe(lab.host('attacker').address('cafe'));
    while ((await sessionEvent(server, 'move')).remote.ip !== lab.client.address('lte'));
    await connection;
    await expectUndisturbed();
  });

  test('who is faster with a genuine L4_UPDATE than its sender learns nothing more, and moves nothing', async () => {
    const hidden = await lab.conditions.blackhole({ from: 'lte', protocol: 'udp' });
    await lab.client.move('lte', { families: 'ipv4' });
    await sessionEvent(client, 'move');
    const lte = lab.client.address('lte');
    let update: Captured | undefined;
    while (update === undefined) {
      const updates = await sent({ destinationPort: SESSION_PORT, protocol: 'udp', source: lte });
      update = updates.find(({ payload }) => isUpdate(payload));
    }
    const moves = sessionEvents(server, 'move').length;
    const before = await counts();
    await attacker.udp(SESSION_PORT, [update.payload, update.payload]);
    // The first of the two counts as genuine, for that is what it is.
    await until(({ forgedUpdates }) => forgedUpdates === before.forgedUpdates + 1);
    await hidden.remove();
    await lab.client.move('wifi', { families: 'ipv4' });
    await sessionEvent(client, 'move');
    const { sentBytes, receivedBytes } = await attacker.counts();
    expect(receivedBytes).toBeLessThanOrEqual(sentBytes);
    await expectUndisturbed();
    const attackersAddress = lab.host('attacker').address('cafe');
    const movedTo = sessionEvents(server, 'move').slice(moves);
    expect(movedTo.map(({ remote }) => remote.ip)).not.toContain(attackersAddress);
  });

  test('who floods a server with L4_INITs is asked for cookies, gets no more than was sent, and keeps nobody out', async () => {
    const [init] = (await sent({ destinationPort: PORT, protocol: 'udp' })).map(({ payload }) => payload);
    if (init === undefined) throw new Error('no L4_INIT');
    const before = await counts();
    const flooding = attacker.flood(PORT, init, 20_000);
    const late = runMobile(lab.client, 'use.mjs', ['http', lab.server.address('east')], { MOBISOCK_HEAD_START: '5s' });
    // Speaks http to a server of websockets: an answer of any kind shows that there is a session and a server.
    await sessionEvent(late, 'open');
    await flooding;
    const after = await until(({ cookiesDemanded }) => cookiesDemanded > 0);
    // Sixteen from one source, and those of the two clients.
    expect(after.offers - before.offers).toBeLessThan(40);
    expect(after.rss - before.rss).toBeLessThan(64 << 20);
    const { sentBytes, receivedBytes } = await attacker.counts();
    expect(receivedBytes).toBeLessThan(sentBytes / 2);
    await expectUndisturbed();
  });

  test('who answers a client with L4_OFFERs of others, cut or changed, gets a plain connection', async () => {
    const [offer] = (await packets()).filter((p) => p.protocol === 'udp' && p.sourcePort === PORT);
    if (offer === undefined) throw new Error('no L4_OFFER');
    const { payload } = offer;
    const offers = [payload, ...flips(payload), ...cuts(payload), reordered(payload)];
    await attacker.serve(7100, offers);
    const other = runMobile(lab.client, 'contact.mjs');
    for (let i = 0; i < 2; i++) {
      other.write(`${lab.host('attacker').address('cafe')} 7100\n`);
      expect((await other.line(/^(?:answer|error) .*/))[0]).toBe('answer "hello"');
    }
    expect(sessionEvents(other, 'open')).toEqual([]);
    await expectUndisturbed();
  });

  // ---- what the tests above share

  async function packets(): Promise<Captured[]> {
    return (await Promise.all(captures.map(capturedPackets))).flat();
  }

  async function sent(where: Partial<Captured>): Promise<Captured[]> {
    const clients = [lab.client.address('wifi'), lab.client.address('lte')];
    return (await packets()).filter(
      (packet) =>
        clients.includes(packet.source) &&
        Object.entries(where).every(([key, value]) => packet[key as keyof Captured] === value),
    );
  }

  /** Of each connection to the session port. */
  async function firstPayloads(): Promise<Buffer[]> {
    const firsts = new Map<string, Buffer>();
    for (const { source, sourcePort, payload } of await sent({ destinationPort: SESSION_PORT, protocol: 'tcp' })) {
      const connection = `${source} ${sourcePort}`;
      if (!firsts.has(connection)) firsts.set(connection, payload);
    }
    return [...firsts.values()];
  }

  async function firstOf(helloType: number): Promise<Buffer> {
    for (;;) {
      const found = (await firstPayloads()).find(([type]) => type === helloType);
      if (found !== undefined) return found;
    }
  }

  async function counts(): Promise<Counts> {
    server.write('\n');
    const [, text = ''] = await server.line(/^stats (.*)/);
    return JSON.parse(text) as Counts;
  }

  /** A few at a time, so that none overflows the server's socket. Returns the counts when all that count have come. */
  async function sendAll(
    port: number,
    datagrams: readonly Buffer[],
    counts: (datagram: Buffer) => boolean,
    counted: (now: Counts) => number,
  ): Promise<Counts> {
    let expected = 0;
    for (let i = 0; i < datagrams.length; i += BATCH) {
      const batch = datagrams.slice(i, i + BATCH);
      await attacker.udp(port, batch);
      expected += batch.filter(counts).length;
      await until((now) => counted(now) >= expected);
    }
    return until((now) => counted(now) === expected);
  }

  async function until(wanted: (now: Counts) => boolean): Promise<Counts> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const now = await counts();
      if (wanted(now)) return now;
      if (performance.now() > deadline) throw new Error(`never as wanted: ${JSON.stringify(now)}`);
    }
  }

  async function expectUndisturbed(): Promise<void> {
    client.write('finish\n');
    const [, outcome = ''] = await client.line(/^(?:done|failed) (.*)/);
    expect(JSON.parse(outcome)).toEqual({ connections: 1, code: 1005 });
    expect(sessionEvents(client, 'open')).toHaveLength(1);
    expect(sessionEvents(server, 'close').filter(({ error }) => error !== undefined)).toEqual([]);
  }
});

type Counts = EndpointCounters & { readonly rss: number };

/** `refusedOpens` counts what one of the others may have counted, too. */
function turnedAway(counts: Counts): number {
  return counts.malformedHellos + counts.unknownHellos + counts.forgedHellos + counts.staleHellos;
}

interface AttackerCounts {
  readonly sentBytes: number;
  readonly received: number;
  readonly receivedBytes: number;
}

class Attacker {
  readonly #program: Program;
  readonly #victim: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(program: Program, victim: string) {
    this.#program = program;
    this.#victim = victim;
  }

  udp(port: number, datagrams: readonly Buffer[], host: string = this.#victim): Promise<unknown> {
    return this.#command({ udp: datagrams.map((bytes) => bytes.toString('hex')), host, port });
  }

  flood(port: number, init: Buffer, count: number): Promise<unknown> {
    return this.#command({ flood: init.toString('hex'), random: freshParts(init), host: this.#victim, port, count });
  }

  async tcp(port: number, bytes: Buffer): Promise<Buffer> {
    const { answer } = (await this.#command({ tcp: bytes.toString('hex'), host: this.#victim, port })) as {
      answer: string;
    };
    return Buffer.from(answer, 'hex');
  }

  serve(port: number, datagrams: readonly Buffer[]): Promise<unknown> {
    return this.#command({ serve: datagrams.map((bytes) => bytes.toString('hex')), port });
  }

  async counts(): Promise<AttackerCounts> {
    return (await this.#command({ count: true })) as AttackerCounts;
  }

  /** One after the other: the program answers in order. */
  #command(command: object): Promise<unknown> {
    const answered = this.#last.then(async () => {
      this.#program.write(`${JSON.stringify(command)}\n`);
      return JSON.parse((await this.#program.line(/^\{.*/))[0]) as unknown;
    });
    this.#last = answered.catch(() => {});
    return answered;
  }
}

function capture(lab: Lab, network: string): Promise<Capture> {
  return lab.capture(network, { snapBytes: 65_535, filter: 'ip and (tcp or udp)' });
}

/** One bit changed, in each of the bytes. */
function flips(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte, i) => {
    const changed = Buffer.from(bytes);
    changed[i] = byte ^ (1 << (i % 8));
    return changed;
  });
}

/** Cut off behind each byte that is not the last; nothing at all is no message. */
function cuts(bytes: Buffer): Buffer[] {
  return Array.from({ length: bytes.length - 1 }, (_, i) => bytes.subarray(0, i + 1));
}

function reordered(bytes: Buffer): Buffer {
  const half = bytes.length >> 1;
  return Buffer.concat([bytes.subarray(half), bytes.subarray(0, half)]);
}

/** Attempt and nonce, and the port candidates behind the lists of groups and suites. */
function freshParts(init: Buffer): [number, number][] {
  const groups = 51;
  const suites = groups + 1 + 2 * init.readUInt8(groups);
  const ports = suites + 1 + 2 * init.readUInt8(suites);
  return [
    [8, 48],
    [ports + 1, ports + 1 + 2 * init.readUInt8(ports)],
  ];
}

function isUpdate(bytes: Buffer): boolean {
  return bytes.length >= SIGNAL_HEADER_BYTES && bytes.subarray(0, 5).equals(Buffer.from('L4MB\x01')) && bytes[5] === 3;
}

function isInit(bytes: Buffer): boolean {
  return bytes.length >= SIGNAL_HEADER_BYTES && bytes.subarray(0, 5).equals(Buffer.from('L4MB\x01')) && bytes[5] === 1;
}
