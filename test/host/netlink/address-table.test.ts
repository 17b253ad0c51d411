import { describe, expect, it } from 'vitest';
import { AddressTable } from '../../../src/host/netlink/address-table.ts';
import type { AddressMessage, LinkMessage } from '../../../src/host/netlink/route-messages.ts';

const link = (change: Partial<LinkMessage> = {}): LinkMessage => ({
  kind: 'link',
  removed: false,
  index: 3,
  name: 'v0',
  up: true,
  running: true,
  hardwareType: 1,
  ...change,
});

const address = (change: Partial<AddressMessage> = {}): AddressMessage => ({
  kind: 'address',
  removed: false,
  interfaceIndex: 3,
  ip: '2001:db8::1',
  prefixLength: 64,
  scope: 'global',
  tentative: false,
  dadFailed: false,
  deprecated: false,
  temporary: false,
  home: false,
  ...change,
});

const filled = (...messages: readonly (LinkMessage | AddressMessage)[]): AddressTable => {
  const table = new AddressTable();
  for (const message of messages) table.handleMessage(message);
  return table;
};

const usable = (table: AddressTable): string[] => table.usable().map(({ ip }) => ip);

describe('address table', () => {
  it('counts an address as usable only on a link that is known, up and running', () => {
    expect(usable(filled(address()))).toEqual([]);
    expect(usable(filled(address(), link()))).toEqual(['2001:db8::1']);
    expect(usable(filled(address(), link({ up: false })))).toEqual([]);
    expect(usable(filled(address(), link({ running: false })))).toEqual([]);
  });

  it('leaves out tentative addresses and duplicates, and keeps deprecated ones', () => {
    expect(usable(filled(link(), address({ tentative: true })))).toEqual([]);
    expect(usable(filled(link(), address({ dadFailed: true })))).toEqual([]);
    expect(usable(filled(link(), address({ deprecated: true })))).toEqual(['2001:db8::1']);
    expect(usable(filled(link(), address({ tentative: true }), address()))).toEqual(['2001:db8::1']);
  });

  it('knows one address on two interfaces, and with two prefix lengths, as different ones', () => {
    const table = filled(link(), link({ index: 4, name: 'v1' }), address(), address({ interfaceIndex: 4 }));
    table.handleMessage(address({ prefixLength: 128 }));
    expect(table.usable()).toHaveLength(3);
    table.handleMessage(address({ prefixLength: 128, removed: true }));
    table.handleMessage(address({ removed: true }));
    expect(table.usable()).toMatchObject([{ interfaceName: 'v1', interfaceIndex: 4 }]);
  });

  it('forgets the addresses of a removed link, so that a new one with its index starts empty', () => {
    const table = filled(link(), address());
    expect(table.handleMessage(link({ removed: true }))).toBe('links');
    table.handleMessage(link({ name: 'other' }));
    expect(usable(table)).toEqual([]);
  });

  it('tells a change of a link from mere news about it', () => {
    const table = filled(link());
    expect(table.handleMessage(link())).toBe('none');
    expect(table.handleMessage(link({ running: false }))).toBe('links');
    expect(table.handleMessage(link({ index: 9, removed: true }))).toBe('none');
  });

  it('gives link-local addresses their zone and scope, whatever scope they were configured with', () => {
    const table = filled(link(), address({ ip: 'fe80::1', scope: 'link' }), address({ ip: '169.254.1.1' }));
    expect(table.usable()).toMatchObject([
      { ip: 'fe80::1%v0', scope: 'link' },
      { ip: '169.254.1.1', scope: 'link' },
    ]);
  });

  it('passes on routes that forward only', () => {
    const route = {
      kind: 'route',
      removed: false,
      interfaceIndex: 3,
      sourceIp: undefined,
      gatewayIp: undefined,
    } as const;
    expect(new AddressTable().handleMessage({ ...route, forwarding: true })).toBe('routes');
    expect(new AddressTable().handleMessage({ ...route, forwarding: false })).toBe('none');
  });
});
