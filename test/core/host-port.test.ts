/** A host with a port or without: what is read as what, and what is not read at all. */
import { expect, it } from 'vitest';
import { parseHostPort } from '../../src/core/host-port.ts';

it.each([
  ['db.example.org', 'db.example.org', undefined],
  ['db.example.org:443', 'db.example.org', 443],
  ['192.0.2.1:65535', '192.0.2.1', 65_535],
  ['192.0.2.1:0', '192.0.2.1', 0],
  ['2001:db8::1', '2001:db8::1', undefined],
  ['[2001:db8::1]', '2001:db8::1', undefined],
  ['[2001:DB8::1]:443', '2001:DB8::1', 443],
  ['[fe80::1%eth0]:443', 'fe80::1%eth0', 443],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1', undefined],
  ['443', '443', undefined],
])('%s is host %s and port %s', (text, host, port) => {
  expect(parseHostPort(text)).toEqual({ host, port });
});

it.each([
  '',
  ':443',
  'a:',
  'a:b',
  'a:65536',
  'a:-1',
  'a:0443',
  'a:1e3',
  'a b:443',
  '2001:db8::1:x',
  '[192.0.2.1]:443',
  '[::ffff:192.0.2.1]:443',
  '[a]:443',
  '[]:443',
  '[2001:db8::1]443',
  '[2001:db8::1]:',
  '[[2001:db8::1]]:443',
])('%s is none', (text) => {
  expect(parseHostPort(text)).toBeUndefined();
});
