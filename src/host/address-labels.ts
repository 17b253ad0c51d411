/**
 * The labels in the kernel's policy table: read by everybody, changed by root.
 */
import { execFileSync } from 'node:child_process';
import { constants } from 'node:os';
import { type Libc, libcFailure, loadLibc, systemError } from './libc.ts';
import { encodeDeletedLabel, encodeLabelDump, encodeNewLabel, type LabelMessage } from './netlink/label-messages.ts';
import { NetlinkSocket } from './netlink/netlink-socket.ts';

/** A long table may change while it is being told; under constant change the last telling counts as it is. */
const DUMP_ATTEMPTS = 5;

export interface KernelLabel {
  /** 16 bytes. */
  readonly prefix: Uint8Array;
  readonly prefixLength: number;
  readonly interfaceName: string | undefined;
  readonly label: number;
}

export interface KernelLabels {
  readonly labels: readonly KernelLabel[];
  /** How often the kernel's table has changed. */
  readonly generation: number;
}

/** All labels, or undefined where the C library can't be had (no koffi). Throws a system error. */
export function readKernelLabels(): KernelLabels | undefined {
  const libc = loadLibc();
  if (libc === undefined) return undefined;
  const found = dumpLabels(libc);
  const labels = found.map(({ prefix, prefixLength, interfaceIndex, label }) => ({
    prefix,
    prefixLength,
    // The kernel keeps the labels of interfaces that are gone; this is what `ip` calls them.
    interfaceName: interfaceIndex === 0 ? undefined : (libc.interfaceName(interfaceIndex) ?? `if${interfaceIndex}`),
    label,
  }));
  return { labels, generation: found[0]?.generation ?? 0 };
}

function dumpLabels(libc: Libc): readonly LabelMessage[] {
  let found: LabelMessage[] = [];
  for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
    found = [];
    withSocket(libc, (socket) =>
      socket.ask(encodeLabelDump, (message) => {
        if (message.kind === 'label') found.push(message);
      }),
    );
    if (new Set(found.map(({ generation }) => generation)).size < 2) break;
  }
  return found;
}

/** What `ip addrlabel list` prints, for where {@link readKernelLabels} gives nothing. Throws where it can't be run. */
export function listKernelLabels(): string {
  return execFileSync('ip', ['addrlabel', 'list'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Gives a prefix a label. Throws a system error: EPERM without CAP_NET_ADMIN, ENODEV without such an interface. */
export function setKernelLabel({ label, ...key }: KernelLabel): void {
  change(key, (sequence, wireKey) => encodeNewLabel(sequence, wireKey, label));
}

/** Takes a label away. Throws a system error, as {@link setKernelLabel}; ESRCH where there is none. */
export function deleteKernelLabel(key: Omit<KernelLabel, 'label'>): void {
  change(key, encodeDeletedLabel);
}

function change(
  { prefix, prefixLength, interfaceName }: Omit<KernelLabel, 'label'>,
  encode: (sequence: number, key: Parameters<typeof encodeDeletedLabel>[1]) => Uint8Array,
): void {
  const libc = loadLibc();
  if (libc === undefined) throw new Error('labels can only be changed with koffi', { cause: libcFailure() });
  const interfaceIndex = interfaceName === undefined ? 0 : libc.interfaceIndex(interfaceName);
  if (interfaceName !== undefined && interfaceIndex === 0) {
    throw systemError('if_nametoindex', -constants.errno.ENODEV);
  }
  withSocket(libc, (socket) =>
    socket.ask(
      (sequence) => encode(sequence, { prefix, prefixLength, interfaceIndex }),
      () => {},
    ),
  );
}

function withSocket(libc: Libc, use: (socket: NetlinkSocket) => void): void {
  const socket = new NetlinkSocket(libc, 0);
  try {
    use(socket);
  } finally {
    socket.close();
  }
}
