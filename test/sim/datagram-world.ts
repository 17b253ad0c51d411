/**
 * A world with one datagram flow between a client and a server, and a schedule of what a seed makes happen to it: a
 * storm of moves, rebindings, outages and weather, with attackers or without, then calm.
 */
import type { TransportAddress } from '../../src/core/address.ts';
import { Association } from '../../src/l4mob/association.ts';
import { FlowTable } from '../../src/l4mob/datagram/flow-table.ts';
import { DEFAULT_FLOW_TIMING, type FlowTiming } from '../../src/l4mob/datagram/flow-timing.ts';
import { SUITES, type Suite } from '../../src/l4mob/suite.ts';
import { DatagramEnd, type Pace } from './datagram-end.ts';
import { type Host, Network } from './network.ts';
import { SeededRandom } from './seeded-random.ts';
import { VirtualTime } from './virtual-time.ts';
import { CLIENT_IP, SERVER_IP } from './world.ts';

export const CLIENT_PORT = 40_000;
export const SERVER_PORT = 5_000;
export const PUBLIC_IP = '203.0.113.9';
const PORT_PAIR = { initiator: CLIENT_PORT, responder: SERVER_PORT };
/** A steady conversation. */
const PACE: Pace = { everyMs: 20, bytes: 100 };

export interface DatagramWorldInit {
  readonly seed?: number;
  readonly suite?: Suite;
  readonly client?: Pace;
  readonly server?: Pace;
  readonly nat?: boolean;
  /** After which the NAT forgets. */
  readonly natPatienceMs?: number;
  readonly timing?: FlowTiming;
}

export class DatagramWorld {
  readonly time: VirtualTime = new VirtualTime();
  readonly random: SeededRandom;
  readonly network: Network;
  readonly client: DatagramEnd;
  readonly server: DatagramEnd;

  constructor(init: DatagramWorldInit = {}) {
    const { seed = 1, suite = SUITES[0], client = PACE, server = PACE, nat, natPatienceMs, timing } = init;
    if (suite === undefined) throw new Error('no suite');
    this.random = new SeededRandom(seed);
    this.network = new Network(this.time, this.random);
    const clientHost = this.network.host('client', [CLIENT_IP]);
    if (nat) {
      const patience = natPatienceMs === undefined ? {} : { patienceMs: natPatienceMs };
      clientHost.nat = { publicIp: PUBLIC_IP, generation: 0, ...patience };
    }
    const serverHost = this.network.host('server', [SERVER_IP]);
    const [ours, theirs] = associations(this.random, suite);
    this.client = new DatagramEnd(clientHost, CLIENT_PORT, new FlowTable({ random: this.random }), client);
    this.server = new DatagramEnd(serverHost, SERVER_PORT, new FlowTable({ random: this.random }), server);
    this.client.peer = this.server;
    this.server.peer = this.client;
    this.client.findPeer = () => placesOf(this.server);
    this.server.findPeer = () => placesOf(this.client);
    this.server.accept = (bytes, from) => {
      const flow = this.server.table.accept(this.time.now, theirs, bytes, from, timing);
      this.server.flow ??= flow;
      return flow;
    };
    const remote = { ip: SERVER_IP, port: SERVER_PORT };
    this.client.amplification.trust(remote);
    this.client.flow = this.client.table.open(this.time.now, ours, PORT_PAIR, remote, timing);
    this.client.pump();
  }

  get ends(): readonly DatagramEnd[] {
    return [this.client, this.server];
  }

  /** Lets time pass until it holds, at most `limitMs` more. */
  until(holds: () => boolean, limitMs = 10_000): boolean {
    return this.time.run(holds, this.time.now + limitMs);
  }

  untilConfirmed(): this {
    const confirmed = (): boolean => this.ends.every(({ flow }) => flow?.phase === 'confirmed' && flow.remoteValidated);
    if (!this.until(confirmed)) throw new Error('the flow was not confirmed');
    return this;
  }

  log(): this {
    this.time.onTrace = (line) => console.log(line);
    return this;
  }
}

function associations(random: SeededRandom, suite: Suite): [Association, Association] {
  const shared = { id: random.bytes(8), secret: random.bytes(32), suite, expiresAt: 3_600_000 };
  const peer = { stateSequence: 0, sessionPort: 0, addresses: [] };
  return [
    new Association({ ...shared, peer, role: 'initiator' }),
    new Association({ ...shared, peer, role: 'responder' }),
  ];
}

/** Where the end is, as a rendezvous sees it. */
export function placesOf({ host, port }: DatagramEnd): TransportAddress[] {
  if (host.nat !== undefined) return [{ ip: host.nat.publicIp, port: port ^ host.nat.generation }];
  return [...host.addresses].map((ip) => ({ ip, port }));
}

/** Puts a datagram on the wire to `end` with any source address, arriving after `delayMs`. */
export function inject(end: DatagramEnd, bytes: Buffer, from: TransportAddress, delayMs: number): void {
  end.host.network.time.after(delayMs, () => {
    if (end.host.addresses.size > 0) end.host.datagramHandlers.get(end.port)?.(Buffer.from(bytes), from, from);
  });
}

// ---- storms ------------------------------------------------------------------------------------------------------------

const CLIENT_PLACES = [CLIENT_IP, '192.0.2.77', '10.1.0.5', '2001:db8:1::5', '172.16.3.9'];
const SERVER_PLACES = [SERVER_IP, '198.51.100.99', '2001:db8:2::80'];
const ATTACKER_PLACES = ['203.0.113.66', '203.0.113.67', '2001:db8:bad::1'];
export const STORM_MS = 8_000;

export interface Storm {
  readonly world: DatagramWorld;
  readonly calmAt: number;
  readonly attacked: boolean;
}

