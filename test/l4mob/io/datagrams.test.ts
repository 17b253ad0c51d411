/** Datagram flows on real loopback sockets: when they begin, what they do to names, and how they end. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatTransportAddress, type TransportAddress } from '../../../src/core/address.ts';
import { Endpoint, type EndpointOptions } from '../../../src/l4mob/io/endpoint.ts';
import type { SessionLifeEvent } from '../../../src/l4mob/io/mobile-stream.ts';
import { DATAGRAM_TYPE, MAX_DATAGRAM_PAYLOAD } from '../../../src/l4mob/wire/datagram.ts';
import { SIGNAL_TYPE, signalTypeOf } from '../../../src/l4mob/wire/signal-header.ts';
import { DatagramSocket, type Received, type SocketRules } from './datagram-socket.ts';

let endpoints: Endpoint[];
let sockets: DatagramSocket[];
let events: string[];
let waiting: (() => void)[];

beforeEach(() => {
  endpoints = [];
  sockets = [];
  events = [];
  waiting = [];
});
afterEach(async () => {
  await Promise.all(sockets.map((socket) => socket.close()));
  for (const endpoint of endpoints) endpoint.close();
});

function endpoint(options: EndpointOptions = {}): Endpoint {
  const onLife = ({ name, role, error = '' }: SessionLifeEvent): void => {
    events.push(`${role} ${name} ${error}`.trim());
    for (const resolve of waiting.splice(0)) resolve();
  };
  const made = new Endpoint({ onLife, ...options });
  endpoints.push(made);
  return made;
}

/** Until that has happened so many times. */
async function happened(event: string, times = 1): Promise<void> {
  while (count(event) < times) await new Promise<void>((resolve) => waiting.push(resolve));
}

const count = (event: string): number => events.filter((one) => one === event).length;

async function open(of?: Endpoint, rules?: SocketRules, port?: number): Promise<DatagramSocket> {
  const socket = await DatagramSocket.open(of, rules, port);
  sockets.push(socket);
  return socket;
}

/** Says back what it is told, and by whom. */
function answering(socket: DatagramSocket): DatagramSocket {
  socket.onMessage = ({ text, from }) => void socket.send(`${text} from ${from}`, parse(from));
  return socket;
}

function parse(text: string): TransportAddress {
  const [ip = '', port = ''] = text.split(':');
  return { ip, port: Number(port) };
}

function say(socket: DatagramSocket, text: string, to: TransportAddress): Promise<Received> {
  const answer = socket.next();
  socket.send(text, to);
  return answer;
}

/** The same, again and again: bursts of thousands overflow what a kernel keeps for a socket. */
async function sayUntilHeard(socket: DatagramSocket, text: string, to: TransportAddress): Promise<string> {
  const repeat = setInterval(() => socket.send(text, to), 300);
  const answer = await say(socket, text, to).finally(() => clearInterval(repeat));
  return answer.text;
}

/** Whether nobody has that port any more. */
async function isFree(port: number): Promise<boolean> {
  const probe = dgram.createSocket('udp4');
  const bound = once(probe, 'listening').then(
    () => true,
    () => false,
  );
  probe.bind(port, '0.0.0.0');
  const free = await bound;
  probe.close();
  return free;
}

const nameOf = (socket: DatagramSocket): string => formatTransportAddress(socket.address);
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** By the first byte, which plain text here never has. */
function flowPackets(socket: DatagramSocket): number {
  return socket.sent.filter(({ bytes }) => ((bytes[0] as number) & 0xf8) === DATAGRAM_TYPE.open).length;
}

/** The client moves, and somebody else gets the address that it had. */
async function strangerInPlaceOf(
  client: DatagramSocket,
  server: DatagramSocket,
  of?: Endpoint,
): Promise<DatagramSocket> {
  await client.rebind();
  await say(client, 'moved away', server.address);
  await client.leavePort();
  const stranger = await open(of, {}, client.address.port);
  await wait(3_100); // what the flow has overtaken is the peer's until then
  return stranger;
}

