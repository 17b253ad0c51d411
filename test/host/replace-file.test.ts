/** Files that are replaced as a whole: what holds of the old one, and what is left behind. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putFile, replaceFile } from '../../src/host/replace-file.ts';

let directory = '';
const at = (name: string): string => join(directory, name);
const modeOf = (name: string): number => lstatSync(at(name)).mode & 0o777;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'replace-file-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('a file of somebody', () => {
  it('keeps its permissions', async () => {
    writeFileSync(at('file'), 'old', { mode: 0o640 });
    await replaceFile(at('file'), 'new');
    expect([readFileSync(at('file'), 'utf8'), modeOf('file')]).toEqual(['new', 0o640]);
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('stays where a symbolic link leads', async () => {
    writeFileSync(at('file'), 'old');
    symlinkSync('file', at('link'));
    await replaceFile(at('link'), 'new');
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(at('file'), 'utf8')).toBe('new');
  });

  it('that is not there yet may be read by others', async () => {
    await replaceFile(at('file'), 'new');
    expect(modeOf('file')).toBe(0o644);
  });
});

describe('a file of our own', () => {
  const replacement = { text: 'new', mode: 0o600 };

  it('has the permissions that it is to have, whatever was there', async () => {
    writeFileSync(at('other'), 'other');
    symlinkSync('other', at('file'));
    await putFile(at('file'), { ...replacement, fresh: at('fresh') });
    expect([lstatSync(at('file')).isFile(), modeOf('file')]).toEqual([true, 0o600]);
    expect(readFileSync(at('other'), 'utf8')).toBe('other');
  });

  it('takes the place of what a crash has left', async () => {
    writeFileSync(at('fresh'), 'half of it, and more of that', { mode: 0o644 });
    await putFile(at('file'), { ...replacement, fresh: at('fresh') });
    expect([readFileSync(at('file'), 'utf8'), modeOf('file')]).toEqual(['new', 0o600]);
    expect(readdirSync(directory)).toEqual(['file']);
  });

  it('that cannot be replaced stays, and nothing is left beside it', async () => {
    mkdirSync(at('file'));
    await expect(putFile(at('file'), { ...replacement, fresh: at('fresh') })).rejects.toThrow('EISDIR');
    expect(readdirSync(directory)).toEqual(['file']);
  });
});
