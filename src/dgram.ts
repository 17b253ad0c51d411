/**
 * mobisock/dgram: node's `dgram` with mobility, for programs that choose it by import and leave the global modules alone.
 *
 *     import { createSocket } from 'mobisock/dgram';
 *
 * The policy comes from the environment (docs/policy.md), as for the preload. Where the preload is there already,
 * node's own `dgram` is mobile and this is the same module. A socket from here is a `dgram.Socket`.
 */
import dgram from 'node:dgram';
import { type DgramModule, mobileDgram } from './socket/dgram/dgram-module.ts';
import { isInstalled } from './socket/install.ts';
import { layerOptions } from './socket/lazy.ts';
import { loadPolicy } from './socket/policy/load-policy.ts';

const module: DgramModule = isInstalled() ? dgram : makeModule();

function makeModule(): DgramModule {
  const policy = loadPolicy(process.env);
  return policy.enabled ? mobileDgram(layerOptions(policy)) : dgram;
}

export const Socket: DgramModule['Socket'] = module.Socket;
export type Socket = dgram.Socket;
export const createSocket: DgramModule['createSocket'] = module.createSocket;
export type { BindOptions, RemoteInfo, SocketOptions, SocketType } from 'node:dgram';

// biome-ignore lint/style/noDefaultExport: node:dgram has one, and programs use it
export default module;