/** Connected clients of one process, each with a flow, as far as they know. */
async function joinMany(server: DatagramSocket, count: number): Promise<DatagramSocket[]> {
  const of = endpoint();
  const clients: DatagramSocket[] = [];
  const inTurns = async (): Promise<void> => {
    while (clients.length < count) {
      const client = await open(of);
      clients.push(client);
      client.service.connected(server.address);
      while (!client.calls.includes('openToAll')) {
        await say(client, 'hello', server.address);
        await wait(10);
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, inTurns));
  return clients;
}

/** A client that is connected to a server, with a flow that carries data both ways. */
async function pair(): Promise<{ client: DatagramSocket; server: DatagramSocket }> {
  const server = answering(await open(endpoint()));
  const client = await join(server, endpoint());
  return { client, server };
}

async function join(server: DatagramSocket, of: Endpoint, port?: number): Promise<DatagramSocket> {
  const before = count('responder open');
  const client = await open(of, {}, port);
  client.service.connected(server.address);
  await say(client, 'hello', server.address);
  await happened('responder open', before + 1);
  return client;
}

describe('the beginning of a flow', () => {
  test('is asked for when the peer has answered, and then data goes by it both ways', async () => {
    const { client, server } = await pair();
    const answer = await say(client, 'by flow', server.address);
    expect(answer).toEqual({ text: `by flow from ${nameOf(client)}`, from: nameOf(server) });
    expect(client.sent.at(-1)?.bytes[0]).toBe(DATAGRAM_TYPE.data);
    expect(client.arrived.at(-1)?.[0]).toBe(DATAGRAM_TYPE.data);
    expect(client.calls).toEqual(['openToAll']);
    expect(events).toEqual(['initiator open', 'responder open']);
  });

  test('loses nothing of what goes on while it begins', async () => {
    const server = answering(await open(endpoint()));
    const client = await open(endpoint());
    client.service.connected(server.address);
    const texts: string[] = [];
    while (count('responder open') === 0 || texts.length < 50) {
      texts.push(`${texts.length}`);
      client.send(texts.at(-1) as string, server.address);
      await wait(1);
    }
    await client.until(() => client.received.length === texts.length);
    expect(server.received.map(({ text }) => text).sort()).toEqual([...texts].sort());
    expect(new Set(server.received.map(({ from }) => from))).toEqual(new Set([nameOf(client)]));
  });

  test('is asked for too when a stream goes one way', async () => {
    const server = await open(endpoint());
    const client = await open(endpoint());
    client.service.connected(server.address);
    client.send('first', server.address);
    client.send('second', server.address);
    client.send('third', server.address);
    await wait(250);
    expect(client.flows).toBe(0);
    client.send('fourth', server.address);
    await happened('responder open');
    client.send('fifth', server.address);
    await server.until(() => server.received.length === 5);
    expect(server.received.every(({ from }) => from === nameOf(client))).toBe(true);
  });

  test('disturbs nobody whose exchange is over with the answer, or never had one', async () => {
    const silent = await open();
    const plain = answering(await open());
    const of = endpoint();
    const asker = await open(of);
    asker.service.connected(silent.address);
    asker.send('anybody?', silent.address);
    const brief = await open(of);
    brief.service.connected(plain.address);
    await say(brief, 'what?', plain.address);
    await brief.close();
    await wait(300);
    expect(silent.signals + plain.signals).toBe(0);
  });

  test('costs a plain peer three questions, and none again', async () => {
    const plain = answering(await open());
    const of = endpoint();
    const client = await open(of);
    client.service.connected(plain.address);
    await say(client, 'hello', plain.address);
    await plain.until(() => plain.signals === 3);
    await wait(1_600); // the answer's last chance
    const other = await open(of);
    other.service.connected(plain.address);
    for (const socket of [client, other]) for (let i = 0; i < 3; i++) await say(socket, `${i}`, plain.address);
    await wait(200);
    expect(plain.signals).toBe(3);
    expect(flowPackets(client) + flowPackets(other)).toBe(0);
  });

  test('is the business of whoever began the exchange', async () => {
    const server = answering(await open(endpoint()));
    const plain = await open();
    for (let i = 0; i < 5; i++) {
      await say(plain, `${i}`, server.address);
      await wait(60);
    }
    expect(plain.signals).toBe(0);
  });

  test('is not tried where the policy says no, on either side', async () => {
    const server = answering(await open(endpoint(), { accepts: () => false }));
    const asked: string[] = [];
    const willing = await open(endpoint());
    const unwilling = await open(endpoint(), {
      initiates: (remote, connected) => {
        asked.push(`${formatTransportAddress(remote)} ${connected}`);
        return 'never';
      },
    });
    willing.service.connected(server.address);
    await say(willing, 'hello', server.address);
    await server.until(() => server.signals > 0);
    for (let i = 0; i < 5; i++) await say(unwilling, `${i}`, server.address);
    await wait(100);
    expect(asked).toEqual([`${nameOf(server)} false`]);
    expect(server.signals).toBe(1);
    expect(server.flows + willing.flows + unwilling.flows).toBe(0);
  });

  test('makes one flow when both ask at the same time', async () => {
    const [left, right] = [await open(endpoint()), await open(endpoint())];
    left.service.connected(right.address);
    right.service.connected(left.address);
    left.send('to the right', right.address);
    right.send('to the left', left.address);
    await left.until(() => left.received.length > 0);
    left.send('again', right.address);
    right.send('again', left.address);
    await happened('initiator open');
    await happened('responder open');
    await wait(100);
    expect([left.flows, right.flows]).toEqual([1, 1]);
    left.send('by flow', right.address);
    right.send('by flow', left.address);
    await left.until(() => left.received.length === 3);
    await right.until(() => right.received.length === 3);
    for (const [at, from] of [
      [left, right],
      [right, left],
    ] as const) {
      expect(at.received.every((received) => received.from === nameOf(from))).toBe(true);
    }
  });

  test('comes before any data where a flow is required', async () => {
    const server = await open(endpoint(), { requires: () => true });
    const client = await open(endpoint(), { requires: () => true });
    client.service.connected(server.address);
    client.send('not yet', server.address); // the port drops it
    await client.until(() => client.flows > 0);
    client.send('by flow', server.address);
    await server.until(() => server.received.some(({ text }) => text === 'by flow'));
    expect(client.sent.at(-1)?.bytes[0]).not.toBe('b'.charCodeAt(0));
  });

  test('is refused beyond the limit, and those without one go on plain', async () => {
    const server = answering(await open(endpoint({ limits: { sessions: 2 } })));
    const of = endpoint();
    await join(server, of);
    await join(server, of);
    const third = await open(of);
    third.service.connected(server.address);
    for (let i = 0; i < 5; i++) {
      await say(third, `${i}`, server.address);
      await wait(30);
    }
    expect(server.flows).toBe(2);
    expect(third.flows).toBe(0);
  });

  test('leaves what has no room for more to the caller', async () => {
    const { client, server } = await pair();
    expect(client.send('x'.repeat(MAX_DATAGRAM_PAYLOAD + 1), server.address)).toBe('too-long');
    const { text } = await say(client, 'x'.repeat(60_000), server.address);
    expect(text.length).toBeGreaterThan(60_000);
  });
});

describe('names', () => {
  test('stay when a NAT forgets its mapping', async () => {
    const { client, server } = await pair();
    const name = nameOf(client);
    for (let move = 0; move < 3; move++) {
      const moved = await client.rebind();
      expect(formatTransportAddress(moved)).not.toBe(name);
      expect((await say(client, 'from elsewhere', server.address)).text).toBe(`from elsewhere from ${name}`);
      // The server finds it there of its own accord, too, once the client has shown that it hears there.
      await say(client, 'again', server.address);
      const news = client.next();
      server.send('news', parse(name));
      expect((await news).text).toBe('news');
      expect(server.sent.at(-1)?.to).toBe(formatTransportAddress(moved));
    }
    expect(count('responder move')).toBeGreaterThanOrEqual(3);
  });

  test('are what sessions() calls the peers, wherever they are', async () => {
    const of = endpoint();
    const server = answering(await open(of));
    const client = await join(server, endpoint());
    await client.rebind();
    await say(client, 'moved away', server.address);
    const [session, ...others] = of.sessions();
    expect(others).toEqual([]);
    expect(session).toMatchObject({ transport: 'udp', role: 'responder', state: 'open', remote: client.address });
    expect(session?.path?.remote).not.toEqual(client.address);
    expect(session?.bytesReceived).toBeGreaterThanOrEqual('moved away'.length);
  });

  test("are not shared by a stranger at a peer's former address", async () => {
    const { client, server } = await pair();
    const name = nameOf(client);
    const stranger = await strangerInPlaceOf(client, server);
    expect(nameOf(stranger)).toBe(name);
    const { text } = await say(stranger, 'stranger', server.address);
    const alias = text.slice('stranger from '.length);
    expect(alias).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(alias).not.toBe(name);
    expect((await say(stranger, 'again', server.address)).text).toBe(`again from ${alias}`);
    expect((await say(client, 'still here', server.address)).text).toBe(`still here from ${name}`);
    const [toClient, toStranger] = [client.next(), stranger.next()];
    server.send('client', parse(name));
    server.send('stranger', parse(alias));
    expect([(await toClient).text, (await toStranger).text]).toEqual(['client', 'stranger']);
  });

  test.each([
    { rendezvous: [{ host: '127.0.0.1', port: 9 }], heard: ['after it'] },
    { rendezvous: [], heard: ['too late', 'after it'] },
  ])('are not given what a rendezvous says too late, where there is one ($heard)', async ({ rendezvous, heard }) => {
    const server = await open(endpoint({ rendezvous }));
    const stranger = await open();
    const late = `L4MB${String.fromCharCode(1, SIGNAL_TYPE.rendezvousAnswer, 0, 0)}`;
    stranger.send(late, server.address);
    const after = server.next();
    stranger.send('after it', server.address);
    await after;
    while (server.received.length < heard.length) await server.next();
    expect(server.received.map(({ text }) => (text === late ? 'too late' : text))).toEqual(heard);
  });

  test('have no stranger beside them where flows are required', async () => {
    let required = false;
    const server = answering(await open(endpoint(), { requires: () => required }));
    const client = await join(server, endpoint());
    const stranger = await strangerInPlaceOf(client, server);
    const { text } = await say(stranger, 'stranger', server.address);
    required = true;
    expect(server.send('answer', parse(text.slice('stranger from '.length)))).toBe('dropped');
    stranger.send('unheard', server.address);
    expect((await say(client, 'still here', server.address)).text).toBe(`still here from ${nameOf(client)}`);
    expect(server.received.map((each) => each.text)).not.toContain('unheard');
  });

  test('stay with a stranger who gets a flow of its own', async () => {
    const { client, server } = await pair();
    const name = nameOf(client);
    const stranger = await strangerInPlaceOf(client, server, endpoint());
    stranger.service.connected(server.address);
    const { text } = await say(stranger, 'stranger', server.address);
    const alias = text.slice('stranger from '.length);
    await happened('responder open', 2);
    expect((await say(stranger, 'by flow', server.address)).text).toBe(`by flow from ${alias}`);
    expect(stranger.sent.at(-1)?.bytes[0]).toBe(DATAGRAM_TYPE.data);
    await stranger.rebind();
    expect((await say(stranger, 'elsewhere', server.address)).text).toBe(`elsewhere from ${alias}`);
    expect((await say(client, 'still here', server.address)).text).toBe(`still here from ${name}`);
    expect(server.flows).toBe(2);
  });

  test('of very many on one socket are never mixed up, nor with those of plain peers', {
    timeout: 150_000,
  }, async () => {
    // Each takes a port from whatever else runs on this host.
    const flows = process.env.MOBISOCK_TEST_LONG === '1' ? 5_000 : 300;
    const server = answering(await open(endpoint()));
    const plain = await Promise.all(Array.from({ length: 20 }, () => open()));
    const clients = await joinMany(server, flows);
    await happened('responder open', clients.length);
    expect(server.flows).toBe(clients.length);
    for (const some of slices([...clients, ...plain], 100)) {
      const answers = await Promise.all(some.map((client) => sayUntilHeard(client, nameOf(client), server.address)));
      expect(answers).toEqual(some.map((client) => `${nameOf(client)} from ${nameOf(client)}`));
    }
    expect(plain.flatMap(({ arrived }) => arrived.filter((bytes) => signalTypeOf(bytes) !== undefined))).toEqual([]);
    const movers = clients.slice(0, 200);
    for (const some of slices(movers, 50)) {
      await Promise.all(some.map((client) => client.rebind()));
      const answers = await Promise.all(some.map((client) => sayUntilHeard(client, 'from elsewhere', server.address)));
      expect(answers).toEqual(some.map((client) => `from elsewhere from ${nameOf(client)}`));
    }
  });
});

function slices<Item>(items: readonly Item[], length: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / length) }, (_, i) => items.slice(i * length, (i + 1) * length));
}

