/** The order of the addresses of a name in connects, by a policy table. */
import dns from 'node:dns';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { AddressSelection } from '../../src/addrsel/io/address-selection.ts';
import { mobileLayer } from './mobile-layer.ts';

const FIRST = { 4: '127.0.0.0/8', 6: '::1/128' } as const;
const NAMES: Readonly<Record<string, readonly dns.LookupAddress[]>> = {
  'four-first.test': [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ],
  'six-first.test': [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ],
};

type Answer = (error: Error | null, found: string | readonly dns.LookupAddress[], family?: number) => void;

/** Names that the machine would have to know, in node's own lookup, as programs that cache names put it there. */
function lookUp(host: string, { all, family }: dns.LookupOptions, answer: Answer): void {
  const found = (NAMES[host] ?? []).filter((entry) => !family || entry.family === family);
  const [first] = found;
  if (first === undefined) {
    setImmediate(answer, Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), []);
  } else if (all) setImmediate(answer, null, found);
  else setImmediate(answer, null, first.address, first.family);
}

function preferring(family: 4 | 6): AddressSelection {
  const directory = mkdtempSync(join(tmpdir(), 'mobisock-order-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'table.json');
  writeFileSync(path, JSON.stringify({ entries: [{ prefix: FIRST[family], precedence: 100 }] }));
  return new AddressSelection(path, (message) => expect.unreachable(message));
}

/** The families that the lookup of one connect gave. */
async function familiesOf(options: Partial<net.TcpNetConnectOpts> = {}): Promise<number[]> {
  const families: number[] = [];
  const socket = net.connect({ port: 9, host: 'six-first.test', ...options });
  socket.on('lookup', (_error, _address, family) => families.push(Number(family)));
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once('close', resolve));
  return [...new Set(families)];
}

describe('where the policy names a table', () => {
  beforeEach(() => {
    vi.spyOn(dns, 'lookup').mockImplementation(lookUp as never);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([4, 6] as const)('the addresses of a name are in its order: IPv%i first', async (family) => {
    mobileLayer({ addressOrder: preferring(family), headStartMs: 0 });
    for (const host of Object.keys(NAMES)) expect(await familiesOf({ host })).toEqual([family, 10 - family]);
    expect(await familiesOf({ lookup: dns.lookup })).toEqual([family, 10 - family]);
  });

  it.each([4, 6] as const)('a connect that tries one address tries the best: IPv%i', async (family) => {
    mobileLayer({ addressOrder: preferring(family), headStartMs: 0 });
    expect(await familiesOf({ autoSelectFamily: false })).toEqual([family]);
  });

  it('a family that the application wants is what it gets', async () => {
    mobileLayer({ addressOrder: preferring(6), headStartMs: 0 });
    expect(await familiesOf({ family: 4 })).toEqual([4]);
  });

  it("a lookup of the application's own keeps its order", async () => {
    mobileLayer({ addressOrder: preferring(6), headStartMs: 0 });
    const own: net.LookupFunction = (_host, _options, callback) => {
      setImmediate(callback, null, [...(NAMES['four-first.test'] ?? [])]);
    };
    expect(await familiesOf({ lookup: own })).toEqual([4, 6]);
  });

  it('a name that is not found is the error that it is without', async () => {
    mobileLayer({ addressOrder: preferring(4), headStartMs: 0 });
    const [error] = await once(net.connect({ port: 9, host: 'nowhere.invalid' }), 'error');
    expect(error).toMatchObject({ code: 'ENOTFOUND' });
  });

  it('a connect that the policy leaves to node is in the order of the system', async () => {
    mobileLayer({ addressOrder: preferring(4), mobility: 'off' });
    expect(await familiesOf()).toEqual([6, 4]);
  });
});
