/** A self-signed certificate for a host name, and an address if there is one, made by the openssl program once per test file. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function certificate(name = 'localhost', address?: string): { key: string; cert: string } {
  const directory = mkdtempSync(join(tmpdir(), 'mobisock-certificate-'));
  const key = join(directory, 'key.pem');
  const cert = join(directory, 'cert.pem');
  const alternatives = `subjectAltName=DNS:${name}${address === undefined ? '' : `,IP:${address}`}`;
  try {
    execFileSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-addext', alternatives, '-keyout', key, '-out', cert],
    ]);
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