describe('the end of a flow', () => {
  test('is said, and both go on plain', async () => {
    const { client, server } = await pair();
    await client.close();
    await happened('responder close');
    const next = await open(undefined, {}, client.address.port);
    expect((await say(next, 'plain', server.address)).text).toBe(`plain from ${nameOf(client)}`);
  });

  test('is heard by a connected socket, which finds the next server by itself', async () => {
    const { client, server } = await pair();
    const { port } = server.address;
    await server.close();
    await happened('initiator close');
    expect(client.calls).toEqual(['openToAll', 'closeToOthers']);
    const next = answering(await open(endpoint(), {}, port));
    await say(client, 'hello', next.address);
    await happened('responder open', 2);
    expect((await say(client, 'by flow', next.address)).from).toBe(nameOf(server));
    expect(client.calls).toEqual(['openToAll', 'closeToOthers', 'openToAll']);
  });

  test('comes with the word that nobody is there any more', { timeout: 10_000 }, async () => {
    const { client, server } = await pair();
    await server.close('crash');
    client.send('anybody?', server.address);
    await client.until(() => client.calls.includes('refused'));
    expect(client.calls).toEqual(['openToAll', 'closeToOthers', 'refused']);
    expect(events).toContain('initiator close refused');
    expect(client.flows).toBe(0);
  });

  test('is none for a server that was restarted: another flow takes its place', { timeout: 15_000 }, async () => {
    const { client, server } = await pair();
    const { port } = server.address;
    await server.close('crash');
    const next = answering(await open(endpoint(), {}, port));
    const sending = setInterval(() => client.send('are you back?', next.address), 100);
    await happened('responder open', 2).finally(() => clearInterval(sending));
    expect(events).toContain('initiator close replaced');
    const answer = await say(client, 'welcome', next.address);
    expect(answer).toEqual({ text: `welcome from ${nameOf(client)}`, from: nameOf(server) });
    // Of the flow that it knows nothing of, the new application sees one packet.
    const noise = next.received.filter(({ text }) => text !== 'are you back?' && text !== 'welcome');
    expect(noise.length).toBeLessThanOrEqual(1);
    expect(client.calls).toEqual(['openToAll']);
  });

  test.each(['the server', 'the clients'])(
    'of very many at once reaches every peer, when %s close',
    {
      timeout: 150_000,
    },
    async (who) => {
      // More than a kernel keeps for one socket.
      const flows = 600;
      const server = answering(await open(endpoint()));
      const clients = await joinMany(server, flows);
      await happened('responder open', clients.length);
      if (who === 'the server') server.service.close();
      else for (const client of clients) client.service.close();
      await happened('responder close', clients.length);
      await happened('initiator close', clients.length);
      expect(events.filter((event) => / close ./.test(event))).toEqual([]);
    },
  );

  test('is said from another port too, which is closed when the peer knows', async () => {
    const { client, server } = await pair();
    const before = server.sources.length;
    client.service.close();
    await server.until(() => new Set(server.sources.slice(before)).size === 2);
    const [other] = server.sources.slice(before).filter((source) => source !== nameOf(client));
    await expect.poll(() => isFree(parse(other as string).port)).toBe(true);
    expect(events.filter((event) => event.includes('close')).sort()).toEqual(['initiator close', 'responder close']);
    expect(events.filter((event) => event.includes('move'))).toEqual([]);
  });

  test('frees everything', async () => {
    const { client } = await pair();
    client.service.close();
    await happened('responder close');
    expect(client.flows).toBe(0);
    expect(events.filter((event) => event.includes('close')).sort()).toEqual(['initiator close', 'responder close']);
  });
});

