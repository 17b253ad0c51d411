/**
 * Puts the socket layer under node's own modules, once per process, however many copies of the package are loaded, and
 * takes it away again. Only methods of prototypes are replaced, so code that imported them by name is reached too;
 * `tls.connect` needs nothing, for it ends in `net.Socket.prototype.connect`.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import { nativeConnect, nativeDgramBind, nativeListen } from '../host/native.ts';
import type { EndpointCounters, SessionInfo } from '../l4mob/io/mobile-stream.ts';
import { NO_PACKETS } from '../l4mob/io/packet-counters.ts';
import { resolveAnycastNameServers } from './anycast-name-servers.ts';
import { guardChannels } from './child-guard.ts';
import { type Connect, mobileConnect } from './connect/outgoing.ts';
import { type Bind, mobileBind } from './dgram/bind-hook.ts';
import { Layer, type LayerOptions } from './layer.ts';
import { type Listen, type Listen2, mobileListen, mobileListen2 } from './server-hook.ts';

export type { LayerOptions as InstallOptions };

export interface Installation {
  /** The sessions of this process. */
  sessions(): SessionInfo[];
  /** What came to this process's session ports and companions, and what of it was turned away. */
  stats(): EndpointCounters;
  /** Ends every session and puts everything back as it was. What others wrapped around us stays and passes through. */
  uninstall(): void;
}

/** Before there is an endpoint. */
export const NOTHING_CAME: EndpointCounters = {
  inits: 0,
  offers: 0,
  malformed: 0,
  askedAgain: 0,
  cookiesDemanded: 0,
  refused: 0,
  malformedHellos: 0,
  unknownHellos: 0,
  forgedHellos: 0,
  staleHellos: 0,
  replayedOpens: 0,
  refusedOpens: 0,
  forgedUpdates: 0,
  rejectedOffers: 0,
  badRecords: 0,
  ...NO_PACKETS,
};

const INSTALLED = Symbol.for('mobisock.installation');

const globals = globalThis as unknown as { [INSTALLED]?: Installation };

/** Whether this process's own `net` is mobile already. */
export function isInstalled(): boolean {
  return globals[INSTALLED] !== undefined;
}

/** The installation of this process; `options` count for the first call only. */
export function install(options: LayerOptions): Installation {
  const present = globals[INSTALLED];
  if (present !== undefined) return present;
  const layer = new Layer(options);
  const undo = options.policy.enabled ? hook(layer) : [];
  const installation: Installation = {
    sessions: () => layer.madeEndpoint?.sessions() ?? [],
    stats: () => layer.madeEndpoint?.counters() ?? NOTHING_CAME,
    uninstall: () => {
      if (globals[INSTALLED] !== installation) return;
      Reflect.deleteProperty(globals, INSTALLED);
      layer.enabled = false;
      for (const restore of undo) restore();
      for (const socket of [...layer.mobileDatagrams]) socket.makePlain();
      layer.madeEndpoint?.close();
      layer.closeResolver();
    },
  };
  Object.defineProperty(globals, INSTALLED, { value: installation, configurable: true });
  return installation;
}

function hook(layer: Layer): (() => void)[] {
  const servers = net.Server.prototype as unknown as { _listen2: Listen2 };
  const { bindSync } = dgram.Socket.prototype as { bindSync?: Bind<unknown> };
  const undo = [
    replace(net.Socket.prototype, 'connect', mobileConnect(layer, nativeConnect as Connect)),
    replace(dgram.Socket.prototype, 'bind', mobileBind(layer, nativeDgramBind as Bind<dgram.Socket>)),
    ...(bindSync === undefined ? [] : [replace(dgram.Socket.prototype, 'bindSync', mobileBind(layer, bindSync))]),
    guardChannels(),
    ...(layer.knowsAnycast ? [resolveAnycastNameServers(layer)] : []),
  ];
  if (typeof servers._listen2 === 'function') {
    undo.push(replace(net.Server.prototype, 'listen', mobileListen(nativeListen as Listen)));
    undo.push(replace(servers, '_listen2', mobileListen2(layer, servers._listen2)));
  }
  return undo;
}

/** Keeps the look of the original (name, length), and restores it unless somebody has wrapped over us since. */
function replace(target: object, name: string, replacement: unknown): () => void {
  const original = Object.getOwnPropertyDescriptor(target, name);
  const native = original?.value;
  if (original === undefined || typeof native !== 'function' || typeof replacement !== 'function') return () => {};
  for (const property of ['name', 'length'] as const) {
    Object.defineProperty(replacement, property, { value: native[property], configurable: true });
  }
  Object.defineProperty(target, name, { ...original, value: replacement });
  return () => {
    if (Object.getOwnPropertyDescriptor(target, name)?.value === replacement) {
      Object.defineProperty(target, name, original);
    }
  };
}
