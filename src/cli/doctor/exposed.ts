/** What processes that run with mobisock let in from other hosts: their sockets, as the kernel lists them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { addressText, formatTransportAddress, isLoopback } from '../../core/address.ts';
import { type Finding, note, ok } from './finding.ts';

/** States of /proc/net: a listening TCP socket, and a UDP socket that has no peer. */
const TABLES = [
  { file: 'tcp', transport: 'tcp', state: '0A' },
  { file: 'tcp6', transport: 'tcp', state: '0A' },
  { file: 'udp', transport: 'udp', state: '07' },
  { file: 'udp6', transport: 'udp', state: '07' },
] as const;

/** What a process with the preload has in its command line or in NODE_OPTIONS; a checkout is named by its path. */
const PRELOAD = /--import[= \0](\S+)/g;
const PACKAGE = join(import.meta.dirname, '..');

export function checkExposed(): Finding {
  const check = 'exposed';
  if (process.platform !== 'linux') return note(check, 'can be listed on Linux only');
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => exposedBy(pid));
  const means = 'a server adds UDP on its own port, and one TCP session port';
  if (processes.length === 0) return ok(check, `nothing by a process of ours that runs with mobisock (${means})`);
  return ok(check, processes.join('; '));
}

/** One text for a process that exposes something; none where it ended meanwhile, or is not ours to look at. */
function exposedBy(pid: string): string[] {
  try {
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
    const options = environment.split('\0').find((line) => line.startsWith('NODE_OPTIONS=')) ?? '';
    if (!isPreloaded(commandLine) && !isPreloaded(options)) return [];
    const inodes = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => inodeOf(pid, fd)));
    const sockets = TABLES.flatMap(({ file, transport, state }) =>
      rowsOf(pid, file)
        .filter(([, local = '', , st, , , , , , inode = '']) => st === state && local !== '' && inodes.has(inode))
        .map(([, local = '']) => ({ transport, ...endOf(local) })),
    );
    const open = sockets.filter(({ ip }) => !isLoopback(ip));
    const names = [...new Set(open.map((end) => `${end.transport} ${formatTransportAddress(end)}`))];
    return names.length === 0 ? [] : [`process ${pid}: ${names.join(', ')}`];
  } catch {
    return [];
  }
}

function isPreloaded(text: string): boolean {
  return [...text.matchAll(PRELOAD)].some(([, what = '']) => what.includes('mobisock') || what.includes(PACKAGE));
}

function inodeOf(pid: string, fd: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '';
  } catch {
    return '';
  }
}

function rowsOf(pid: string, table: string): string[][] {
  const [, ...rows] = readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trimEnd().split('\n');
  return rows.map((row) => row.trim().split(/\s+/));
}

/** `0100007F:1F90`: the address in words of the machine's own byte order, the port in the network's. */
function endOf(text: string): { ip: string; port: number } {
  const [address = '', port = ''] = text.split(':');
  const bytes = Buffer.from(address, 'hex');
  if (LITTLE_ENDIAN) bytes.swap32();
  return { ip: addressText(bytes), port: Number.parseInt(port, 16) };
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