export function datagramStorm(seed: number): Storm {
  const random = new SeededRandom(seed * 7919);
  const suite = random.chance(0.7) ? SUITES.find(({ id }) => id === 1) : random.pick(SUITES);
  const pace = (): Pace => ({ everyMs: random.pick([0, 10, 30, 100, 300]), bytes: random.pick([0, 20, 200, 1200]) });
  const [client, server] = [pace(), pace()];
  const silent = client.everyMs === 0 && server.everyMs === 0;
  const nat = random.chance(0.4);
  // Payloads tell who sent what: they need not be long, but not empty.
  const named = ({ everyMs, bytes }: Pace): Pace => ({ everyMs, bytes: Math.max(bytes, 16) });
  const keepAliveMs = random.chance(0.3) ? random.pick([100, 1_000]) : undefined;
  const world = new DatagramWorld({
    seed,
    timing: { ...DEFAULT_FLOW_TIMING, keepAliveMs },
    ...(suite === undefined ? {} : { suite }),
    client: named(silent ? PACE : client),
    server: named(server),
    nat,
  });
  const { conditions } = world.network;
  conditions.jitterMs = random.pick([0, 5, 40]);
  conditions.latencyMs = random.pick([1, 10, 50, 150]);
  conditions.duplication = random.pick([0, 0.05, 0.3]);
  conditions.loss = random.pick([0, 0, 0.05, 0.3]);
  const attacked = random.chance(0.5);
  if (attacked) attack(world, random);
  for (let events = random.between(1, 8); events > 0; events--) {
    world.time.at(random.between(0, STORM_MS), stormEvent(world, random, nat));
  }
  world.time.at(STORM_MS, () => calm(world, random));
  return { world, calmAt: STORM_MS, attacked };
}

function calm(world: DatagramWorld, random: SeededRandom): void {
  const { conditions } = world.network;
  conditions.loss = 0;
  conditions.latencyMs = Math.min(conditions.latencyMs, 50);
  world.network.mendAll();
  for (const { host } of world.ends) {
    const places = host === world.client.host ? CLIENT_PLACES : SERVER_PLACES;
    if (host.addresses.size === 0) host.moveTo([random.pick(places)]);
  }
}

function stormEvent({ network, time, client, server }: DatagramWorld, random: SeededRandom, nat: boolean): () => void {
  const { conditions } = network;
  const clientPlace = random.pick(CLIENT_PLACES);
  const serverPlace = random.pick(SERVER_PLACES);
  const lasts = random.between(10, random.pick([200, 3_000, STORM_MS / 2]));
  const goneWhile = (host: Host, back: string): void => {
    host.moveTo([]);
    time.after(lasts, () => {
      if (host.addresses.size === 0) host.moveTo([back]);
    });
  };
  const [loss, latencyMs] = [random.pick([0, 0.05, 0.3]), random.pick([1, 20, 150])];
  return random.pick([
    () => client.host.moveTo([clientPlace]),
    () => client.host.moveTo([...new Set([clientPlace, CLIENT_IP])]),
    () => server.host.moveTo([serverPlace]),
    () => {
      server.host.moveTo([serverPlace]);
      client.host.moveTo([clientPlace]);
    },
    () => goneWhile(client.host, clientPlace),
    () => goneWhile(server.host, serverPlace),
    () => {
      const ip = random.chance(0.5) ? clientPlace : serverPlace;
      network.cut(ip);
      time.after(lasts, () => network.mend(ip));
    },
    // Nobody tells the client that its packets leave from elsewhere now.
    () => (nat ? client.host.rebind() : client.host.moveTo([clientPlace], false)),
    () => {
      conditions.loss = loss;
      conditions.latencyMs = latencyMs;
    },
  ]);
}

/** Sees every packet; copies, forges, replays and races, from places of its own and from anybody's. */
function attack(world: DatagramWorld, random: SeededRandom): void {
  const { network } = world;
  for (const end of world.ends) end.isStranger = (ip) => ATTACKER_PLACES.includes(ip);
  const seen: Buffer[] = [];
  const eagerness = random.pick([0.02, 0.1, 0.5]);
  const place = (): TransportAddress => ({
    ip: random.pick([...ATTACKER_PLACES, ...ATTACKER_PLACES, CLIENT_IP, SERVER_IP, '10.1.0.5']),
    port: random.pick([CLIENT_PORT, SERVER_PORT, 666]),
  });
  network.onWire = (bytes, _, to) => {
    // Who forges a source address does not hear what is sent there; who does is a relay, and gets its own test.
    if (ATTACKER_PLACES.includes(to)) return;
    if (seen.length < 64) seen.push(Buffer.from(bytes));
    else seen[random.between(0, 63)] = Buffer.from(bytes);
    if (!random.chance(eagerness)) return;
    const victim = world.server.host.addresses.has(to) ? world.server : world.client;
    const mutated = Buffer.from(bytes);
    const at = random.between(0, mutated.length - 1);
    mutated[at] = (mutated[at] as number) ^ (1 << random.between(0, 7));
    const forged = Buffer.from(bytes);
    random.bytes(16).forEach((byte, i) => {
      forged[forged.length - 16 + i] = byte;
    });
    const guess = Buffer.from(random.bytes(random.between(0, 80)));
    if (guess.length > 0) guess[0] = 8 + random.between(0, 7);
    const [what, delayMs] = random.pick([
      [bytes, random.between(0, 5)], // faster than the original
      [bytes, random.between(0, 400)],
      [random.pick(seen), random.between(0, 100)],
      [mutated, random.between(0, 100)],
      [forged, random.between(0, 100)],
      [guess, random.between(0, 100)],
    ] as const);
    inject(victim, Buffer.from(what), place(), delayMs);
  };
}
