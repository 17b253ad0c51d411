/** The socket layer installed for one test, and what tests of it need again and again. */
import { EventEmitter, once } from 'node:events';
import net from 'node:net';
import { afterEach } from 'vitest';
import type { MobileStream, OpenHandlers, OpenRequest, PendingOpen } from '../../src/l4mob/io/mobile-stream.ts';
import { transportOf } from '../../src/socket/connect/handle-exchange.ts';
import { type Installation, install } from '../../src/socket/install.ts';
import type { AddressOrder, AnycastOptions } from '../../src/socket/layer.ts';
import { isMobileHandle } from '../../src/socket/mobile-handle.ts';
import { type Mobility, Policy, type PolicySettings } from '../../src/socket/policy/policy.ts';
import { LoopbackEndpoint, type LoopbackEndpointOptions } from './loopback-endpoint.ts';

export interface MobileLayer {
  readonly endpoint: LoopbackEndpoint;
  readonly installation: Installation;
}

const cleanups: (() => void)[] = [];
let layers = 0;

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

export function mobileLayer(
  options: {
    mobility?: Mobility;
    settings?: PolicySettings;
    headStartMs?: number;
    anycast?: AnycastOptions;
    addressOrder?: AddressOrder;
  } & LoopbackEndpointOptions = {},
): MobileLayer {
  const directory = `/tmp/mobisock-socket-test-${process.pid}-${layers++}`;
  const endpoint = new LoopbackEndpoint({ directory, ...options });
  const installation = install({
    policy: new Policy({ mobility: options.mobility ?? 'prefer', ...options.settings }),
    endpoint: () => endpoint,
    headStartMs: options.headStartMs,
    anycast: options.anycast,
    addressOrder: options.addressOrder,
  });
  cleanups.push(() => {
    installation.uninstall();
    endpoint.close();
  });
  return { endpoint, installation };
}

/** An endpoint's `open` in the hands of the test. */
export interface HeldOpen {
  readonly request: OpenRequest;
  readonly handlers: OpenHandlers;
  cancelled: boolean;
}

export class HeldOpens {
  readonly #opens: HeldOpen[] = [];
  readonly #arrivals = new EventEmitter();

  add(request: OpenRequest, handlers: OpenHandlers): PendingOpen {
    const held: HeldOpen = { request, handlers, cancelled: false };
    this.#opens.push(held);
    this.#arrivals.emit('open', held);
    return {
      cancel: () => {
        held.cancelled = true;
      },
    };
  }

  /** The first, as soon as it comes. */
  async next(): Promise<HeldOpen> {
    const [first] = this.#opens;
    return first ?? ((await once(this.#arrivals, 'open'))[0] as HeldOpen);
  }

  async last(): Promise<HeldOpen> {
    return this.#opens.at(-1) ?? this.next();
  }
}

export function heldOpens(): { opens: HeldOpens; intercept: (r: OpenRequest, h: OpenHandlers) => PendingOpen } {
  const opens = new HeldOpens();
  return { opens, intercept: (request, handlers) => opens.add(request, handlers) };
}

/** Listens on loopback until the end of the test. */
export async function listening<S extends net.Server>(server: S, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

/** A pair of sockets of one connection. */
export async function connectedPair(
  serverOptions: net.ServerOpts = {},
  clientOptions: Partial<net.NetConnectOpts> = {},
): Promise<{ client: net.Socket; peer: net.Socket; server: net.Server }> {
  const server = net.createServer(serverOptions);
  const port = await listening(server);
  const client = net.connect({ port, host: '127.0.0.1', ...clientOptions } as net.NetConnectOpts);
  const [[peer]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
    [net.Socket],
    unknown,
  ];
  cleanups.push(() => {
    client.destroy();
    peer.destroy();
  });
  return { client, peer, server };
}

export function isMobile(socket: net.Socket): boolean {
  return isMobileHandle(transportOf(socket));
}

export function streamOf(socket: net.Socket): MobileStream {
  const handle: unknown = transportOf(socket);
  if (!isMobileHandle(handle) || handle.stream === undefined) throw new Error('not a mobile socket');
  return handle.stream;
}

export async function bytesOf(socket: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}
