/**
 * One world: a client, a server, and what happens between them under one seed.
 */
import { Network } from './network.ts';
import { Client, type ProcessOptions, Server } from './process.ts';
import { SeededRandom } from './seeded-random.ts';
import { PLAIN_PLAN, type Plan } from './stream.ts';
import { VirtualTime } from './virtual-time.ts';

export const CLIENT_IP = '192.0.2.1';
export const SERVER_IP = '198.51.100.1';

export interface WorldInit {
  readonly seed?: number;
  readonly client?: Partial<Plan>;
  readonly server?: Partial<Plan>;
  readonly clientOptions?: ProcessOptions;
  readonly serverOptions?: ProcessOptions;
  readonly nat?: boolean;
}

export class World {
  readonly time: VirtualTime = new VirtualTime();
  readonly random: SeededRandom;
  readonly network: Network;
  readonly client: Client;
  readonly server: Server;

  constructor({ seed = 1, client, server, clientOptions, serverOptions, nat = false }: WorldInit = {}) {
    this.random = new SeededRandom(seed);
    this.network = new Network(this.time, this.random);
    const clientHost = this.network.host('client', [CLIENT_IP]);
    if (nat) clientHost.nat = { publicIp: '203.0.113.9', generation: 0 };
    const serverHost = this.network.host('server', [SERVER_IP]);
    this.server = new Server(serverHost, { ...PLAIN_PLAN, ...server }, serverOptions);
    this.client = new Client(clientHost, SERVER_IP, clientOptions);
    this.client.resolve = () => serverHost.addresses;
    this.client.open({ ...PLAIN_PLAN, ...client });
  }

  get ended(): boolean {
    const streams = [...this.client.streams, ...this.server.streams];
    return this.client.streams.length > 0 && this.server.streams.length > 0 && streams.every((s) => s.over);
  }

  /** Lets time pass until both sides have ended, at most `limitMs` more. */
  runToEnd(limitMs = 60_000): boolean {
    return this.time.run(() => this.ended, this.time.now + limitMs);
  }

  /** Lets time pass until it holds, at most `limitMs` more. */
  until(holds: () => boolean, limitMs = 10_000): boolean {
    return this.time.run(holds, this.time.now + limitMs);
  }

  /** Until the session is open on both sides. */
  untilOpen(): void {
    const open = (): boolean => this.client.streams[0]?.session.state === 'open' && this.server.streams.length > 0;
    if (!this.until(open)) throw new Error('the session did not open');
  }

  /** A server process that starts afresh on the server's host. */
  restartServer(): Server {
    return new Server(this.server.host, PLAIN_PLAN);
  }

  /** Another server on a host of its own. */
  addServer(name: string, addresses: readonly string[]): Server {
    return new Server(this.network.host(name, addresses), PLAIN_PLAN);
  }

  log(): this {
    this.time.onTrace = (line) => console.log(line);
    return this;
  }
}
