/** `mobisock/addrsel` as users get it. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { BUILT_FILE } from '../built-package.ts';

it('mobisock/addrsel orders what it is given', async () => {
  const url = pathToFileURL(join(BUILT_FILE, '..', 'addrsel.js')).href;
  const { PolicyTable, RFC_6724_ENTRIES, sortDestinations, selectSource }: typeof import('../../src/addrsel.ts') =
    await import(url);
  const table = new PolicyTable(RFC_6724_ENTRIES);
  const addresses = ['2001:db8::2', 'fd00::2'].map((ip) => ({ ip, prefixLength: 64, interfaceName: 'eth0' }));
  const destinations = ['fd00::1', '2001:db8::1'].map((ip) => ({ ip, source: selectSource({ ip }, addresses, table) }));
  expect(sortDestinations(destinations, table).map(({ ip, source }) => [ip, source?.ip])).toEqual([
    ['2001:db8::1', '2001:db8::2'],
    ['fd00::1', 'fd00::2'],
  ]);
});
