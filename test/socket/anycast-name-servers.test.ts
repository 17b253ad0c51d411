/** node's DNS client and anycast name servers, on loopback, where 127.9.9.9 stands for whichever member the test says. */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { once } from 'node:events';
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { HeldResolver } from './held-resolver.ts';
import { mobileLayer } from './mobile-layer.ts';

const ANYCAST = '127.9.9.9';
const MEMBER = '127.0.0.1';
const OTHER_MEMBER = '127.0.0.2';

let members: HeldResolver;

beforeEach(() => {
  members = new HeldResolver();
  mobileLayer({ mobility: 'off', anycast: { mayBe: (address) => address === ANYCAST, resolver: () => members } });
});

/** A name server that knows one address for every name, and takes its time; or says nothing at all. */
async function nameServer(host: string, answer: string | undefined, port = 0, delayMs = 0): Promise<number> {
  const socket = dgram.createSocket('udp4');
  onTestFinished(() => void socket.close());
  socket.on('message', (query, { address, port: from }) => {
    if (answer === undefined) return;
    const bytes = response(query, answer);
    if (delayMs === 0) socket.send(bytes, from, address);
    else setTimeout(() => socket.send(bytes, from, address, () => {}), delayMs); // the test may be over
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  return socket.address().port;
}

/** RFC 1035: the question again, and one A record. */
function response(query: Buffer, ip: string): Buffer {
  const end = query.indexOf(0, 12) + 5;
  const header = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...ip.split('.').map(Number)]);
  return Buffer.concat([header, query.subarray(12, end), record]);
}

function resolverAt(port: number, ...more: string[]): dns.promises.Resolver {
  const resolver = new dns.promises.Resolver({ timeout: 3_000, tries: 1 });
  resolver.setServers([`${ANYCAST}:${port}`, ...more]);
  return resolver;
}

it('asks the member, and goes on naming the server that was set', async () => {
  const port = await nameServer(MEMBER, '192.0.2.1');
  const resolver = resolverAt(port);
  expect(resolver.getServers()).toEqual([`${ANYCAST}:${port}`]);
  const answers = Promise.all([resolver.resolve4('a.test'), resolver.resolve4('b.test')]);
  await members.answer(MEMBER);
  expect(await answers).toEqual([['192.0.2.1'], ['192.0.2.1']]);
  expect(await resolver.resolve4('c.test')).toEqual(['192.0.2.1']);
  expect(members.asked).toEqual([ANYCAST]);
  expect(resolver.getServers()).toEqual([`${ANYCAST}:${port}`]);
});

it('callbacks and the default resolver are served alike', async () => {
  const before = dns.getServers();
  onTestFinished(() => dns.setServers(before));
  members.known.set(ANYCAST, MEMBER);
  dns.setServers([`${ANYCAST}:${await nameServer(MEMBER, '192.0.2.2')}`]);
  const found = await new Promise((resolve, reject) => {
    dns.resolve4('a.test', { ttl: true }, (error, records) => (error ? reject(error) : resolve(records)));
  });
  expect(found).toEqual([{ address: '192.0.2.2', ttl: 60 }]);
});

it('leaves a member that says nothing for the one that answers probes, queries under way included', async () => {
  const port = await nameServer(OTHER_MEMBER, undefined);
  await nameServer(MEMBER, '192.0.2.3', port);
  members.known.set(ANYCAST, OTHER_MEMBER);
  const resolver = resolverAt(port);
  const answers = Promise.all([resolver.resolve4('a.test'), resolver.resolve4('b.test')]);
  await members.answer(MEMBER);
  expect(await answers).toEqual([['192.0.2.3'], ['192.0.2.3']]);
  expect(members.left).toEqual([OTHER_MEMBER]);
});

it('leaves the one that it asked, also where another resolver has found that out before', async () => {
  const port = await nameServer(OTHER_MEMBER, undefined);
  await nameServer(MEMBER, '192.0.2.3', port);
  members.known.set(ANYCAST, OTHER_MEMBER);
  const [early, late] = [resolverAt(port), resolverAt(port)];
  const answers = [early.resolve4('a.test')];
  const arrived = setTimeout(() => answers.push(late.resolve4('b.test')), 100);
  onTestFinished(() => clearTimeout(arrived));
  await members.answer(MEMBER);
  expect(answers).toHaveLength(2);
  expect(await Promise.all(answers)).toEqual([['192.0.2.3'], ['192.0.2.3']]);
  expect(members.left).toEqual([OTHER_MEMBER, OTHER_MEMBER]);
});

it('stays with a member that goes on answering, however many queries it has at a time', async () => {
  const port = await nameServer(MEMBER, '192.0.2.3', 0, 50);
  members.known.set(ANYCAST, MEMBER);
  const resolver = resolverAt(port);
  const askInTurn = async (offset: number): Promise<void> => {
    for (let i = 0; i < 15; i++) await resolver.resolve4(`${offset}-${i}.test`);
  };
  // At every moment one of the two waits.
  const between = new Promise((resolve) => setTimeout(resolve, 25)).then(() => askInTurn(1));
  await Promise.all([askInTurn(0), between]);
  expect(members.left).toEqual([]);
});

it('what is asked while a member is doubted does not wait for another one', async () => {
  members.known.set(ANYCAST, MEMBER);
  const resolver = resolverAt(await nameServer(MEMBER, '192.0.2.3', 0, 700));
  const slow = resolver.resolve4('a.test');
  await expect.poll(() => members.left, { interval: 10 }).toEqual([MEMBER]);
  expect(await Promise.all([slow, resolver.resolve4('b.test')])).toEqual([['192.0.2.3'], ['192.0.2.3']]);
  expect(await resolver.resolve4('c.test')).toEqual(['192.0.2.3']);
  expect(resolver.getServers()).toEqual([expect.stringContaining(ANYCAST)]);
});

it('a member where nothing listens is left too', async () => {
  members.known.set(ANYCAST, OTHER_MEMBER);
  const port = await nameServer(MEMBER, '192.0.2.4');
  const resolver = resolverAt(port);
  await expect(resolver.resolve4('a.test')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(members.left).toEqual([OTHER_MEMBER]);
  const answer = resolver.resolve4('b.test');
  await members.answer(MEMBER);
  expect(await answer).toEqual(['192.0.2.4']);
});

it('cancel() reaches queries that wait for a member', async () => {
  const resolver = resolverAt(53);
  const answer = resolver.resolve4('a.test');
  resolver.cancel();
  await expect(answer).rejects.toMatchObject({ code: 'ECANCELLED', hostname: 'a.test' });
});

it('asks the server as it is where nobody answers probes', async () => {
  const resolver = resolverAt(await nameServer(ANYCAST, '192.0.2.5'));
  const answer = resolver.resolve4('a.test');
  await members.answer(undefined);
  expect(await answer).toEqual(['192.0.2.5']);
});

it('leaves other servers alone', async () => {
  const resolver = new dns.promises.Resolver();
  resolver.setServers([`${MEMBER}:${await nameServer(MEMBER, '192.0.2.6')}`]);
  expect(await resolver.resolve4('a.test')).toEqual(['192.0.2.6']);
  expect(members.asked).toEqual([]);
});

it('errors of node stay what they are', () => {
  const resolver = new dns.Resolver();
  expect(() => resolver.setServers(['nonsense'])).toThrow(expect.objectContaining({ code: 'ERR_INVALID_IP_ADDRESS' }));
});