describe('a connected socket with a flow', () => {
  test('hears its peer alone', async () => {
    const { client, server } = await pair();
    const stranger = await open();
    stranger.send('hello', client.address);
    await client.until(() => client.arrived.at(-1)?.toString() === 'hello');
    await say(client, 'by flow', server.address);
    expect(client.received.every(({ from }) => from === nameOf(server))).toBe(true);
    expect(client.received.every(({ text }) => text !== 'hello')).toBe(true);
  });

  test('hears what the flow has overtaken, and not what comes plain much later', async () => {
    const { client, server } = await pair();
    const raw = (text: string): Promise<void> => server.sendRaw(text, client.address);
    const overtaken = client.next();
    await raw('overtaken');
    expect((await overtaken).text).toBe('overtaken');
    await wait(3_100);
    await raw('much later');
    await client.until(() => client.arrived.at(-1)?.toString() === 'much later');
    expect(client.received.at(-1)?.text).toBe('overtaken');
  });

  test('tells ICMP for its own datagrams from what ours have caused', async () => {
    const of = endpoint();
    const client = await open(of);
    const gone = { ip: '127.0.0.1', port: 9 };
    client.service.connected(gone);
    expect(client.service.handleUnreachable()).toBe(true);
    client.send('one', gone);
    client.send('two', gone);
    const heard = Array.from({ length: 4 }, () => client.service.handleUnreachable());
    expect(heard).toEqual([false, false, true, true]);
  });
});
