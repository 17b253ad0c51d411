/**
 * The service of aarpd on its socket: takes clients, tells them of changes of the host's addresses, and lets go of those
 * that stall. docs/aarpd.md is the reference of what is said.
 *
 * Life-cycle: opened once everything that it answers from is there; `close` takes no more clients and no more requests,
 * answers those that wait, and resolves when the last client is gone.
 */
import net, { type Socket } from 'node:net';
import { UsageError } from '../../../core/errors.ts';
import type { Instant } from '../../../core/time.ts';
import { type AddressChange, type AddressWatch, openAddressWatch } from '../../../host/address-watch.ts';
import { after, monotonicNow } from '../../../host/clock.ts';
import type { DaemonCounters } from '../../daemon/daemon-counters.ts';
import { formatReply, NO_ID } from '../../daemon/daemon-protocol.ts';
import { gauge, type Metric } from '../../daemon/metrics.ts';
import { DaemonClient, UNREAD_HIGH_BYTES } from './daemon-client.ts';
import type { DaemonRequests } from './daemon-requests.ts';
import { listenLocally } from './local-listener.ts';

export interface DaemonServerOptions {
  /** A path with the mode of the socket there, or a descriptor that listens already (socket activation). */
  readonly listen: { readonly path: string; readonly mode: number } | { readonly fd: number };
  readonly requests: DaemonRequests;
  readonly counters: DaemonCounters;
  readonly limits?: Partial<DaemonLimits>;
}

export interface DaemonServer {
  metrics(): Metric[];
  /** An event for everybody who watches. */
  tell(words: readonly string[]): void;
  close(): Promise<void>;
}

export interface DaemonLimits {
  readonly clients: number;
  readonly idleMs: number;
  readonly stallMs: number;
}

export const DEFAULT_DAEMON_LIMITS: DaemonLimits = {
  // A process has one connection. Descriptors are the scarce thing: a shell gives 1 024 at first.
  clients: 1_000,
  // To make room, a client that has asked nothing for so long is let go; it comes back with its next question.
  idleMs: 60_000,
  // A line that was begun and does not go on, or answers of which nothing is read: longer than a process is stopped.
  stallMs: 30_000,
};
const CHECKS_PER_STALL = 4;
/** At the end: those who have not read their last answers by then don't get them. Longer than any probe takes. */
const FINISH_LIMIT_MS = 5_000;

/** @throws UsageError, system errors: as {@link listenLocally}. */
export async function openDaemonServer(options: DaemonServerOptions): Promise<DaemonServer> {
  const service = new ClientService(options);
  // A client that has ended its side still gets its answers.
  // Answers wait for 'drain', and where that comes differs between versions of node if it is not said.
  const manner = { allowHalfOpen: true, highWaterMark: UNREAD_HIGH_BYTES };
  const server = net.createServer(manner, (socket) => service.take(socket));
  const { listen } = options;
  const listener =
    'fd' in listen ? await listenOn(server, listen.fd) : await listenLocally(server, listen.path, listen.mode);
  // No descriptor left for a connection: told by the count.
  server.on('error', () => {
    options.counters.clientsRefused += 1;
  });
  service.start();
  return {
    metrics: () => [gauge('aarpd_clients', 'Clients connected now.', service.size)],
    tell: (words) => service.tell(words),
    close: async () => {
      const finished = service.close();
      await listener.close();
      await finished;
    },
  };
}

/** What systemd listens on stays where it is: the next aarpd gets it too. */
function listenOn(server: net.Server, fd: number): Promise<{ close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new UsageError(`descriptor ${fd}: no listening socket (${cause.message})`, 'ERR_MOBISOCK_USAGE', { cause }),
      );
    });
    server.listen({ fd }, () => {
      resolve({
        close: async () => {
          server.close();
        },
      });
    });
  });
}

class ClientService {
  readonly #options: DaemonServerOptions;
  readonly #limits: DaemonLimits;
  readonly #clients = new Map<Socket, DaemonClient>();
  #watch: AddressWatch | undefined;
  #closing = false;
  #stopChecks: () => void = () => {};
  #onEmpty: (() => void) | undefined;

  constructor(options: DaemonServerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_DAEMON_LIMITS, ...options.limits };
  }

  get size(): number {
    return this.#clients.size;
  }

  start(): void {
    this.#watch = openAddressWatch();
    this.#watch.subscribe((change) => this.#tellOf(change));
    this.#checkLater();
  }

  tell(words: readonly string[]): void {
    for (const client of [...this.#clients.values()]) client.tell(words);
  }

  take(socket: Socket): void {
    if (this.#closing) return this.#refuse(socket, 'stopping', 'aarpd stops');
    if (this.#clients.size >= this.#limits.clients && !this.#makeRoom()) {
      return this.#refuse(socket, 'busy', 'too many clients');
    }
    const { counters, requests } = this.#options;
    counters.clientsAccepted += 1;
    this.#clients.set(socket, new DaemonClient(socket, requests, counters));
    socket.once('close', () => {
      this.#clients.delete(socket);
      if (this.#clients.size === 0) this.#onEmpty?.();
    });
  }

  close(): Promise<void> {
    this.#closing = true;
    this.#stopChecks();
    this.#watch?.close();
    for (const client of this.#clients.values()) client.finish();
    if (this.#clients.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = after(FINISH_LIMIT_MS, () => {
        for (const client of [...this.#clients.values()]) client.drop('stopping');
      });
      this.#onEmpty = () => {
        cancel();
        resolve();
      };
    });
  }

  #refuse(socket: Socket, code: 'busy' | 'stopping', message: string): void {
    this.#options.counters.clientsRefused += 1;
    this.#options.counters.errors[code] += 1;
    socket.on('error', () => socket.destroy());
    socket.end(formatReply({ id: NO_ID, kind: 'error', code, message }), () => socket.destroy());
  }

  /** Lets go of whoever has been idle longest, if anybody has for long. */
  #makeRoom(): boolean {
    const before = monotonicNow() - this.#limits.idleMs;
    let longest: { readonly socket: Socket; readonly since: Instant } | undefined;
    for (const [socket, { idleSince: since }] of this.#clients) {
      if (since !== undefined && since < (longest?.since ?? before)) longest = { socket, since };
    }
    if (longest === undefined) return false;
    this.#clients.get(longest.socket)?.drop('idle');
    this.#clients.delete(longest.socket);
    return true;
  }

  #checkLater(): void {
    this.#stopChecks = after(this.#limits.stallMs / CHECKS_PER_STALL, () => {
      const now = monotonicNow();
      for (const client of [...this.#clients.values()]) client.check(now, this.#limits.stallMs);
      this.#checkLater();
    });
  }

  #tellOf({ added, removed, routesChanged, linksChanged }: AddressChange): void {
    this.#options.counters.addressEvents += 1;
    const events = [
      ...added.map(({ ip, interfaceName }) => ['added', ip, interfaceName]),
      ...removed.map(({ ip, interfaceName }) => ['removed', ip, interfaceName]),
      ...(linksChanged ? [['links']] : []),
      ...(routesChanged ? [['routes']] : []),
    ];
    for (const words of events) this.tell(words);
  }
}
