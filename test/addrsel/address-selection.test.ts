/** A process's choice among addresses, by a table in a file that changes, on the loopback interface. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AddressSelection } from '../../src/addrsel/io/address-selection.ts';
import { UsageError } from '../../src/core/errors.ts';
import { readAddressFacts } from '../../src/host/address-facts.ts';

const IPV4_FIRST = { entries: [{ prefix: '127.0.0.0/8', precedence: 100 }] };
const IPV6_FIRST = { entries: [{ prefix: '::1/128', precedence: 100 }] };

class TableFile {
  readonly path: string;
  readonly warnings: string[] = [];
  readonly selection: AddressSelection;

  constructor(table: object) {
    const directory = mkdtempSync(join(tmpdir(), 'mobisock-selection-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    this.path = join(directory, 'table.json');
    this.write(JSON.stringify(table));
    this.selection = new AddressSelection(this.path, (message) => this.warnings.push(message));
  }

  write(text: string): void {
    writeFileSync(this.path, text);
  }

  order(...ips: string[]): string[] {
    return this.selection.order(ips.map((address) => ({ address }))).map(({ address }) => address);
  }
}

describe('the addresses of a name', () => {
  it('are in the order of the table', () => {
    expect(new TableFile(IPV4_FIRST).order('::1', '127.0.0.1')).toEqual(['127.0.0.1', '::1']);
    expect(new TableFile(IPV6_FIRST).order('127.0.0.1', '::1')).toEqual(['::1', '127.0.0.1']);
  });

  it('keep their spelling, and what is no address comes last', () => {
    expect(new TableFile(IPV4_FIRST).order('nonsense', '0:0::1', '127.0.0.1')).toEqual([
      '127.0.0.1',
      '0:0::1',
      'nonsense',
    ]);
  });

  it('are in the order of the table as it is now; one that is broken leaves the last in force, said once', () => {
    const table = new TableFile(IPV4_FIRST);
    table.write(JSON.stringify({ ...IPV6_FIRST, base: 'rfc6724' }));
    expect(table.order('127.0.0.1', '::1')).toEqual(['::1', '127.0.0.1']);
    expect(table.warnings).toEqual([]);
    table.write('{');
    for (let i = 0; i < 2; i++) expect(table.order('127.0.0.1', '::1')).toEqual(['::1', '127.0.0.1']);
    expect(table.warnings).toEqual([expect.stringContaining(`address selection: ${table.path}: line 1`)]);
    table.write(JSON.stringify(IPV4_FIRST));
    expect(table.order('::1', '127.0.0.1')).toEqual(['127.0.0.1', '::1']);
  });
});

describe('the sources for a destination', () => {
  it('are of its family and scope', () => {
    const { selection } = new TableFile(IPV4_FIRST);
    const known = readAddressFacts().map(({ ip }) => ip);
    expect(selection.sourcesFor('127.0.0.1')).toEqual(known.filter((ip) => ip.startsWith('127.')).slice(0, 4));
    for (const source of selection.sourcesFor('2001:db8::1')) expect(source).toMatch(/^(?!fe80)(?!::1$).*:/);
  });

  it('are none where it is no address', () => {
    expect(new TableFile(IPV4_FIRST).selection.sourcesFor('nonsense')).toEqual([]);
  });
});

it('a table that is not there is an error at once', () => {
  expect(() => new AddressSelection('/nowhere/table.json', () => {})).toThrow(UsageError);
});
