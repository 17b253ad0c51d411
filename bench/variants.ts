/**
 * What is compared: the same two programs over plain sockets, over node's TLS, and with mobisock.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Variant {
  readonly name: string;
  readonly nodeFlags: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const shim = pathToFileURL(join(dirname(), 'dist', 'index.js')).href;

function dirname(): string {
  return join(import.meta.dirname, '..');
}

function mobile(name: string, suites: string): Variant {
  return { name, nodeFlags: ['--import', shim], env: { MOBISOCK_MOBILITY: 'prefer', MOBISOCK_SUITES: suites } };
}

export const PLAIN: Variant = { name: 'plain', nodeFlags: [], env: {} };
export const OFF_POLICY: Variant = { name: 'mobisock, off-policy', nodeFlags: ['--import', shim], env: {} };
export const HMAC: Variant = mobile('mobisock, hmac-sha256-128', 'hmac-sha256-128');
export const GMAC: Variant = mobile('mobisock, aes-128-gmac', 'aes-128-gmac');
/** As anybody gets it. */
export const DEFAULT: Variant = {
  name: 'mobisock',
  nodeFlags: ['--import', shim],
  env: { MOBISOCK_MOBILITY: 'prefer' },
};
export const GCM: Variant = mobile('mobisock, aes-128-gcm', 'aes-128-gcm');

/** The same, but never silently plain. */
export function mobileOnly(variant: Variant): Variant {
  return { ...variant, env: { ...variant.env, MOBISOCK_MOBILITY: 'require' } };
}

/** So many flows in a table; the program runs from the sources. */
export function flows(count: number): Variant {
  return { name: `${count} flows`, nodeFlags: ['--import', 'tsx'], env: { FLOWS: String(count) } };
}

/** A certificate made for this run. */
export function tlsVariant(): Variant {
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const out = execFileSync('openssl', [...request, '-subj', '/CN=localhost', '-keyout', '-', '-out', '-'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
  const part = (name: string): string =>
    out.match(new RegExp(`-----BEGIN ${name}-----[^]+?-----END ${name}-----`))?.[0] ?? '';
  return {
    name: 'node TLS',
    nodeFlags: [],
    env: { TRANSPORT: 'tls', TLS_KEY: part('PRIVATE KEY'), TLS_CERT: part('CERTIFICATE') },
  };
}
