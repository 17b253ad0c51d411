/**
 * A listener on a unix socket of the file system, with its mode set before anybody can see it. A file that a daemon
 * left when it was killed is replaced; one behind which somebody answers is not, however close to each other two start:
 * the socket is bound under a name of its own, and `link(2)` gives it the real one, which only one of them can have.
 */
import { chmod, link, lstat, mkdir, rename, unlink } from 'node:fs/promises';
import net from 'node:net';
import { dirname } from 'node:path';
import { UsageError } from '../../../core/errors.ts';

/** sun_path of unix(7) without its final zero, less a process id, put behind the name while the socket is being made. */
const PATH_LIMIT_BYTES: number = 107 - '.4194304'.length;
/** Each round is lost to another process that does the same. */
const MAX_ROUNDS = 16;

export interface LocalListener {
  /** Stops listening and takes the file away, if it is still ours. */
  close(): Promise<void>;
}

/**
 * Makes `server` listen on `path`.
 *
 * @throws UsageError where somebody answers there already, or the path cannot be a socket; system errors otherwise.
 */
export async function listenLocally(server: net.Server, path: string, mode: number): Promise<LocalListener> {
  if (Buffer.byteLength(path) > PATH_LIMIT_BYTES) {
    throw new UsageError(`${path}: longer than the ${PATH_LIMIT_BYTES} bytes that the path of a socket may have`);
  }
  const own = `${path}.${process.pid}`;
  await makeDirectory(path);
  await removeIfThere(own);
  await listen(server, own);
  try {
    await chmod(own, mode);
    const { ino } = await lstat(own);
    await claim(own, path);
    await unlink(own);
    return {
      close: async () => {
        server.close();
        if (await hasInode(path, ino)) await removeIfThere(path);
      },
    };
  } catch (error) {
    server.close();
    await removeIfThere(own);
    throw error;
  }
}

/** Others may look into it: who may connect is for the mode of the socket to say. */
async function makeDirectory(path: string): Promise<void> {
  const directory = dirname(path);
  try {
    await mkdir(directory, { recursive: true, mode: 0o755 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new UsageError(`${path}: there is no directory ${directory} and none can be made (${code})`, undefined, {
      cause,
    });
  }
}

function listen(server: net.Server, own: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(own, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function claim(own: string, path: string): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    if (await linked(own, path)) return;
    const there = await lstat(path).catch(absent);
    if (there === undefined) continue;
    if (!there.isSocket()) throw new UsageError(`${path}: there already, and not a socket`);
    if (await answers(path)) throw new UsageError(`${path}: another aarpd answers there`);
    await removeStale(path, `${own}.old`, there.ino);
  }
  throw new UsageError(`${path}: other processes take it over and over`);
}

/** Moved away first: what was put there since we looked has another inode, and goes back. */
async function removeStale(path: string, aside: string, ino: number): Promise<void> {
  await rename(path, aside).catch(absent);
  if (!(await hasInode(aside, ino))) await linked(aside, path);
  await removeIfThere(aside);
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST' && !(code === 'ENOENT' && from.endsWith('.old'))) throw error;
    return false;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      // Too many wait for it to accept them: it is there.
      else if (code === 'EAGAIN') resolve(true);
      else reject(new UsageError(`${path}: whether somebody answers there cannot be found out (${message})`));
    });
  });
}

async function hasInode(path: string, ino: number): Promise<boolean> {
  return (await lstat(path).catch(absent))?.ino === ino;
}

async function removeIfThere(path: string): Promise<void> {
  await unlink(path).catch(absent);
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
  return undefined;
}
