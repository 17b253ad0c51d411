/**
 * Where namespaces can be made: as root directly, or, for anybody else, inside one user namespace held open by an
 * anchor process. Every command of the lab goes through `enter()`, which is the only place that knows the difference.
 *
 * Life-cycle: openRealm() once per lab, close() with it. In the user realm the anchor reads its standard input, so it
 * notices when this process ends, however that happens: it ends what still runs in its namespaces, and they vanish.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { UsageError } from '../../src/core/errors.ts';
import { runCommand } from './command.ts';

const TOOLS = ['ip', 'nft', 'conntrack', 'tcpdump', 'ethtool', 'tc', 'ping'] as const;

/** /run belongs to the real root, so `ip netns` gets an own one. */
const ANCHOR_SCRIPT = `
mount -t tmpfs tmpfs /run && mkdir /run/netns && echo ready && cat
for path in /run/netns/*; do ip netns pids "$(basename "$path")" | xargs -r kill -KILL; done`;

export interface Realm {
  readonly kind: 'root' | 'user';
  /** The same command line, to be run where the namespaces are. */
  enter(argv: readonly string[], directory?: string): string[];
  close(): void;
}

export async function openRealm(): Promise<Realm> {
  if (process.platform !== 'linux') throw unavailable(`network namespaces need Linux, this is ${process.platform}`);
  rootMay ??= mayAsRoot();
  const realm = (await rootMay) ? rootRealm : await openUserRealm();
  try {
    const missing = await runCommand(
      realm.enter(['sh', '-c', `for tool; do command -v $tool >/dev/null || echo $tool; done`, 'sh', ...TOOLS]),
    );
    if (missing !== '') throw unavailable(`programs not installed: ${missing.trim().split('\n').join(', ')}`);
    return realm;
  } catch (error) {
    realm.close();
    throw error;
  }
}

const rootRealm: Realm = {
  kind: 'root',
  enter: (argv) => [...argv],
  close: () => undefined,
};

let rootMay: Promise<boolean> | undefined;

/** Being root is not enough: in a container it often comes without the right to make namespaces. */
async function mayAsRoot(): Promise<boolean> {
  if (process.getuid?.() !== 0) return false;
  const probe = `mbs-${process.pid}-probe`;
  try {
    await runCommand(['ip', 'netns', 'add', probe]);
    await runCommand(['ip', 'netns', 'delete', probe]);
    return true;
  } catch {
    return false;
  }
}

async function openUserRealm(): Promise<Realm> {
  // Detached: Ctrl-C in the terminal is for us alone, and we tell the anchor.
  const anchor = spawn('unshare', ['-Urnm', 'sh', '-c', ANCHOR_SCRIPT], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  await anchorReady(anchor);
  const pid = String(anchor.pid);
  return {
    kind: 'user',
    // Entering a mount namespace moves to its root directory, hence the shell that goes back.
    enter: (argv, directory = process.cwd()) => [
      ...['nsenter', '--preserve-credentials', '-U', '-m', '-n', '-t', pid],
      ...['sh', '-c', 'cd "$0" && exec "$@"', directory, ...argv],
    ],
    close: () => {
      anchor.stdin.destroy();
    },
  };
}

function anchorReady(anchor: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let stderr = '';
    anchor.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    anchor.once('error', (cause) => reject(unavailable('"unshare" cannot be started', cause)));
    anchor.once('close', () =>
      reject(unavailable(`neither root's rights nor unprivileged user namespaces: ${stderr.trim()}`)),
    );
    anchor.stdout?.once('data', () => {
      // The anchor alone must not keep this process running.
      anchor.unref();
      for (const stream of [anchor.stdin, anchor.stdout, anchor.stderr]) {
        if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref();
      }
      resolve();
    });
  });
}

function unavailable(message: string, cause?: unknown): UsageError {
  return new UsageError(message, 'ERR_MOBISOCK_ENVIRONMENT', { cause });
}
