/**
 * Host names as the policy compares them: ASCII (RFC 5891 A-labels), lower case, without the final dot.
 */
import { domainToASCII } from 'node:url';

/** Cheap where the name is in that form already, as nearly all are. */
export function canonicalHostName(host: string): string {
  const plain = /^[a-z0-9._-]*$/.test(host) ? host : toAscii(host);
  return plain.endsWith('.') ? plain.slice(0, -1) : plain;
}

/** RFC 1123 with underscores. The last label must not be a number: such "names" are addresses with a slip in them. */
export function isHostName(canonical: string): boolean {
  if (canonical.length > 253) return false;
  const labels = canonical.split('.');
  return labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '');
}

function toAscii(host: string): string {
  const lower = host.toLowerCase();
  return /^[a-z0-9._-]*$/.test(lower) ? lower : domainToASCII(lower) || lower;
}
