/**
 * mobisock/net: node's `net` with mobility, for programs that choose it by import and leave the global modules alone.
 *
 *     import { connect, createServer } from 'mobisock/net';
 *
 * The policy comes from the environment (docs/policy.md), as for the preload. Where the preload is there already,
 * node's own `net` is mobile and this is the same module. What is not about connecting or listening is node's own, by
 * identity; a socket from here is a `net.Socket`, and goes wherever one goes: `tls.connect({ socket })`,
 * `http.request({ createConnection })`.
 */
import net from 'node:net';
import { isInstalled } from './socket/install.ts';
import { layerOptions } from './socket/lazy.ts';
import { mobileNet, type NetModule } from './socket/net.ts';
import { loadPolicy } from './socket/policy/load-policy.ts';

const module: NetModule = isInstalled() ? net : makeModule();

function makeModule(): NetModule {
  const policy = loadPolicy(process.env);
  return policy.enabled ? mobileNet(layerOptions(policy)) : net;
}

export const Socket: NetModule['Socket'] = module.Socket;
export type Socket = net.Socket;
export const Stream: NetModule['Socket'] = module.Socket;
export type Stream = net.Socket;
export const Server: NetModule['Server'] = module.Server;
export type Server = net.Server;
export const connect: NetModule['connect'] = module.connect;
export const createConnection: NetModule['createConnection'] = module.createConnection;
export const createServer: NetModule['createServer'] = module.createServer;
export const BlockList: NetModule['BlockList'] = module.BlockList;
export type BlockList = net.BlockList;
export const SocketAddress: NetModule['SocketAddress'] = module.SocketAddress;
export type SocketAddress = net.SocketAddress;
export const isIP: NetModule['isIP'] = module.isIP;
export const isIPv4: NetModule['isIPv4'] = module.isIPv4;
export const isIPv6: NetModule['isIPv6'] = module.isIPv6;
export const getDefaultAutoSelectFamily: NetModule['getDefaultAutoSelectFamily'] = module.getDefaultAutoSelectFamily;
export const setDefaultAutoSelectFamily: NetModule['setDefaultAutoSelectFamily'] = module.setDefaultAutoSelectFamily;
export const getDefaultAutoSelectFamilyAttemptTimeout: NetModule['getDefaultAutoSelectFamilyAttemptTimeout'] =
  module.getDefaultAutoSelectFamilyAttemptTimeout;
export const setDefaultAutoSelectFamilyAttemptTimeout: NetModule['setDefaultAutoSelectFamilyAttemptTimeout'] =
  module.setDefaultAutoSelectFamilyAttemptTimeout;

// biome-ignore lint/style/noDefaultExport: node:net has one, and programs use it
export default module;
