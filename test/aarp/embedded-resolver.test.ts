/** The resolver and the member on real sockets of this machine: what they do beyond the cores. */
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type AnycastMember, openAnycastMember } from '../../src/aarp/io/anycast-member.ts';
import { EmbeddedResolver, type EmbeddedResolverOptions } from '../../src/aarp/io/embedded-resolver.ts';
import { UnresolvedError } from '../../src/aarp/resolution.ts';
import { UsageError } from '../../src/core/errors.ts';
import { openUdpPort, type UdpPort } from '../../src/host/udp-port.ts';
import { Namespace, namespacesAvailable } from '../host/namespace.ts';
import { KEY } from './wire/samples.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** 127.0.0.53 stands for an anycast address and 127.0.0.1 for its member, on one port. */
const ANY = '127.0.0.53';
const ONE = '127.0.0.1';

async function member(options: object = {}): Promise<AnycastMember> {
  const made = await openAnycastMember({ serves: [ANY], unicast: [ONE], address: '0.0.0.0', port: 0, ...options });
  open.push(made);
  return made;
}

function resolver(port: number, options: EmbeddedResolverOptions = {}): EmbeddedResolver {
  const made = new EmbeddedResolver({ methods: ['aarp'], port, ...options });
  open.push(made);
  return made;
}

function silentPort(onDatagram: (bytes: Uint8Array) => void = () => {}): UdpPort {
  const port = openUdpPort({ address: '0.0.0.0', port: 0, onDatagram });
  open.push(port);
  return port;
}

describe('an IPv4 anycast address', () => {
  it('is resolved by AARP, and from the cache then', async () => {
    const serving = await member({ lifetimeMs: 30_000 });
    const asking = resolver(serving.address.port);
    const all = await Promise.all(Array.from({ length: 20 }, () => asking.resolve(ANY)));
    expect(all[0]).toMatchObject({ address: ANY, unicast: ONE, kind: 'anycast', confirmed: true });
    expect(asking.counters()).toMatchObject({ inquiries: 1, probes: 2, answers: 2, strays: 0, malformed: 0 });
    expect(serving.counters()).toMatchObject({ replies: 2, malformed: 0 });
    expect(asking.cached(ANY)).toMatchObject({ unicast: ONE });
    expect(asking.cached(ANY)?.ttlMs).toBeLessThanOrEqual(30_000);
    expect(asking.list()).toHaveLength(1);
  });

  it('is resolved under a key where both have it', async () => {
    const serving = await member({ key: KEY });
    expect((await resolver(serving.address.port, { key: KEY }).resolve(ANY)).unicast).toBe(ONE);
    await expect(resolver(serving.address.port).resolve(ANY)).rejects.toMatchObject({ reason: 'silent' });
  });

  it('that has no member here is silent', async () => {
    const { port } = silentPort();
    await expect(resolver(port).resolve(ANY)).rejects.toThrow(UnresolvedError);
  });
});

it('counts datagrams that are no replies, and goes on', async () => {
  const noisy: UdpPort = openUdpPort({
    address: '0.0.0.0',
    port: 0,
    onDatagram: (_, from) => noisy.send(Buffer.from('no reply'), from),
  });
  open.push(noisy);
  const asking = resolver(noisy.port);
  await expect(asking.resolve(ANY)).rejects.toMatchObject({ code: 'ERR_MOBISOCK_UNRESOLVED', reason: 'silent' });
  expect(asking.counters()).toMatchObject({ probes: 3, answers: 0, malformed: 3 });
});

it('tells those who wait when it is closed, and nobody can ask it afterwards', async () => {
  const events = new EventEmitter();
  const probed = once(events, 'probe');
  const asking = resolver(silentPort(() => void events.emit('probe')).port);
  const outcome = asking.resolve(ANY).catch((error: unknown) => error);
  await probed;
  asking.close();
  asking.close();
  expect(await outcome).toMatchObject({ reason: 'closed' });
  await expect(asking.resolve(ANY)).rejects.toMatchObject({ reason: 'closed' });
});

it.each([
  ['a key that is too short', { key: KEY.subarray(0, 15), methods: ['aarp'] }, 'AARP key: found 15 bytes'],
  ['a key and echo requests', { key: KEY, methods: ['echo'] }, 'with a key only AARP datagrams count'],
  ['a port that is none', { port: 0 }, '0 is no port'],
] as const)('%s is refused', (_, options, message) => {
  expect(() => new EmbeddedResolver(options)).toThrow(UsageError);
  expect(() => new EmbeddedResolver(options)).toThrow(message);
});

it('an address that is none is refused, by resolver and member', async () => {
  await expect(resolver(1).resolve('example.org')).rejects.toThrow('"example.org" is no IP address');
  await expect(member({ serves: ['example.org'] })).rejects.toThrow('"example.org" is no IP address');
});

it.skipIf(!namespacesAvailable)('the workers of a cluster ask over sockets of their own', async () => {
  const namespace = await Namespace.create();
  open.push({ close: () => void namespace.close() });
  namespace.ip('link set lo up');
  namespace.sysctl('net.ipv4.ping_group_range=0 0');
  const child = namespace.spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'resolver-worker.ts')]);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  const lines = output.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(Array(2).fill(['127.0.0.1', '::1', 0, null]));
});
