/** The units for systemd, as systemd reads them. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAarpdSettings } from '../../src/cli/aarpd-settings.ts';

const UNITS = join(import.meta.dirname, '../../examples/systemd');
const analyze = (...args: string[]): SpawnSyncReturns<string> =>
  spawnSync('systemd-analyze', args, { encoding: 'utf8' });
const missing = analyze('--version').status !== 0;
if (missing) console.warn('tests skipped: systemd-analyze is not installed');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'aarpd-units-'));
  cpSync(UNITS, directory, { recursive: true });
  // A program that is here: whether it is installed is no fault of the unit.
  const service = join(directory, 'aarpd.service');
  writeFileSync(service, readFileSync(service, 'utf8').replace('/usr/local/bin/aarpd', process.execPath));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe.skipIf(missing)('the units', () => {
  it('are what systemd expects, with the drop-in and without', () => {
    const units = ['aarpd.service', 'aarpd.socket'].map((name) => join(directory, name));
    const plain = analyze('verify', ...units);
    expect({ status: plain.status, said: about(plain.stderr) }).toEqual({ status: 0, said: [] });
    mkdirSync(join(directory, 'aarpd.service.d'));
    cpSync(join(directory, 'member.conf'), join(directory, 'aarpd.service.d', 'member.conf'));
    const member = analyze('verify', ...units);
    expect({ status: member.status, said: about(member.stderr) }).toEqual({ status: 0, said: [] });
  });

  it('expose little', () => {
    const { stdout } = analyze('security', '--offline=true', join(directory, 'aarpd.service'));
    const [, exposure = 'none'] = /Overall exposure level for aarpd\.service: ([\d.]+)/.exec(stdout) ?? [];
    expect(Number(exposure)).toBeLessThan(2.5);
  });
});

it('their configuration is one', () => {
  expect(readAarpdSettings({}, join(UNITS, 'aarpd.json'))).toMatchObject({ metrics: { ip: '127.0.0.1', port: 9474 } });
});

/** What is said of ours: other units of the machine may have faults of their own. */
function about(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line.includes('aarpd'));
}
