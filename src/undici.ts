/**
 * mobisock/undici: an undici Agent whose connections are mobile, without the preload.
 *
 *     import { request } from 'undici';
 *     import { MobileAgent } from 'mobisock/undici';
 *     await request(url, { dispatcher: new MobileAgent() });
 *
 * It only makes the sockets; requests, pools, TLS and HTTP/2 are undici's. The policy comes from the environment
 * (docs/policy.md), as for the preload.
 */
import type { Socket, TcpNetConnectOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Agent, buildConnector, errors } from 'undici';
import { connect } from './net.ts';

export interface MobileAgentOptions extends Omit<Agent.Options, 'connect'> {
  /** As undici's `connect`, without its way to bring a connector of one's own. */
  readonly connect?: buildConnector.BuildOptions;
}

export class MobileAgent extends Agent {
  constructor(options: MobileAgentOptions = {}) {
    super({ ...options, connect: mobileConnector(options) });
  }
}

/** undici's own default. */
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_DELAY_MS = 60_000;
const READ_AHEAD_BYTES = 64 << 10;

function mobileConnector(options: MobileAgentOptions): buildConnector.connector {
  // undici gives these to a connector that it makes itself.
  const { allowH2, maxCachedSessions, connectTimeout, autoSelectFamily, autoSelectFamilyAttemptTimeout } = options;
  const settings: buildConnector.BuildOptions = {
    ...(allowH2 === undefined ? {} : { allowH2 }),
    ...(maxCachedSessions === undefined ? {} : { maxCachedSessions }),
    ...(autoSelectFamily === undefined ? {} : { autoSelectFamily }),
    ...(autoSelectFamilyAttemptTimeout === undefined ? {} : { autoSelectFamilyAttemptTimeout }),
    ...options.connect,
  };
  const timeoutMs = settings.timeout ?? connectTimeout ?? CONNECT_TIMEOUT_MS;
  const overTls = buildConnector({ ...settings, timeout: timeoutMs });
  const connectSocket = (target: buildConnector.Options, callback: SocketCallback): void => {
    const { hostname, port, protocol, localAddress } = target;
    const socketOptions: Readonly<Record<string, unknown>> = {
      highWaterMark: READ_AHEAD_BYTES,
      ...settings,
      port: Number(port) || (protocol === 'https:' ? 443 : 80),
      host: hostname,
      ...(localAddress == null ? {} : { localAddress }),
    };
    const socket = connect(socketOptions as unknown as TcpNetConnectOpts);
    if (settings.keepAlive !== false) socket.setKeepAlive(true, settings.keepAliveInitialDelay ?? KEEP_ALIVE_DELAY_MS);
    socket.setNoDelay(true);
    whenConnected(socket, timeoutMs, `${hostname}:${port}`, callback);
  };
  return (target, callback) => {
    connectSocket(target, (error, socket) => {
      if (error !== null) callback(error, null);
      // TLS begins only now: a socket below TLS can't become mobile any more.
      else if (target.protocol === 'https:') overTls({ ...target, httpSocket: socket }, callback);
      else callback(null, socket);
    });
  };
}

type SocketCallback = (...result: [null, Socket | TLSSocket] | [Error, null]) => void;

function whenConnected(socket: Socket, timeoutMs: number, destination: string, callback: SocketCallback): void {
  const giveUp = (): void => {
    const message = `Connect Timeout Error (attempted address: ${destination}, timeout: ${timeoutMs}ms)`;
    socket.destroy(new errors.ConnectTimeoutError(message));
  };
  const timer = timeoutMs === 0 ? undefined : setTimeout(giveUp, timeoutMs);
  let told = false;
  const finish = (...result: Parameters<SocketCallback>): void => {
    clearTimeout(timer);
    if (told) return;
    told = true;
    callback(...result);
  };
  socket.once('connect', () => finish(null, socket));
  // For good: what comes between two owners of the socket must not end the process.
  socket.on('error', (error) => finish(error, null));
}
