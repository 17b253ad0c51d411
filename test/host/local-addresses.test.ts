import { describe, expect, it } from 'vitest';
import {
  diffLocalAddresses,
  findableAddresses,
  type LocalAddress,
  readLocalAddresses,
} from '../../src/host/local-addresses.ts';

const address = (ip: string, change: Partial<LocalAddress> = {}): LocalAddress => ({
  ip,
  prefixLength: 24,
  interfaceName: 'eth0',
  interfaceIndex: 2,
  scope: 'global',
  tentative: false,
  deprecated: false,
  temporary: false,
  ...change,
});

describe('local addresses', () => {
  it('include loopback, read without the kernel interface', () => {
    expect(readLocalAddresses()).toContainEqual(expect.objectContaining({ ip: '127.0.0.1', scope: 'host' }));
  });

  it('differ by what came and what went', () => {
    const before = [address('192.0.2.1'), address('192.0.2.2')];
    const after = [address('192.0.2.2'), address('192.0.2.3')];
    expect(diffLocalAddresses(before, after)).toEqual({ added: [after[1]], removed: [before[0]] });
  });

  it('are the same address when only the flags or the index changed, and another on another interface', () => {
    const before = [address('192.0.2.1')];
    const flags = [address('192.0.2.1', { deprecated: true, interfaceIndex: 0 })];
    expect(diffLocalAddresses(before, flags)).toEqual({ added: [], removed: [] });
    const moved = [address('192.0.2.1', { interfaceName: 'eth1' })];
    expect(diffLocalAddresses(before, moved)).toEqual({ added: moved, removed: before });
  });

  it('by which others find this host are those on links, and what is on loopback interfaces where there are no others', () => {
    const loopback = [
      address('127.0.0.1', { interfaceName: 'lo', scope: 'host' }),
      address('::1', { interfaceName: 'lo', scope: 'host' }),
      address('198.51.100.53', { interfaceName: 'lo' }),
      address('2001:db8::53', { interfaceName: 'lo' }),
    ];
    const links = [address('192.0.2.1'), address('fe80::1%eth0', { scope: 'link' })];
    expect(findableAddresses([...loopback, ...links])).toEqual(['2001:db8::53', '192.0.2.1']);
    expect(findableAddresses([...loopback, ...links, address('2001:db8:1::1')])).toEqual([
      '192.0.2.1',
      '2001:db8:1::1',
    ]);
    expect(findableAddresses([])).toEqual([]);
  });
});
