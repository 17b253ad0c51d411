/** Addresses as the tests write them: `2001:db8::1/64 eth1 temporary`, on eth0 with a /64 or /24 where not said. */
import type { Destination } from '../../src/addrsel/destination-rules.ts';
import { parsePolicyPrefix } from '../../src/addrsel/policy-prefix.ts';
import type { PolicyEntry } from '../../src/addrsel/policy-table.ts';
import type { SourceAddress } from '../../src/addrsel/source-address.ts';

const FLAGS = ['deprecated', 'tentative', 'home', 'careOf', 'temporary', 'temporaryPreferred'] as const;

export function source(text: string): SourceAddress {
  const [address = '', ...words] = text.split(' ');
  const [ip = '', length] = address.split('/');
  const flags = Object.fromEntries(FLAGS.filter((flag) => words.includes(flag)).map((flag) => [flag, true]));
  const by = words.find((word) => word.startsWith('by='));
  return {
    ip,
    prefixLength: Number(length ?? (ip.includes(':') ? 64 : 24)),
    interfaceName: words.find((word) => /^(?:eth|lo|tun)\d*$/.test(word)) ?? 'eth0',
    ...flags,
    ...(by === undefined ? {} : { advertisedBy: by.slice(3) }),
  };
}

/** `ip <- source ...`, `ip unreachable`, `ip encapsulated <- source ...`. */
export function destination(text: string): Destination {
  const [left = '', right] = text.split(' <- ');
  const [ip = '', ...words] = left.split(' ');
  return {
    ip,
    source: right === undefined ? undefined : source(right),
    unreachable: words.includes('unreachable'),
    encapsulated: words.includes('encapsulated'),
    interfaceName: words.find((word) => word.startsWith('eth')),
  };
}

/** `prefix label precedence [dev]`; `-` for none. */
export function entry(text: string): PolicyEntry {
  const [prefixText = '', label, precedence, interfaceName] = text.split(' ');
  const prefix = parsePolicyPrefix(prefixText);
  if ('problem' in prefix) throw new Error(`${prefixText}: ${prefix.problem}`);
  const number = (word: string | undefined): number | undefined =>
    word === undefined || word === '-' ? undefined : Number(word);
  return { prefix, interfaceName, label: number(label), precedence: number(precedence) };
}
