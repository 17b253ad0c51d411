/**
 * Schedules: what a seed makes happen to two hosts while they talk. A storm of moves, outages, rebindings and weather,
 * then calm.
 */
import { SUITES, type Suite } from '../../src/l4mob/suite.ts';
import type { Host } from './network.ts';
import { SeededRandom } from './seeded-random.ts';
import type { Plan } from './stream.ts';
import { CLIENT_IP, SERVER_IP, World, type WorldInit } from './world.ts';

const CLIENT_PLACES = [CLIENT_IP, '192.0.2.77', '10.1.0.5', '2001:db8:1::5', '172.16.3.9'];
const SERVER_PLACES = [SERVER_IP, '198.51.100.99', '2001:db8:2::80'];
/** Nothing in a storm lasts longer, so that tombstones outlive it. */
const LONGEST_OUTAGE_MS = 12_000;

export function randomPlan(random: SeededRandom): Plan {
  const bytes = random.pick([0, 1, 5_000, 70_000, 400_000, 1_500_000]);
  const writeBytes = random.pick([700, 9_000, 70_000, 200_000]);
  return {
    bytes,
    writeBytes,
    pauseMs: Math.min(random.pick([0, 0, 5, 40]), (10_000 * writeBytes) / (bytes + 1)),
    readFrom: random.pick([0, 0, 0, 3_000]),
    readPieces: random.pick([1_000, 20]),
    readPauseMs: random.pick([1, 30]),
    endsFirst: random.chance(0.7),
    manual: false,
  };
}

export interface Storm {
  readonly world: World;
  /** When the weather is calm again. */
  readonly calmAt: number;
}

export function storm(seed: number): Storm {
  const random = new SeededRandom(seed ^ 0x5707);
  const client = randomPlan(random);
  const server = randomPlan(random);
  // One of them has to end first, or they wait for each other.
  const first = random.chance(0.5);
  const limits = {
    replayLimitBytes: random.pick([64 << 10, 300 << 10, 4 << 20]),
    initialWindowBytes: random.pick([256 << 10, 512 << 10]),
    maxWindowBytes: random.pick([256 << 10, 1 << 20]),
  };
  const init: WorldInit = {
    seed,
    client: { ...client, endsFirst: first || client.endsFirst },
    server: { ...server, endsFirst: !first || server.endsFirst },
    clientOptions: { limits, suites: [SUITES[seed % SUITES.length] as Suite] },
    serverOptions: { limits },
    nat: random.chance(0.25),
  };
  const world = new World(init);
  const { conditions } = world.network;
  conditions.latencyMs = random.pick([1, 10, 60, 150]);
  conditions.jitterMs = random.pick([0, 5, 30]);
  conditions.loss = random.pick([0, 0.02, 0.2]);
  conditions.duplication = random.pick([0, 0.1]);
  let at = random.between(0, 300);
  const events = random.between(1, 12);
  for (let i = 0; i < events; i++) {
    const event = randomEvent(world, random);
    world.time.at(at, event);
    at += random.pick([20, 100, 400, 1_500, 5_000]) * random.fraction() * 2;
  }
  const calmAt = at + LONGEST_OUTAGE_MS;
  world.time.at(calmAt, () => {
    world.network.mendAll();
    conditions.loss = 0;
    conditions.duplication = 0;
    for (const [host, places] of hosts(world)) host.moveTo([random.pick(places)]);
  });
  return { world, calmAt };
}

function hosts(world: World): [Host, readonly string[]][] {
  return [
    [world.client.host, CLIENT_PLACES],
    [world.server.host, SERVER_PLACES],
  ];
}

function randomEvent(world: World, random: SeededRandom): () => void {
  const { network, time, client, server } = world;
  const { conditions } = network;
  const clientPlaces = random.chance(0.3) ? [random.pick(CLIENT_PLACES), random.pick(CLIENT_PLACES)] : undefined;
  const clientPlace = random.pick(CLIENT_PLACES);
  const serverPlace = random.pick(SERVER_PLACES);
  const lasts = random.between(10, random.pick([200, 3_000, LONGEST_OUTAGE_MS]));
  const loss = random.pick([0, 0.05, 0.3]);
  const latencyMs = random.pick([1, 20, 150, 400]);
  const goneWhile = (host: Host, back: string): void => {
    host.moveTo([]);
    time.after(lasts, () => {
      if (host.addresses.size === 0) host.moveTo([back]);
    });
  };
  return random.pick([
    () => client.host.moveTo([...new Set(clientPlaces ?? [clientPlace])]),
    () => client.host.moveTo([clientPlace]),
    () => goneWhile(client.host, clientPlace),
    () => goneWhile(server.host, serverPlace),
    () => server.host.moveTo([serverPlace]),
    () => {
      server.host.moveTo([serverPlace]);
      client.host.moveTo([clientPlace]);
    },
    () => {
      const ip = random.chance(0.5) ? clientPlace : serverPlace;
      network.cut(ip);
      time.after(lasts, () => network.mend(ip));
    },
    () => {
      if (client.host.nat !== undefined) client.host.rebind();
      else client.host.moveTo([clientPlace], false);
    },
    () => {
      conditions.loss = loss;
      conditions.latencyMs = latencyMs;
    },
    () => {
      for (const stream of client.streams) {
        stream.session.migrate();
        stream.pump();
      }
    },
  ]);
}
